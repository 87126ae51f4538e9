"""Callbacks that watch the steps of one phase; always made fresh, since Keras's remember the last model's best."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import keras

from facemask_ensemble.errors import InputError
from facemask_ensemble.training.checkpoint import Progress

LOSS_INTERVAL = 10  # steps from one whose losses are read to the next


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
