import pytest
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from facemask_ensemble.config import CONF_DIR, options
from facemask_ensemble.errors import InputError
from facemask_ensemble.tuning.plan import OWN, read_plan
from facemask_ensemble.tuning.space import Choice, Range, as_override, read_space


class Highest:
    """A trial that always draws the highest, or the last."""

    def suggest_float(self, name, low, high, *, step, log):
        return high

    def suggest_int(self, name, low, high, *, step, log):
        return high

    def suggest_categorical(self, name, choices):
        return choices[-1]


def composed(*overrides):
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        return compose("tune", ["backbone=deep_cnn", *overrides])


def read(cfg):
    return read_space(OmegaConf.to_container(cfg.space), cfg, {}, OWN)


def space_of(*overrides):
    return read(composed("search=none", *overrides))


def test_a_space_is_read_from_ranges_whole_numbers_and_choices():
    found = space_of(
        "+space.schedule.learning_rate={low: 1e-4, high: 1e-2, log: true}",
        "+space.schedule.epochs={low: 2, high: 8, step: 2}",
        "+space.augmentation=[none,flip]",
        "+space.backbone.head.hidden=[[],[64]]",
    )
    assert sorted(found, key=lambda item: item.key) == [
        Choice("augmentation", ("none", "flip")),
        Choice("backbone.head.hidden", ("[]", "[64]")),
        Range("schedule.epochs", 2, 8, step=2),
        Range("schedule.learning_rate", 1e-4, 1e-2, log=True),
    ]


def test_a_key_may_be_written_with_dots_as_well_as_nested():
    cfg = composed("search=none")
    cfg.space = {"schedule.learning_rate": {"low": 0.1, "high": 1}}
    assert read(cfg) == [Range("schedule.learning_rate", 0.1, 1)]


def test_a_key_set_to_null_is_not_searched():
    keys = {item.key for item in read(composed())}
    assert keys - {item.key for item in read(composed("space.batch_size=null"))} == {"batch_size"}


@pytest.mark.parametrize(("name", "backbone"), [("recipe", "deep_cnn"), ("finetune", "xception")])
def test_the_spaces_that_come_with_the_package_can_be_searched(name, backbone):
    plan = read_plan(composed(f"search={name}", f"backbone={backbone}"), [f"search={name}"])
    assert len(plan.space) >= 4
    assert name in options("search")


def test_draws_are_overrides_that_hydra_reads_back():
    assert Range("rate", 1e-7, 1e-5, log=True).draw(Highest()) == "1e-05"
    assert Range("epochs", 1, 8).draw(Highest()) == "8"
    assert Range("share", 0, 0.5).draw(Highest()) == "0.5"
    assert Choice("optimizer", ("adam", "sgd")).draw(Highest()) == "sgd"


@pytest.mark.parametrize(
    "value", [1, 1e-5, True, None, "flip", "null", "1", "1e-3", "a b", "with:colon", [1, 2], [], ["a b"]]
)
def test_every_value_survives_the_override_grammar(value):
    override = OverridesParser.create().parse_override(f"key={as_override(value)}")
    read = override.value()
    assert read == value
    assert isinstance(read, type(value))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("+space.schedule.rate=[1,2]", r"space.schedule.rate: there is no such key"),
        ("+space.augmentation=[none,blur]", r"space.augmentation: blur: there is no such augmentation; choose from "),
        ("+space.augmentation={low: 1, high: 2}", r"space.augmentation: must be a list of options, such as \["),
        ("+space.batch_size={low: 8, high: 8}", r"space.batch_size.low=8: must be below space.batch_size.high=8"),
        ("+space.batch_size={low: 8, high: 4}", r"low=8: must be below"),
        ("+space.batch_size={low: 0, high: 4, log: true}", r"low=0: must be above 0 on a logarithmic scale"),
        ("+space.batch_size={low: 1, high: 4, step: 0.5}", r"step=0.5: between whole numbers must be whole"),
        (
            "+space.batch_size={low: 1, high: 4, log: true, step: 1}",
            r"step=1: must be above 0, and goes with log: false",
        ),
        ("+space.batch_size={low: 1, high: nan}", r"batch_size.high=nan: must be a number"),
        ("+space.batch_size={low: few, high: 4}", r"batch_size.low=few: must be a number"),
        ("+space.batch_size={low: 1, high: 4, log: 3}", r"batch_size.log=3: must be true or false"),
        ("+space.batch_size={low: 1}", r"space.batch_size={'low': 1}: give {low: 1e-4, high"),
        ("+space.batch_size={low: 1, high: 2, base: 10}", r"give {low: 1e-4, high"),
        ("+space.batch_size=8", r"space.batch_size=8: give {low"),
        ("+space.batch_size=[]", r"space.batch_size=\[\]: a search needs two choices or more"),
        ("+space.batch_size=[8]", r"a single value is batch_size=VALUE"),
        (
            "+space.dataset.limit=[10,20]",
            r"space.dataset.limit: cannot be searched, because trials must stay comparable",
        ),
        ("+space.trials=[10,20]", r"space.trials: cannot be searched"),
        ("+space.output_dir=[a,b]", r"space.output_dir: cannot be searched"),
    ],
)
def test_a_space_that_cannot_be_searched_is_refused(override, message):
    with pytest.raises(InputError, match=message):
        space_of(override)


def test_an_empty_space_is_refused_with_what_to_give():
    with pytest.raises(InputError, match=r"space={}: nothing to search; choose search=recipe"):
        space_of()
