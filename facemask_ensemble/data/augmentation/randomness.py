"""The random states that augmentation draws from, and how one seed sets them all."""

from collections.abc import Iterable, Sequence
from typing import Protocol, TypeAlias

import keras
import numpy as np
import tensorflow as tf


class Change(Protocol):
    """A random change of images of our own; it has the call of a Keras layer."""

    @property
    def states(self) -> list[tf.Variable]:
        """Give every random state that it draws from."""

    def __call__(self, pixels: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Change images (n, h, w, 3) when training."""


Layer: TypeAlias = keras.layers.Layer | Change


def new_state(seed: int | None) -> tf.Variable:
    """Begin a stream of random numbers: int64 (2,), the seed and how often it was drawn from."""
    with tf.device("CPU:0"):  # where tf.data works
        return tf.Variable([_numbers(seed, 1)[0], 0], dtype=tf.int64, trainable=False)


def next_seed(state: tf.Variable) -> tf.Tensor:
    """Give the seed (2,) for one draw of `tf.random.stateless_*`, and count it."""
    seed = tf.identity(state)
    state.assign_add([0, 1])
    return seed


def states_of(layer: Layer) -> list[tf.Variable]:
    """Give the random states that a layer draws from within tf.data, always in the same order."""
    if isinstance(layer, keras.layers.Layer):
        return [state for part in layer._flatten_layers() for state in _states_of_keras(part)]
    return layer.states


def _states_of_keras(layer: keras.layers.Layer) -> Iterable[tf.Variable]:
    """Give a Keras layer's own state.

    An image layer has `generator` for the backend and, where that is not TensorFlow, another for tf.data that it makes
    at the first batch: it is made here, to be seeded and saved.
    """
    if hasattr(layer, "generator"):
        layer.backend.set_backend("tensorflow")
        generator = layer._get_seed_generator("tensorflow")
        layer.backend.reset()
        yield generator.state.value
    elif hasattr(layer, "seed_generator"):
        yield layer.seed_generator.state.value


def seed_all(states: Sequence[tf.Variable], seed: int) -> None:
    """Reset every state, each with its own number, which depends only on the seed and its place."""
    for state, number in zip(states, _numbers(seed, len(states)), strict=True):
        state.assign([number, 0])


def _numbers(seed: int | None, count: int) -> np.ndarray:
    """Spread a seed, or chance, over numbers that survive int32, to which JAX cuts all that it converts."""
    return np.random.SeedSequence(seed).generate_state(count) >> 1
