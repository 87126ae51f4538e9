"""Settings as a command composes them, for tests of what lies below the commands."""

from hydra import compose, initialize_config_dir

from facemask_ensemble.config import CONF_DIR, read_settings
from facemask_ensemble.settings.groups import Backbone, Dataset
from facemask_ensemble.settings.train import TrainSettings


def config_of(command, *overrides, **options):
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        return compose(command, list(overrides), **options)


def settings_of(kind, command, *overrides):
    return read_settings(kind, config_of(command, *overrides))


def train_settings(*overrides) -> TrainSettings:
    return settings_of(TrainSettings, "train", *overrides)


def dataset_settings(*overrides) -> Dataset:
    return train_settings(*overrides).dataset


def backbone_settings(name, *overrides) -> Backbone:
    return train_settings(f"backbone={name}", *overrides).backbone
