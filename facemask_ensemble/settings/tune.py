"""What `tune` takes: all that `train` takes, and the settings of the search."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Annotated, Any, Literal

from facemask_ensemble.settings.fields import Above0, Positive, Rule, Target, Text, group
from facemask_ensemble.settings.train import TrainSettings


@group
class TuneSettings(TrainSettings):
    """The settings of a search; `conf/tune.yaml` has their defaults.

    Attributes:
        trials: total number, over all processes and machines.
        timeout: no trial starts after this many seconds.
        metric: of a trial, which the search improves.
        storage: address of Optuna's database; null for the sqlite file in the output folder.
        jobs: trials at a time on this machine.
        space: what is searched, by config keys; `tuning.space` reads it.
        sampler: takes a seed and gives Optuna's sampler.
        pruner: of Optuna.
    """

    trials: Positive
    timeout: Annotated[Above0 | None, Rule("a number of seconds above 0, or null")]
    metric: Literal["val_loss", "val_accuracy"]
    storage: Text | None
    jobs: Positive
    space: Mapping[str, Any]
    sampler: Target
    pruner: Target

    @property
    def training(self) -> TrainSettings:
        """Give the settings of the training alone."""
        return TrainSettings(**{field.name: getattr(self, field.name) for field in fields(TrainSettings)})
