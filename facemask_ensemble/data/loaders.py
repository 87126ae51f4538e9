"""Batches for a network, from pictures already decoded."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf


def batches(
    pixels: np.ndarray,
    labels: np.ndarray,
    classes: int,
    batch_size: int,
    *,
    shuffle_seed: int | None = None,
    augment: Callable[[tf.Tensor], tf.Tensor] | None = None,
) -> tf.data.Dataset:
    """Yield (pixels, one-hot labels) in batches.

    Args:
        pixels: uint8 (n, h, w, 3); may be a memory map, it is read a batch at a time.
        labels: int (n,).
        classes: number of classes.
        batch_size: pictures a batch; the last one may be smaller.
        shuffle_seed: a new order every epoch, the same for the same seed; None keeps the order.
        augment: maps a batch of pixels, 0..255, to another of the same shape.
    """
    data = tf.data.Dataset.range(len(pixels))
    if shuffle_seed is not None:
        data = data.shuffle(len(pixels), seed=shuffle_seed, reshuffle_each_iteration=True)
    shape = (None, *pixels.shape[1:])
    one_hot = tf.one_hot(np.asarray(labels), classes)

    def gather(indices: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        picked = tf.numpy_function(lambda i: pixels[np.sort(i)], [indices], tf.uint8)
        return tf.ensure_shape(picked, shape), tf.gather(one_hot, tf.sort(indices))

    data = data.batch(batch_size).map(gather, num_parallel_calls=1)
    if augment is not None:
        # One call at a time: Keras layers draw from a seed that parallel calls would race for.
        chosen = augment
        data = data.map(lambda x, y: (chosen(x), y))
    return data.prefetch(tf.data.AUTOTUNE)
