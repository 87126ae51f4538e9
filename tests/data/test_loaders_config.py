import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import OmegaConf

from facemask_ensemble.config import CONF_DIR, options
from facemask_ensemble.errors import InputError
from facemask_ensemble.training.launch import check

SPARSE, ONE_HOT = "sparse_categorical_crossentropy", "categorical_crossentropy"


def train_config(*overrides, **options):
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        return compose("train", ["backbone=deep_cnn", *overrides], **options)


@pytest.mark.parametrize(
    ("name", "labels", "loss"),
    [("tf_data", "one_hot", ONE_HOT), ("directory", "integers", SPARSE), ("generator", "one_hot", ONE_HOT)],
)
def test_each_loader_has_the_labels_and_the_loss_that_its_users_take(name, labels, loss):
    config = train_config(f"loader={name}")
    check(config)
    loader = OmegaConf.to_container(config.loader, resolve=True)
    assert (loader["name"], loader["labels"], loader["loss"], loader["resize"]) == (name, labels, loss, "ours")
    read = instantiate(loader["batches"])
    assert (read.func.__name__, read.keywords["labels"]) == (name, labels)
    assert read.keywords.get("resize", "ours") == "ours"


def test_there_are_three_loaders_and_our_own_is_the_default():
    assert options("loader") == ["directory", "generator", "tf_data"]
    assert train_config().loader.name == "tf_data"


def test_the_way_of_resizing_reaches_the_reader():
    loader = train_config("loader=directory", "loader.resize=reader").loader
    assert loader["batches"]["resize"] == "reader"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["loader.resize=none"], "loader.resize=none: must be one of ours, reader"),
        (
            ["loader.resize=reader"],
            "loader.resize=reader: loader=tf_data takes loader.resize=ours only; give loader=dir",
        ),
        (["loader.labels=words"], "loader.labels=words: must be one of one_hot, integers"),
        (
            ["loader.labels=integers"],
            "loader.loss=categorical_.*: loader.labels=integers need sparse_cat",
        ),
        (["loader=directory", "loader.loss=mse"], "loader.loss=mse: loader.labels=integers need sparse_categorical"),
    ],
)
def test_what_does_not_go_together_is_refused_before_any_training(overrides, message):
    with pytest.raises(InputError, match=message):
        check(train_config(*overrides))


def test_labels_and_loss_may_be_changed_together():
    check(train_config("loader=tf_data", "loader.labels=integers", f"loader.loss={SPARSE}"))


def test_the_study_trains_one_network_on_three_loaders_with_three_seeds():
    config = train_config("experiment=import_options", return_hydra_config=True)
    assert OmegaConf.to_container(config.hydra.sweeper.params) == {
        "loader": "tf_data,directory,generator",
        "seed": "0,1,2",
    }
    assert (config.backbone.name, config.backbone.weights, config.image_size) == ("deep_cnn", None, 64)
