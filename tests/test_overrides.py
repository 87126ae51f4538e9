import pytest
from hydra import initialize_config_dir

from facemask_ensemble.config import CONF_DIR
from facemask_ensemble.overrides import parse, root_of, value_of


@pytest.mark.parametrize(
    ("text", "root", "value"),
    [
        ("dataset=scenes", "dataset", "scenes"),
        ("+dataset.limit=9", "dataset", "9"),
        ("++dataset.classes=[a,b]", "dataset", "[a,b]"),
        ("~dataset.limit", "dataset", ""),
        ("~dataset.limit=9", "dataset", "9"),
        ("voting@rule=soft", "voting", "soft"),
        ("hydra/launcher=joblib", "hydra/launcher", "joblib"),
        ("study='a=b, c'", "study", "'a=b, c'"),
        ("seed=0,1", "seed", "0,1"),
    ],
)
def test_the_root_and_the_value_of_an_override_are_those_that_hydra_reads(text, root, value):
    (override,) = parse([text])
    assert (root_of(override), value_of(override), override.input_line) == (root, value, text)


def test_while_hydra_runs_a_glob_gives_the_options_of_its_group():
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        (override,) = parse(["backbone=glob(resnet*)"])
        assert list(override.sweep_string_iterator()) == ["resnet50", "resnet50v2"]
