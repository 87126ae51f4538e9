"""Fit a classifier phase by phase and keep its best weights."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import pandas as pd
import tensorflow as tf

from facemask_ensemble.errors import InputError
from facemask_ensemble.models.classifier import freeze
from facemask_ensemble.training.callbacks import BestWeights, EpochReport, Metrics
from facemask_ensemble.training.record import HISTORY
from facemask_ensemble.training.schedules import Phase

BEST = "best.npz"


def fit(
    model: keras.Model,
    train: tf.data.Dataset,
    validation: tf.data.Dataset,
    phases: Sequence[Phase],
    folder: Path,
    listeners: Sequence[Callable[[int, Metrics], None]] = (),
    *,
    pictures: int,
    loss: str = "categorical_crossentropy",
    show_bar: bool = False,
) -> pd.DataFrame:
    """Train through all phases; the model ends with the weights of its lowest validation loss.

    Args:
        model: takes pixels (n, h, w, 3), gives probabilities (n, classes).
        train: batches of (pixels, labels).
        validation: the same.
        phases: one after the other, each with a fresh optimizer and fresh callbacks.
        folder: where `history.csv` grows and the best weights are kept while training.
        listeners: called with (epoch, metrics) after every epoch.
        pictures: in `train`.
        loss: Keras's name of the one that goes with the labels: one-hot ones by default.
        show_bar: a progress bar an epoch, for a terminal that shows this training alone.

    Returns:
        The history, one row an epoch.

    Raises:
        InputError: the loss was never finite.
    """
    best = BestWeights(folder / BEST)
    for phase in phases:
        freeze(model, backbone=phase.freeze_backbone, batch_norm=phase.freeze_batch_norm)
        model.compile(_optimizer(phase, len(train)), loss, metrics=["accuracy"])
        done = _read(folder)
        report = EpochReport(folder / HISTORY, list(listeners), pictures, first_epoch=len(done))
        callbacks = [best, *_controls(phase), report]
        model.fit(
            train,
            validation_data=validation,
            epochs=phase.epochs,
            callbacks=callbacks,
            verbose=1 if show_bar else 0,
            shuffle=False,
        )
        if not math.isfinite(best.loss):
            raise InputError(
                f"schedule.learning_rate={phase.learning_rate:g}: the loss was never finite; lower it, or use "
                "precision=float32"
            )
        best.restore(model)
    (folder / BEST).unlink()
    return _read(folder)


def _optimizer(phase: Phase, steps_per_epoch: int) -> keras.optimizers.Optimizer:
    if phase.decay == "plateau":
        return keras.optimizers.Adam(phase.learning_rate)
    steps = phase.epochs * steps_per_epoch
    warmup = round(steps * phase.warmup)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0 if warmup else phase.learning_rate,
        max(1, steps - warmup),
        warmup_target=phase.learning_rate if warmup else None,
        warmup_steps=warmup,
    )
    return keras.optimizers.Adam(rate)


def _controls(phase: Phase) -> list[keras.callbacks.Callback]:
    controls: list[keras.callbacks.Callback] = [keras.callbacks.TerminateOnNaN()]
    if phase.decay == "plateau":
        controls.append(keras.callbacks.ReduceLROnPlateau(monitor="val_loss", factor=0.5, patience=2))
    if phase.patience is not None:
        controls.append(keras.callbacks.EarlyStopping(monitor="val_loss", patience=phase.patience))
    return controls


def _read(folder: Path) -> pd.DataFrame:
    path = folder / HISTORY
    return pd.read_csv(path) if path.exists() else pd.DataFrame()
