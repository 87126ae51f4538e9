"""Callbacks of one phase; always made fresh, since Keras's remember the last model's best."""

import csv
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from facemask_ensemble.data.arrays import write_arrays
from facemask_ensemble.errors import InputError
from facemask_ensemble.training import checkpoint
from facemask_ensemble.training.checkpoint import Progress, Variables, Writer, copy_of

Metrics = dict[str, float]
LOSS_INTERVAL = 10  # steps from one whose losses are read to the next
MEMORY = {
    keras.callbacks.EarlyStopping: ("wait", "best", "best_epoch"),
    keras.callbacks.ReduceLROnPlateau: ("wait", "best", "cooldown_counter"),
}


class BestWeights(keras.callbacks.Callback):
    """Keep the weights of the lowest validation loss in a file, over all phases.

    Keras's checkpoint would write the optimizer's state too, three times as much. The file carries its epoch in its
    name, so that one from an epoch that a killed training did not finish is never taken for another's.

    Args:
        folder: of the files.
        progress: where the best loss and its epoch are noted.
        network: whose weights are kept; what is fitted may be its head alone.
        writer: of the files.
    """

    def __init__(self, folder: Path, progress: Progress, network: keras.Model, writer: Writer) -> None:
        super().__init__()
        self.folder, self.progress, self.network, self.writer = folder, progress, network, writer

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Write the weights if they are the best so far; a loss that is nan never is."""
        loss = float((logs or {})["val_loss"])
        if loss < self.progress.best_loss:
            self.progress.best_loss, self.progress.best_epoch = loss, self.progress.epochs + 1
            averages = averages_of(self.model)
            arrays = [averages.get(id(weight), weight) for weight in self.network.weights]
            numbered = {str(number): copy_of(array) for number, array in enumerate(arrays)}
            self.writer.write(write_arrays, self.path, numbered)

    @property
    def path(self) -> Path:
        """The file of the best weights."""
        return self.folder / f"best-{self.progress.best_epoch:04d}.npz"

    def restore(self) -> None:
        """Set the network's weights to the best, once they are written."""
        self.writer.wait()
        with np.load(self.path) as arrays:
            self.network.set_weights([arrays[name] for name in arrays.files])

    def tidy(self, best: Path) -> None:
        """Delete the files of weights that are no longer the best."""
        for file in self.folder.glob("best-*.npz*"):
            if file != best:
                file.unlink()


class Averaged(keras.callbacks.Callback):
    """Validate with the moving average of the weights, and continue to train without it."""

    def __init__(self) -> None:
        super().__init__()
        self.own: list[np.ndarray] = []

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Put the averages in the weights' place."""
        averages, weights = averages_of(self.model), self.model.trainable_variables
        self.own = [keras.ops.convert_to_numpy(weight) for weight in weights]
        for weight in weights:
            weight.assign(averages[id(weight)])

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        """Put the weights back."""
        for weight, own in zip(self.model.trainable_variables, self.own, strict=True):
            weight.assign(own)


def averages_of(model: keras.Model) -> dict[int, keras.Variable]:
    """Give the moving averages that the optimizer keeps, by the id of the weight; empty where it keeps none."""
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    if not optimizer.use_ema:
        return {}
    averages = optimizer._model_variables_moving_average
    return {id(weight): average for weight, average in zip(model.trainable_variables, averages, strict=True)}


class Callbacks(keras.callbacks.CallbackList):
    """Tell callbacks the losses of some steps only: reading a loss waits for the end of its step.

    A step without such a wait overlaps with the preparation of the next one, above all on a GPU. For these steps
    callbacks and the progress bar get no losses.

    Args:
        listed: the callbacks, in their order.
        after_step: called after every step; raises what is to stop the training.
        options: of Keras's list.
    """

    def __init__(
        self, listed: Sequence[keras.callbacks.Callback], after_step: Callable[[], None], **options: Any
    ) -> None:
        super().__init__(listed, **options)
        self.after_step = after_step

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Pass the end of a step on."""
        self.after_step()
        super().on_train_batch_end(batch, logs if (batch + 1) % LOSS_INTERVAL == 0 else None)

    def on_test_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Pass the end of a validation step on; only the losses of the last one are read."""
        self.after_step()
        super().on_test_batch_end(batch)


class FiniteLoss(keras.callbacks.Callback):
    """Stop the training when the loss is no longer finite; the last checkpoint stays on disk.

    It looks at some steps and at every epoch's end, so it stands before the callbacks that write. Keras gives the mean
    loss of the epoch so far: once that is not finite it stays so, and no step is missed.
    """

    def __init__(self, progress: Progress, rate: float) -> None:
        super().__init__()
        self.progress, self.rate, self.number = progress, rate, 0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Note the epoch."""
        self.number = self.progress.epochs + 1

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Check the loss if it is given."""
        if logs:
            self._check(logs["loss"], f" by step {batch + 1}")

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Check the epoch's loss before anything is written."""
        self._check((logs or {})["loss"])

    def _check(self, loss: float, when: str = "") -> None:
        if not math.isfinite(loss):
            kept = f"the checkpoint of epoch {self.number - 1} is kept; " if self.number > 1 else ""
            raise InputError(
                f"schedule.learning_rate={self.rate:g}: the loss became {loss} in epoch {self.number}{when}; {kept}"
                "lower the rate, limit the gradient (optimizer.make.global_clipnorm=1), or use precision=float32"
            )


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


class Checkpoint(keras.callbacks.Callback):
    """Keep the state after every epoch, written while the next one trains; the last callback of a phase.

    Args:
        folder: of the checkpoint.
        progress: counted on here; what earlier callbacks noted in it is kept with it.
        variables: whose values are kept.
        controls: callbacks whose memory is kept, and restored when the training resumes.
        best: whose outdated files may go once the checkpoint names its new one; its writer writes both.
        epochs: of the phase.
        passes: over the training images that an epoch takes: 1, or 0 where it learns from features.
    """

    def __init__(
        self,
        folder: Path,
        progress: Progress,
        variables: Variables,
        controls: list[keras.callbacks.Callback],
        best: BestWeights,
        epochs: int,
        passes: int,
    ) -> None:
        super().__init__()
        self.folder, self.progress, self.variables = folder, progress, variables
        self.controls, self.best, self.epochs, self.passes = controls, best, epochs, passes

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Give the other callbacks, which have just forgotten, their memory back."""
        for control in self.controls:
            for name, value in self.progress.controls.get(type(control).__name__, {}).items():
                setattr(control, name, value)

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Wait for the last epoch's files: no more than one epoch is ever in memory, or lost with a machine."""
        self.best.writer.wait()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Count the epoch and have everything written down."""
        self.progress.epoch, self.progress.epochs = epoch + 1, self.progress.epochs + 1
        self.progress.passes += self.passes
        self.progress.over = self.model.stop_training or epoch + 1 == self.epochs
        self.progress.controls = {type(control).__name__: memory(control) for control in self.controls}
        needless = {"optimizer"} if self.progress.over else set()  # the next phase has its own
        kept = {name: group for name, group in self.variables.items() if name not in needless}
        self.best.writer.write(self._write, checkpoint.state_of(self.progress, kept), self.best.path)

    def _write(self, state: dict[str, np.ndarray], best: Path) -> None:
        checkpoint.save(self.folder, state)
        self.best.tidy(best)


def memory(control: keras.callbacks.Callback) -> dict[str, Any]:
    """Read what a callback has to remember, as plain numbers."""
    values = {name: getattr(control, name) for name in MEMORY[type(control)]}
    return {name: None if value is None else float(value) for name, value in values.items()}


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
