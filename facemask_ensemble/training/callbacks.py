"""Callbacks of one training; always made fresh, since Keras's remember the last model's best."""

import csv
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

Metrics = dict[str, float]


class BestWeights(keras.callbacks.Callback):
    """Keep the weights of the lowest validation loss in a file, over all phases that it is used in.

    Keras's checkpoint would write the optimizer's state too, three times as much.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path, self.loss = path, math.inf

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Write the weights if they are the best so far; a loss that is nan never is."""
        loss = float((logs or {})["val_loss"])
        if loss < self.loss:
            part = self.path.with_suffix(".part")
            with part.open("wb") as file:
                np.savez(file, *self.model.get_weights())
            part.replace(self.path)
            self.loss = loss

    def restore(self, model: keras.Model) -> None:
        """Set a model's weights to the best."""
        with np.load(self.path) as arrays:
            model.set_weights([arrays[name] for name in arrays.files])


class EpochReport(keras.callbacks.Callback):
    """Hand each finished epoch's metrics on: to a CSV file at once, then to every listener.

    Args:
        path: CSV file, one line an epoch; lines of earlier phases are kept.
        listeners: called with (epoch from 1, metrics).
        first_epoch: number of epochs that earlier phases took.
    """

    def __init__(self, path: Path, listeners: list[Callable[[int, Metrics], None]], first_epoch: int = 0) -> None:
        super().__init__()
        self.path, self.listeners, self.epochs_before = path, listeners, first_epoch
        self.started = time.monotonic()

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Start the epoch's clock."""
        self.started = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Write the line, then tell the listeners."""
        number = self.epochs_before + epoch + 1
        metrics = {name: float(value) for name, value in (logs or {}).items()}
        metrics["learning_rate"] = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        metrics["epoch_seconds"] = time.monotonic() - self.started
        is_new = not self.path.exists()
        with self.path.open("a", newline="") as file:
            writer = csv.DictWriter(file, ["epoch", *metrics])
            if is_new:
                writer.writeheader()
            writer.writerow({"epoch": number, **metrics})
        for listen in self.listeners:
            listen(number, metrics)


def epoch_line(name: str, epochs: int) -> Callable[[int, Metrics], None]:
    """Print one line an epoch, for terminals that show several trainings or none."""

    def show(epoch: int, metrics: Metrics) -> None:
        print(
            f"{name:>18}  epoch {epoch:>2}/{epochs}  loss {metrics['loss']:.3f}  accuracy {metrics['accuracy']:.3f}  "
            f"val_loss {metrics['val_loss']:.3f}  val_accuracy {metrics['val_accuracy']:.3f}  "
            f"{metrics['epoch_seconds']:.0f} s",
            flush=True,
        )

    return show
