"""Schedules: which layers train, for how long and at which rate. A schedule is a function that returns phases."""

from dataclasses import dataclass

from facemask_ensemble.errors import InputError


@dataclass(frozen=True)
class Phase:
    """One stretch of training.

    `learning_rate` is the highest rate. `decay` is `cosine` (after a linear warm-up over `warmup` of all steps) or
    `plateau` (halved when the validation loss stops falling). `patience` is the number of epochs without a better
    validation loss after which the phase ends early, or None.
    """

    epochs: int
    learning_rate: float
    decay: str = "plateau"
    warmup: float = 0.0
    freeze_backbone: bool = False
    freeze_batch_norm: bool = False
    patience: int | None = 5


def scratch(
    *, epochs: int, learning_rate: float, warmup: float, patience: int | None, weights: str | None = None
) -> tuple[Phase, ...]:
    """Train everything at once: for random initialisation."""
    return (Phase(epochs, learning_rate, "cosine", warmup, patience=patience),)


def frozen(*, epochs: int, learning_rate: float, patience: int | None, weights: str | None) -> tuple[Phase, ...]:
    """Train the head on a frozen backbone."""
    _need_pretrained("frozen", weights)
    return (Phase(epochs, learning_rate, freeze_backbone=True, patience=patience),)


def finetune(*, epochs: int, learning_rate: float, patience: int | None, weights: str | None) -> tuple[Phase, ...]:
    """Train everything but BatchNorm, at a low rate."""
    _need_pretrained("finetune", weights)
    return (Phase(epochs, learning_rate, freeze_batch_norm=True, patience=patience),)


def frozen_then_finetune(
    *,
    epochs: int,
    learning_rate: float,
    head_epochs: int,
    head_learning_rate: float,
    patience: int | None,
    weights: str | None,
) -> tuple[Phase, ...]:
    """Train the head first, then everything but BatchNorm at a low rate."""
    _need_pretrained("frozen_then_finetune", weights)
    head = Phase(head_epochs, head_learning_rate, freeze_backbone=True, patience=patience)
    return (head, Phase(epochs, learning_rate, freeze_batch_norm=True, patience=patience))


def auto(
    *,
    epochs: int,
    learning_rate: float,
    warmup: float,
    head_epochs: int,
    head_learning_rate: float,
    finetune_learning_rate: float,
    patience: int | None,
    weights: str | None,
) -> tuple[Phase, ...]:
    """Choose `scratch` for random initialisation and `frozen_then_finetune` for pretrained weights."""
    if weights is None:
        return scratch(epochs=epochs, learning_rate=learning_rate, warmup=warmup, patience=patience)
    return frozen_then_finetune(
        epochs=epochs,
        learning_rate=finetune_learning_rate,
        head_epochs=head_epochs,
        head_learning_rate=head_learning_rate,
        patience=patience,
        weights=weights,
    )


def _need_pretrained(name: str, weights: str | None) -> None:
    if weights is None:
        raise InputError(
            f"schedule={name} keeps layers as they are, and backbone.weights=null made them random; "
            "use schedule=scratch, or pretrained weights"
        )
