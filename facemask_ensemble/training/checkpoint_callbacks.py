"""Callbacks that write: the best weights, and the state after every epoch."""

from pathlib import Path
from typing import Any

import keras
import numpy as np

from facemask_ensemble.data.arrays import write_arrays
from facemask_ensemble.training import checkpoint
from facemask_ensemble.training.averages import averages_of
from facemask_ensemble.training.checkpoint import Progress, Variables, Writer, copy_of

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
