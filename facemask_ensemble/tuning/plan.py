"""What a search is asked to do, checked before Optuna or TensorFlow is imported."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hydra
from omegaconf import DictConfig, OmegaConf, open_dict

from facemask_ensemble.errors import InputError
from facemask_ensemble.training.launch import check
from facemask_ensemble.training.run_folder import APART
from facemask_ensemble.tuning.space import Searched, read_space

METRICS = ("val_loss", "val_accuracy")
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
        trials: in all.
        timeout: seconds after which no further trial begins, or None.
        jobs: trials at a time on this machine.
        storage: address of Optuna's database; None for the sqlite file in the output folder.
        space: what is searched.
        overrides: as given on the command line.
        config: the resolved train config that every trial starts from.
        sampler: the resolved config group.
        pruner: the resolved config group.
    """

    study: str
    metric: str
    trials: int
    timeout: float | None
    jobs: int
    storage: str | None
    space: tuple[Searched, ...]
    overrides: tuple[str, ...]
    config: dict[str, Any]
    sampler: dict[str, Any]
    pruner: dict[str, Any]

    @property
    def output_dir(self) -> Path:
        """Return the absolute folder of all results."""
        return Path(self.config["output_dir"])

    @property
    def folder(self) -> Path:
        """Return where the search's own tables and images go."""
        return self.output_dir / "tune" / self.study

    def compose(self, drawn: Sequence[str]) -> dict[str, Any]:
        """Compose and check the train config of one trial; Hydra must be initialised."""
        return train_config(hydra.compose("tune", [*self.overrides, *drawn]), self.study)

    def terms(self, fingerprint: str) -> dict[str, Any]:
        """List all on which the trials of a study must agree; paths by their last part, machines differ in the rest."""
        decisive = {key: value for key, value in self.config.items() if key not in APART}
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
    _check(cfg)
    space = read_space(cfg, _given(overrides), OWN)
    _check_effect(cfg, space)
    config = train_config(cfg.copy(), str(cfg.study))
    groups = {key: OmegaConf.to_container(cfg[key], resolve=True) for key in ("sampler", "pruner")}
    values = {key: cfg[key] for key in ("metric", "trials", "timeout", "jobs", "storage")}
    return Plan(study=str(cfg.study), space=tuple(space), overrides=tuple(overrides), config=config, **values, **groups)  # type: ignore[arg-type]


def train_config(cfg: DictConfig, study: str) -> dict[str, Any]:
    """Check and resolve what a composed tune config says about the training; the study keeps its name in all trials."""
    with open_dict(cfg):
        for key in OWN:
            cfg.pop(key, None)
        cfg.study = study
    return check(cfg)


def _check(cfg: DictConfig) -> None:
    for key in ("trials", "jobs"):
        if not isinstance(cfg[key], int) or isinstance(cfg[key], bool) or cfg[key] < 1:
            raise InputError(f"{key}={cfg[key]}: must be a whole number of at least 1")
    seconds = cfg.timeout
    if seconds is not None and not (isinstance(seconds, int | float) and math.isfinite(seconds) and seconds > 0):
        raise InputError(f"timeout={seconds}: must be a number of seconds above 0, or null")
    if cfg.metric not in METRICS:
        raise InputError(f"metric={cfg.metric}: must be one of {', '.join(METRICS)}")


def _given(overrides: Sequence[str]) -> dict[str, str]:
    parts = [text.lstrip("+~").partition("=") for text in overrides]
    return {key.partition("@")[0]: value for key, _, value in parts}


def _check_effect(cfg: DictConfig, space: Sequence[Searched]) -> None:
    """Refuse a search over what changes nothing, or over what changes the metric itself."""
    keys = [item.key for item in space]
    if cfg.metric == "val_loss" and "label_smoothing" in keys:
        raise InputError("space.label_smoothing: changes the validation loss itself; give metric=val_accuracy")
    weights = cfg.backbone.weights
    idle, other = (PRETRAINED, "recipe") if weights is None else (SCRATCH, "finetune")
    wrong = [key for key in keys if key.removeprefix("schedule.") in idle and key.startswith("schedule.")]
    if wrong and str(cfg.schedule.get("_target_", "")).endswith(".auto"):
        raise InputError(
            f"space.{wrong[0]}: has no effect with backbone.weights={'null' if weights is None else weights}; choose "
            f"search={other}"
        )


def _term(item: Searched) -> list[Any]:
    return list(item.texts) if hasattr(item, "texts") else [item.low, item.high, item.log, item.step]


def _flat(config: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{above}{key}.")
        else:
            flat[f"{above}{key}"] = Path(value).name if isinstance(value, str) and value.startswith("/") else value
    return flat
