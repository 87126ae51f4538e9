import pytest
from hydra import compose, initialize_config_dir

from facemask_ensemble.config import CONF_DIR
from facemask_ensemble.errors import InputError
from facemask_ensemble.settings.train import TrainSettings
from facemask_ensemble.tuning.plan import read_plan

TINY = ("backbone=deep_cnn", "image_size=32")


@pytest.fixture
def plan_of(tmp_path, monkeypatch):
    """Read the plan of a command line; Hydra stays initialised."""
    monkeypatch.chdir(tmp_path)
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):

        def read(*overrides, given=TINY):
            return read_plan(compose("tune", [*given, *overrides]), [*given, *overrides])

        yield read


def test_a_trials_settings_are_those_of_the_training_with_the_draw(plan_of):
    plan = plan_of("schedule=scratch", "schedule.epochs=3")
    settings = plan.compose(["optimizer=adamw", "schedule.learning_rate=0.002", "batch_size=16"])
    assert type(settings) is TrainSettings
    assert (settings.optimizer.name, settings.batch_size) == ("adamw", 16)
    assert (settings.schedule.call["learning_rate"], settings.schedule.call["epochs"]) == (0.002, 3)


def test_the_study_keeps_its_name_where_the_backbone_is_searched(plan_of):
    plan = plan_of("search=none", "+space.backbone=[deep_cnn,resnet50v2]", "backbone.weights=null", given=())
    assert plan.study == "tune_scenes_efficientnetb3"
    assert plan.compose(["backbone=resnet50v2"]).study == "tune_scenes_efficientnetb3"


def test_a_draw_that_cannot_be_trained_is_refused(plan_of):
    with pytest.raises(InputError, match="image_size=8: must be a whole number of at least 16"):
        plan_of().compose(["image_size=8"])


@pytest.mark.heavy
def test_machines_with_other_folders_agree_on_the_terms(plan_of, tmp_path):
    here = plan_of("output_dir=here", "trials=3").terms("f")
    assert here == plan_of("output_dir=there", "trials=30", "jobs=2").terms("f")
    assert here["space.schedule.learning_rate"] == [1e-4, 1e-2, True, None]
    assert here["image_size"] == 32
    assert here != plan_of("batch_size=8", "space.batch_size=null").terms("f")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["trials=0"], "trials=0: must be a whole number of at least 1"),
        (["jobs=-1"], "jobs=-1: must be a whole number"),
        (["timeout=0"], "timeout=0: must be a number of seconds above 0, or null"),
        (["timeout=nan"], "timeout=nan: must be"),
        (["metric=f1"], "metric=f1: must be one of val_loss, val_accuracy"),
        (["optimizer=sgd"], r"optimizer=sgd: is set on the command line and searched \(space.optimizer\)"),
        (["++schedule.learning_rate=1"], "'space.schedule.learning_rate=null' to stop searching it"),
        (["search=finetune"], "space.schedule.head_learning_rate: has no effect .*weights=null; choose search=recipe"),
        (
            ["backbone=xception", "image_size=96"],
            "space.schedule.learning_rate: has no effect .*; choose search=finetune",
        ),
        (["+space.label_smoothing=[0.0,0.1]"], "changes the validation loss itself; give metric=val_accuracy"),
        (["image_size=8"], "image_size=8: must be a whole number of at least 16"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(overrides, message, plan_of):
    with pytest.raises(InputError, match=message):
        plan_of(*overrides)
