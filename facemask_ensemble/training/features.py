"""What a frozen backbone makes of every image, computed once, and the head that learns from it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from facemask_ensemble.data.arrays import write_arrays
from facemask_ensemble.data.loaders import from_passes
from facemask_ensemble.data.parallel import with_progress
from facemask_ensemble.data.pipelines import without_autotune
from facemask_ensemble.models.classifier import head_layers


@dataclass(frozen=True)
class Features:
    """Pooled features of `copies` augmented copies of the training images, and of the validation images.

    `train` holds, a copy, arrays (n, channels), labels (n,) or (n, classes) and perhaps weights (n,); `validation`
    the first two. `states` are the random states of the augmentation after the last copy.
    """

    train: list[tuple[np.ndarray, ...]]
    validation: tuple[np.ndarray, ...]
    states: list[np.ndarray]

    def save(self, path: Path) -> None:
        """Write them, whole or not at all."""
        groups = [*self.train, self.validation, self.states]
        arrays = {f"{group}/{part}": array for group, parts in enumerate(groups) for part, array in enumerate(parts)}
        write_arrays(path, {"copies": np.array(len(self.train)), **arrays})

    @classmethod
    def load(cls, path: Path) -> "Features":
        """Read what `save` wrote."""
        with np.load(path) as file:
            copies = int(file["copies"])
            groups = [[file[name] for name in file.files if name.startswith(f"{g}/")] for g in range(copies + 2)]
        return cls([tuple(parts) for parts in groups[:copies]], tuple(groups[copies]), groups[-1])


def compute_features(
    model: keras.Model,
    train: tf.data.Dataset,
    validation: tf.data.Dataset,
    copies: int,
    randomness: Sequence[keras.Variable] = (),
    steps: int | None = None,
) -> Features:
    """Send every image through the frozen backbone: training images `copies` times, each time augmented.

    Args:
        model: a classifier; what lies before its layer `pool` and that layer are used.
        train: batches of (pixels, labels) or (pixels, labels, weights).
        validation: the same.
        copies: passes over `train`.
        randomness: the random states of its augmentation.
        steps: batches in a pass over `train`, for the progress bar.
    """
    backbone = _function(keras.Model(model.input, model.get_layer("pool").output))
    augmented = [_pass(backbone, train, f"Features, copy {copy + 1} of {copies}", steps) for copy in range(copies)]
    plain = _pass(backbone, validation, "Features of the validation split", None)
    return Features(augmented, plain, [keras.ops.convert_to_numpy(state) for state in randomness])


def _function(backbone: keras.Model) -> Callable[[tf.Tensor], Any]:
    """Compile the way from pixels to features; Keras's own would ask every device of several for the whole batch."""
    if keras.backend.backend() != "tensorflow":
        return lambda pixels: backbone.predict_on_batch(pixels.numpy())
    return tf.function(partial(backbone, training=False), reduce_retracing=True)


def _pass(
    backbone: Callable[[tf.Tensor], Any], data: tf.data.Dataset, title: str, steps: int | None
) -> tuple[np.ndarray, ...]:
    parts = []
    for pixels, *answers in with_progress(data, steps, title):
        computed = np.asarray(backbone(tf.cast(pixels, tf.float32)), np.float32)
        parts.append((computed, *(np.asarray(answer) for answer in answers)))
    return tuple(np.concatenate(arrays) for arrays in zip(*parts, strict=True))


def head_of(model: keras.Model) -> keras.Model:
    """Give the head alone, as a network from pooled features to probabilities; its weights are the classifier's."""
    pooled = keras.Input(model.get_layer("pool").output.shape[1:], name="pooled", dtype="float32")
    x = pooled
    for layer in head_layers(model):
        x = layer(x)
    return keras.Model(pooled, x, name=f"{model.name}_head")


def head_batches(features: Features, batch_size: int, seed: int, first_epoch: int = 0) -> tf.data.Dataset:
    """Yield an epoch's batches: one copy after the other by epochs, in an order that epoch and seed determine.

    Args:
        features: of the training images.
        batch_size: images a batch; the last one may be smaller.
        seed: of the order.
        first_epoch: of this dataset; every iteration counts one on.
    """
    arrays = features.train[0]
    signature = tuple(tf.TensorSpec((None, *array.shape[1:]), array.dtype) for array in arrays)
    steps = -(-len(arrays[0]) // batch_size)

    def draw(epoch: int) -> Iterator[tuple[np.ndarray, ...]]:
        copy = features.train[epoch % len(features.train)]
        order = np.random.default_rng([seed, epoch]).permutation(len(copy[0]))
        batches = (order[start : start + batch_size] for start in range(0, len(order), batch_size))
        return (tuple(array[picked] for array in copy) for picked in batches)

    return without_autotune(from_passes(draw, first_epoch, signature, steps).prefetch(tf.data.AUTOTUNE))
