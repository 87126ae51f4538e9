"""What a network learns from, and what is the same in all phases of its training."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import keras
import tensorflow as tf

from facemask_ensemble.models.optimizers import Adam


@dataclass(frozen=True)
class Data:
    """What a network learns from.

    `train(passes)` gives batches of (pixels, labels) or (pixels, labels, weights), in the order that follows on so
    many passes made before; `validation` the first two. `randomness` are the random states of the augmentation;
    `share` cuts batches so that all devices get as much.
    """

    train: Callable[[int], tf.data.Dataset]
    validation: tf.data.Dataset
    images: int
    batch_size: int
    seed: int = 0
    randomness: Sequence[keras.Variable] = ()
    share: Callable[[tf.data.Dataset], tf.data.Dataset] = lambda data: data

    @property
    def steps(self) -> int:
        """Batches in a pass."""
        return -(-self.images // self.batch_size)


@dataclass(frozen=True)
class Recipe:
    """What is the same in all phases: the optimizer, made from a rate, the loss, and the ends of blocks."""

    optimizer: Callable[..., keras.optimizers.Optimizer] = Adam
    loss: str | keras.losses.Loss = "categorical_crossentropy"
    block_ends: str | None = None
