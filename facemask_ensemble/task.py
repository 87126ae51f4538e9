"""The task: what a dataset's classes are about. What holds for one task alone is in its file of `conf/task`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import partial
from typing import Any

import hydra
import numpy as np
from numpy.typing import NDArray
from omegaconf import DictConfig, OmegaConf

from facemask_ensemble.config import CONF_DIR, options
from facemask_ensemble.errors import InputError

GENERIC = "generic"
ANY = "any"  # in place of a kind of boxes


@dataclass(frozen=True)
class BoxWords:
    """What a dataset's boxes hold: `noun` and `plural`, words for `kinds` of boxes, and each class's `evidence`.

    `evidence` names the kind of boxes that speaks for a class, or `any`.
    """

    noun: str
    plural: str
    kinds: Mapping[str, str]
    evidence: Mapping[str, str]


@dataclass(frozen=True)
class Misuse:
    """What an ensemble must not be used for: to decide `alone`, and for what lies `beyond` its classes."""

    alone: str
    beyond: str


@dataclass(frozen=True)
class Submission:
    """A competition's file: the dataset of the members that write it, and the columns of image and class."""

    dataset: str
    columns: tuple[str, str]


@dataclass(frozen=True)
class Task:
    """What is known of a task; conf/task/generic.yaml says what each field is for."""

    name: str
    question: str | None
    meanings: Mapping[str, str]
    caution: str
    misuse: Misuse
    boxes: BoxWords
    positive: tuple[str, ...]
    safest: tuple[str, ...] | None
    submission: Submission | None
    model_prefix: str
    example: Callable[[], NDArray[np.uint8]]


def task_of(config: Mapping[str, Any]) -> Task:
    """Make a task of a resolved `task` group.

    Raises:
        InputError: a key is missing, or is none of a task.
    """
    _refuse_other_keys(Task, "task", config)
    for key, kind in (("misuse", Misuse), ("boxes", BoxWords)):
        _refuse_other_keys(kind, f"task.{key}", config[key])
    _refuse_unknown_kinds(config["boxes"])
    safest, submission = config["safest"], config["submission"]
    if submission is not None:
        _refuse_other_keys(Submission, "task.submission", submission)
        submission = Submission(submission["dataset"], tuple(submission["columns"]))
    return Task(
        **{
            **config,
            "misuse": Misuse(**config["misuse"]),
            "boxes": BoxWords(**config["boxes"]),
            "positive": tuple(config["positive"]),
            "safest": None if safest is None else tuple(safest),
            "submission": submission,
            "example": partial(hydra.utils.instantiate, config["example"]),
        }
    )


def task_named(name: str) -> Task:
    """Make a task by its name, as runs and shipped ensembles record it.

    Raises:
        InputError: this installation has no such task.
    """
    if name not in options("task"):
        raise InputError(f"task={name}: there is no such task; choose one of {', '.join(options('task'))}")
    config = OmegaConf.to_container(_read(name), resolve=True)
    assert isinstance(config, dict)
    return task_of({str(key): value for key, value in config.items()})


def chosen_task(config: Mapping[str, Any] | None, recorded: str) -> Task:
    """Make the task of a command's `task` group; where none was chosen, that which was recorded with the members."""
    return task_named(recorded) if config is None else task_of(config)


def example_image(side: int = 64) -> NDArray[np.uint8]:
    """Draw red growing to the right and green growing downwards, uint8 (side, side, 3)."""
    ramp = np.linspace(0, 255, side).astype(np.uint8)
    red, green = np.broadcast_to(ramp, (side, side)), np.broadcast_to(ramp[:, None], (side, side))
    return np.stack([red, green, np.full((side, side), 128, np.uint8)], axis=2)


def _read(name: str) -> DictConfig:
    """Read a file of `conf/task` over those that its defaults name."""
    own = OmegaConf.load(CONF_DIR / "task" / f"{name}.yaml")
    assert isinstance(own, DictConfig)
    below = [_read(other) for other in own.pop("defaults", []) if other != "_self_"]
    merged = OmegaConf.merge(*below, own)
    assert isinstance(merged, DictConfig)
    return merged


def _refuse_unknown_kinds(boxes: Mapping[str, Any]) -> None:
    known = [*boxes["kinds"], ANY]
    for name, kind in boxes["evidence"].items():
        if kind not in known:
            raise InputError(f"task.boxes.evidence.{name}={kind}: must be one of {', '.join(known)}")


def _refuse_other_keys(kind: type, where: str, given: Mapping[str, Any]) -> None:
    known = {field.name for field in fields(kind)}
    if wrong := sorted(known ^ {*given}):
        said = "is no key of a task" if wrong[0] in given else "is missing"
        raise InputError(f"{where}.{wrong[0]} {said}; conf/task/generic.yaml has every key")
