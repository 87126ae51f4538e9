"""Schedules: which layers train, for how long and at which rate. A schedule is a function that returns phases."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from facemask_ensemble.errors import InputError

DECAYS = ("plateau", "cosine", "constant")


@dataclass(frozen=True)
class Phase:
    """One stretch of training.

    `learning_rate` is the highest rate. `decay` is `cosine` (after a linear warm-up over `warmup` of all steps),
    `plateau` (halved when the validation loss stops falling) or `constant`. `patience` is the number of epochs without
    a better validation loss after which the phase ends early, or None.

    What trains is the head and of the backbone: nothing (`freeze_backbone`; the head then learns from features that are
    computed once, of `copies` augmented copies of every image), the layers from number `first_trainable` on, the
    `last_blocks`, or all. `freeze_batch_norm` keeps every BatchNorm as it is.
    """

    epochs: int
    learning_rate: float
    decay: str = "plateau"
    warmup: float = 0.0
    freeze_backbone: bool = False
    freeze_batch_norm: bool = False
    first_trainable: int | None = None
    last_blocks: int | None = None
    copies: int = 2
    patience: int | None = 5

    def __post_init__(self) -> None:
        """Refuse impossible phases."""
        _whole("epochs", self.epochs, 1)
        _whole("copies", self.copies, 1)
        for name in ("first_trainable", "last_blocks", "patience"):
            if (value := getattr(self, name)) is not None:
                _whole(name, value, 0 if name == "first_trainable" else 1)
        rate = self.learning_rate
        if not isinstance(rate, int | float) or not math.isfinite(rate) or rate <= 0:
            raise InputError(f"schedule.learning_rate={rate}: must be a number above 0, such as 1e-3")
        if self.decay not in DECAYS:
            raise InputError(f"schedule.decay={self.decay}: must be one of {', '.join(DECAYS)}")
        if not isinstance(self.warmup, int | float) or not 0 <= self.warmup < 1:
            raise InputError(f"schedule.warmup={self.warmup}: must be a share of all steps from 0 to below 1")
        if self.first_trainable is not None and self.last_blocks is not None:
            raise InputError(
                f"schedule.first_trainable={self.first_trainable} and last_blocks={self.last_blocks} both choose "
                "the layers that train; give one of them and null for the other"
            )


def scratch(*, weights: str | None = None, **phase: Any) -> tuple[Phase, ...]:
    """Train all layers: for random weights."""
    return (Phase(**phase),)


def frozen(*, weights: str | None, **phase: Any) -> tuple[Phase, ...]:
    """Train the head on a frozen backbone."""
    _need_pretrained("frozen", weights)
    return (Phase(**phase, freeze_backbone=True),)


def finetune(*, weights: str | None, **phase: Any) -> tuple[Phase, ...]:
    """Train a pretrained backbone, whole or from some layer on."""
    _need_pretrained("finetune", weights)
    return (Phase(**phase),)


def frozen_then_finetune(
    *, head_epochs: int, head_learning_rate: float, copies: int, weights: str | None, **phase: Any
) -> tuple[Phase, ...]:
    """Train the head first, then the backbone at a low rate."""
    _need_pretrained("frozen_then_finetune", weights)
    patience = phase.get("patience")
    head = Phase(head_epochs, head_learning_rate, freeze_backbone=True, copies=copies, patience=patience)
    return (head, Phase(**phase))


def phases(*, weights: str | None, stages: Sequence[Mapping[str, Any]], **shared: Any) -> tuple[Phase, ...]:
    """Train stage by stage, each described by the fields of `Phase`; what a stage leaves out is `shared`."""
    _need_pretrained("phases", weights)
    try:
        return tuple(Phase(**{**shared, **stage}) for stage in stages)
    except TypeError as error:
        names = ", ".join(Phase.__dataclass_fields__)
        raise InputError(f"schedule.stages: {error}; a stage takes {names}") from error


def auto(
    *,
    epochs: int,
    learning_rate: float,
    warmup: float,
    head_epochs: int,
    head_learning_rate: float,
    finetune_learning_rate: float,
    copies: int,
    patience: int | None,
    weights: str | None,
) -> tuple[Phase, ...]:
    """Choose `scratch` for random weights and `frozen_then_finetune` for pretrained weights."""
    start = Phase(epochs, learning_rate, "cosine", warmup, patience=patience)
    if weights is None:
        return (start,)
    head = Phase(head_epochs, head_learning_rate, freeze_backbone=True, copies=copies, patience=patience)
    rest = replace(start, learning_rate=finetune_learning_rate, decay="plateau", warmup=0.0, freeze_batch_norm=True)
    return (head, rest)


def _need_pretrained(name: str, weights: str | None) -> None:
    if weights is None:
        raise InputError(
            f"schedule={name} freezes layers, but backbone.weights=null makes them random; "
            "use schedule=scratch, or pretrained weights"
        )


def _whole(name: str, value: Any, minimum: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < minimum:
        raise InputError(f"schedule.{name}={value}: must be a whole number of at least {minimum}")
