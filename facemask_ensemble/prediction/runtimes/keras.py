"""The runtime that members are trained with: Keras on TensorFlow, one compiled function a member."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import psutil
from numpy.typing import NDArray

from facemask_ensemble.ensemble.sources import Source

if TYPE_CHECKING:
    import keras

Run = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
ROOM = 3  # times a model's file: what a network takes in memory, with its batch


class KerasNetwork:
    """A member in Keras; one that no longer fits into memory is loaded again for each batch of images."""

    milliseconds = None

    def __init__(self, file: Path, batch_size: int, *, keep: bool) -> None:
        self._file, self._batch_size = file, batch_size
        model = self._load()
        self.size = int(model.input_shape[1])
        self._model: keras.Model | None = model if keep else None
        self._run: Run | None = _compile(model) if keep else None

    @property
    def kept(self) -> bool:
        """Tell whether it stays in memory."""
        return self._model is not None

    def __call__(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Answer images in batches."""
        run = self._run or _compile(self._load())
        starts = range(0, len(pixels), self._batch_size)
        return np.concatenate([np.asarray(run(pixels[start : start + self._batch_size])) for start in starts])

    def model(self) -> "keras.Model":
        """Give the network itself."""
        return self._model or self._load()

    def _load(self) -> "keras.Model":
        from facemask_ensemble.models.classifier import load_classifier

        return load_classifier(self._file)


def load(sources: Sequence[Source], batch_size: int) -> list[KerasNetwork]:
    """Load members by their `.keras` files, as many as fit into memory."""
    from facemask_ensemble.tensorflow_import import start_tensorflow

    start_tensorflow()
    networks, room = [], psutil.virtual_memory().available
    for source in sources:
        room -= ROOM * source.file.stat().st_size
        networks.append(KerasNetwork(source.file, batch_size, keep=room > 0))
    return networks


def _compile(model: "keras.Model") -> Run:
    """Trace the network once, for any number of images."""
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec((None, *model.input_shape[1:]), tf.uint8)], autograph=False)
    def run(pixels: tf.Tensor) -> tf.Tensor:
        return tf.cast(model(tf.cast(pixels, tf.float32), training=False), tf.float32)

    traced = run.get_concrete_function()
    return lambda pixels: traced(tf.constant(pixels)).numpy()
