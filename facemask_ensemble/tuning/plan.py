"""What a search is asked to do, checked before Optuna or TensorFlow is imported."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import hydra
from omegaconf import DictConfig

from facemask_ensemble.config import read_settings
from facemask_ensemble.errors import InputError
from facemask_ensemble.overrides import parse, value_of
from facemask_ensemble.settings import Target, dump
from facemask_ensemble.settings.train import TrainSettings
from facemask_ensemble.settings.tune import TuneSettings
from facemask_ensemble.training.launch import checked
from facemask_ensemble.training.run_folder import APART
from facemask_ensemble.tuning.space import Searched, read_space

OWN = ("trials", "timeout", "metric", "storage", "jobs", "space", "search", "sampler", "pruner")
# What schedule=auto reads from random initialisation alone, and from pretrained weights alone.
SCRATCH = ("learning_rate", "warmup")
PRETRAINED = ("head_epochs", "head_learning_rate", "finetune_learning_rate", "copies")


@dataclass(frozen=True)
class Plan:
    """A search.

    Attributes:
        study: its name.
        metric: `val_loss` or `val_accuracy`.
        trials: total number.
        timeout: no trial starts after this many seconds; or None.
        jobs: trials at a time on this machine.
        storage: address of Optuna's database; None for the sqlite file in the output folder.
        space: what is searched.
        overrides: as given on the command line.
        training: the settings that every trial starts from.
        sampler: takes a seed and gives Optuna's sampler.
        pruner: of Optuna.
    """

    study: str
    metric: str
    trials: int
    timeout: float | None
    jobs: int
    storage: str | None
    space: tuple[Searched, ...]
    overrides: tuple[str, ...]
    training: TrainSettings
    sampler: Target
    pruner: Target

    @property
    def output_dir(self) -> Path:
        """Return the absolute folder of all results."""
        return self.training.output_dir

    @property
    def folder(self) -> Path:
        """Return where the search's own tables and images go."""
        return self.output_dir / "tune" / self.study

    def compose(self, drawn: Sequence[str]) -> TrainSettings:
        """Compose and check the settings of one trial, in the same study; Hydra must be initialised."""
        cfg = hydra.compose("tune", [*self.overrides, *drawn])
        return checked(replace(read_settings(TuneSettings, cfg).training, study=self.study))

    def terms(self, fingerprint: str) -> dict[str, Any]:
        """List the values that all trials of a study must share; paths by their last part, because machines differ."""
        decisive = {key: value for key, value in dump(self.training).items() if key not in APART}
        space = {f"space.{item.key}": _term(item) for item in self.space}
        return {"metric": self.metric, "fingerprint of the dataset": fingerprint, **space, **_flat(decisive)}


def read_plan(cfg: DictConfig, overrides: Sequence[str]) -> Plan:
    """Read a tune config and refuse what cannot be searched.

    Args:
        cfg: as composed.
        overrides: as given on the command line.

    Raises:
        InputError: naming the key, the value and the rule.
    """
    settings = read_settings(TuneSettings, cfg)
    space = read_space(settings.space, cfg, _given(overrides), OWN)
    _check_effect(settings, space)
    return Plan(
        study=settings.study,
        metric=settings.metric,
        trials=settings.trials,
        timeout=settings.timeout,
        jobs=settings.jobs,
        storage=settings.storage,
        space=tuple(space),
        overrides=tuple(overrides),
        training=checked(settings.training),
        sampler=settings.sampler,
        pruner=settings.pruner,
    )


def _given(overrides: Sequence[str]) -> dict[str, str]:
    return {override.key_or_group: value_of(override) for override in parse(overrides)}


def _check_effect(settings: TuneSettings, space: Sequence[Searched]) -> None:
    """Refuse to search a key that has no effect, or that changes the metric itself."""
    keys = [item.key for item in space]
    if settings.metric == "val_loss" and "label_smoothing" in keys:
        raise InputError("space.label_smoothing: changes the validation loss itself; give metric=val_accuracy")
    weights = settings.backbone.weights
    idle, other = (PRETRAINED, "recipe") if weights is None else (SCRATCH, "finetune")
    wrong = [key for key in keys if key.removeprefix("schedule.") in idle and key.startswith("schedule.")]
    if wrong and settings.schedule.name == "auto":
        raise InputError(
            f"space.{wrong[0]}: has no effect with backbone.weights={'null' if weights is None else weights}; choose "
            f"search={other}"
        )


def _term(item: Searched) -> list[Any]:
    return list(item.texts) if hasattr(item, "texts") else [item.low, item.high, item.log, item.step]


def _flat(values: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{above}{key}.")
        else:
            flat[f"{above}{key}"] = Path(value).name if isinstance(value, str) and value.startswith("/") else value
    return flat
