import re

import pytest
from hydra import compose, initialize_config_dir
from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from omegaconf import OmegaConf

from facemask_ensemble.config import CONF_DIR, absolute_paths, refuse_other_rule
from facemask_ensemble.errors import InputError
from facemask_ensemble.evaluate import changes_of_data

SEVEN = [
    "densenet201",
    "efficientnetb3",
    "efficientnetv2s",
    "inceptionresnetv2",
    "inceptionv3",
    "resnet50v2",
    "xception",
]


def train_config(*overrides):
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        return compose("train", list(overrides))


@pytest.mark.parametrize("file", sorted(CONF_DIR.rglob("*.yaml")), ids=lambda file: str(file.relative_to(CONF_DIR)))
def test_hydra_reads_the_header_that_a_file_has(file):
    """Hydra looks for a header up to the first line that is none: a comment before it hides it."""
    written = [line for line in file.read_text().splitlines() if line.lstrip("# ").startswith("@")]
    read = FileConfigSource("test", f"file://{CONF_DIR}").load_config(str(file.relative_to(CONF_DIR))).header
    assert written == [f"# @{key} {value}" for key, value in read.items() if value]


def test_a_search_of_nothing_leaves_the_space_empty_and_no_key_of_its_own():
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        cfg = compose("tune", ["search=none"])
    assert "search" not in cfg
    assert cfg.space == {}


def test_the_public_keys_of_training_can_all_be_set():
    keys = {
        "backbone.weights": None,
        "dataset.root": "/images",
        "dataset.limit": 7,
        "image_size": 96,
        "batch_size": 3,
        "schedule.epochs": 2,
        "precision": "float32",
        "seed": 5,
        "tracking.uri": "sqlite:////x.db",
        "output_dir": "/out",
    }
    text = [f"{key}={'null' if value is None else value}" for key, value in keys.items()]
    cfg = train_config("backbone=xception", "dataset=folders", "schedule=scratch", "augmentation=standard", *text)
    assert {key: OmegaConf.select(cfg, key) for key in keys} == keys


def test_the_quickstart_sweeps_over_the_seven_backbones_on_scenes_from_random_weights():
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        cfg = compose("train", ["experiment=quickstart"], return_hydra_config=True)
    assert sorted(cfg.hydra.sweeper.params.backbone.split(",")) == SEVEN
    assert (cfg.study, cfg.dataset.name, cfg.backbone.weights) == ("quickstart", "scenes", None)


def test_a_backbone_leaf_holds_no_more_than_its_name_its_input_and_its_application():
    cfg = train_config("backbone=xception")
    official = {
        "file": "xception_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "md5": "b0042744bf5b25fce3cb969f33bebb97",
        "address": "https://storage.googleapis.com/tensorflow/keras-applications/xception",
    }
    assert OmegaConf.to_container(cfg.backbone, resolve=True) == {
        "name": "xception",
        "weights": "imagenet",
        "smallest_side": 71,
        "dropout": 0.2,
        "head": {"pooling": "average", "hidden": []},
        "block_ends": r"block1_conv2_act|add(_\d+)?|block14_sepconv2_act",
        "official": official,
        "features": {
            "_target_": "facemask_ensemble.models.backbones.features",
            "_partial_": True,
            "application": {"_target_": "keras.applications.Xception", "_partial_": True},
            "preprocessing": "symmetric",
            "weights": "imagenet",
            "batch_norm_momentum": 0.9,
            "residual_gamma": None,
            "official": official,
            "initializer": None,
        },
    }


@pytest.mark.parametrize("leaf", ["scratch", "frozen", "finetune", "frozen_then_finetune", "auto"])
def test_every_schedule_returns_phases_that_last_the_epochs_asked_for(leaf):
    weights = "null" if leaf == "scratch" else "imagenet"
    cfg = train_config(f"schedule={leaf}", "schedule.epochs=3", f"backbone.weights={weights}")
    assert instantiate(cfg.schedule)[-1].epochs == 3


def test_blocks_are_unfrozen_step_by_step_at_falling_rates():
    stages = instantiate(train_config("schedule=gradual").schedule)
    assert [(stage.freeze_backbone, stage.last_blocks) for stage in stages] == [
        (True, None), (False, 1), (False, 2), (False, None),
    ]  # fmt: skip
    assert [stage.learning_rate for stage in stages] == [1e-3, 1e-4, 5e-5, 1e-5]
    assert all(stage.freeze_batch_norm for stage in stages)


@pytest.mark.parametrize("leaf", ["adam", "adamw", "sgd", "rmsprop"])
def test_every_optimizer_takes_decay_clipping_and_averaged_weights(leaf):
    cfg = train_config(f"optimizer={leaf}", "optimizer.make.weight_decay=0.01", "optimizer.make.global_clipnorm=1",
                       "optimizer.make.use_ema=true")  # fmt: skip
    optimizer = instantiate(cfg.optimizer.make)(learning_rate=0.5)
    assert type(optimizer).__name__.lower() == leaf
    assert (optimizer.weight_decay, optimizer.global_clipnorm, optimizer.use_ema) == (0.01, 1, True)
    assert float(optimizer.learning_rate) == 0.5


def test_paths_become_absolute_and_imagenet_stays_a_word(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cfg = absolute_paths(train_config("output_dir=out", "dataset=folders", "dataset.root=images"))
    assert cfg.output_dir == str(tmp_path / "out")
    assert cfg.dataset.root == str(tmp_path / "images")
    assert cfg.backbone.weights == "imagenet"


@pytest.mark.parametrize(
    "text", ["voting=soft", "+ties=abstain", "~ties", "++members=[a,b]", "voting@own=soft", "study=s"]
)
def test_a_rule_beside_an_ensemble_that_brings_its_own_is_refused(text, monkeypatch):
    given = OmegaConf.create({"overrides": {"task": ["input='voting=soft, x'", text]}})
    monkeypatch.setattr(HydraConfig, "get", lambda: given)
    with pytest.raises(InputError, match=re.escape(f"{text}: ensemble=models:/a@b has its own members")):
        refuse_other_rule("models:/a@b")


def test_what_only_looks_like_a_rule_is_not_refused(monkeypatch):
    given = OmegaConf.create({"overrides": {"task": ["votes=all", "input='voting=soft, x'", "runtime=keras"]}})
    monkeypatch.setattr(HydraConfig, "get", lambda: given)
    refuse_other_rule("models:/a@b")


def test_changes_of_the_data_are_told_however_they_are_written():
    given = ["dataset=scenes", "dataset.limit=9", "+dataset.extra=[a,b]", "~dataset.count", "dataset.root=x", "seed=1"]
    assert changes_of_data(given) == ["dataset.limit=9", "+dataset.extra=[a,b]", "~dataset.count"]
    assert changes_of_data(["dataset.roots=x", "dataset.name=y"]) == ["dataset.roots=x"]
