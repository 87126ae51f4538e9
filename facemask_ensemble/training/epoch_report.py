"""What is told of every finished epoch."""

import csv
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras

Metrics = dict[str, float]


class EpochReport(keras.callbacks.Callback):
    """Hand each finished epoch's metrics on: first to a CSV file, then to every listener.

    To Keras's own it adds `learning_rate`, `epoch_seconds` (validation included) and `images_per_second` of the
    training part alone; the first epoch of a phase includes TensorFlow's tracing of the network.

    Args:
        path: CSV file, one line an epoch; lines of earlier phases are kept, and their columns.
        listeners: called with (epoch from 1, metrics).
        images: trained on in an epoch.
        first_epoch: number of epochs that earlier phases took.
    """

    def __init__(
        self, path: Path, listeners: list[Callable[[int, Metrics], None]], images: int, first_epoch: int = 0
    ) -> None:
        super().__init__()
        self.path, self.listeners, self.images, self.epochs_before = path, listeners, images, first_epoch
        self.started, self.trained = time.perf_counter(), math.nan

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Start the epoch's clock."""
        self.started, self.trained = time.perf_counter(), math.nan

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Note when the epoch's training part was over and its validation began."""
        self.trained = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Write the line, then tell the listeners."""
        ended = time.perf_counter()
        trained = ended if math.isnan(self.trained) else self.trained
        number = self.epochs_before + epoch + 1
        metrics = {name: float(value) for name, value in (logs or {}).items()}
        metrics["learning_rate"] = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        metrics["epoch_seconds"] = ended - self.started
        metrics["images_per_second"] = self.images / (trained - self.started)
        self._write(number, metrics)
        for listen in self.listeners:
            listen(number, metrics)

    def _write(self, number: int, metrics: Metrics) -> None:
        line = {"epoch": number, **metrics}
        known = self.path.open(newline="").readline().strip().split(",") if self.path.exists() else None
        with self.path.open("a", newline="") as file:
            writer = csv.DictWriter(file, known or list(line), extrasaction="ignore")
            if known is None:
                writer.writeheader()
            writer.writerow(line)


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
