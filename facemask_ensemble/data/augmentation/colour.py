"""Two changes of colour that Keras's own layers do not make as one image needs them."""

import keras
import tensorflow as tf

from facemask_ensemble.data.augmentation.randomness import states_of


class Sharpness:
    """Blur or sharpen by `keras.layers.RandomSharpness`, without its rim: to it all is black beyond the edges."""

    def __init__(self, amount: float) -> None:
        """Set how far it may go, from 0 for nothing to 1 for a 3x3 mean or as much the other way."""
        self.layer = keras.layers.RandomSharpness((0.5 - amount / 2, 0.5 + amount / 2), dtype="float32")
        self.states = states_of(self.layer)

    def __call__(self, pixels: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Change images (n, h, w, 3) in 0..255 when training."""
        padded = tf.pad(pixels, [[0, 0], [1, 1], [1, 1], [0, 0]], "SYMMETRIC")
        return self.layer(padded, training=training)[:, 1:-1, 1:-1]


class Equalization:
    """Equalize each image by itself; `keras.layers.Equalization` takes one histogram of a whole batch."""

    def __init__(self) -> None:
        self.states: list[tf.Variable] = []

    def __call__(self, pixels: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Change images (n, h, w, 3) in 0..255 when training."""
        return equalized(pixels) if training else pixels


def equalized(pixels: tf.Tensor) -> tf.Tensor:
    """Spread the grey levels of each image evenly over 0..255, and move its three channels by the same amount.

    Channel by channel, it would turn the faint tints of a grey image into gaudy blocks.

    Args:
        pixels: float32 (n, h, w, 3) in 0..255.

    Returns:
        The same shape and range; an image of a single grey level stays as it is.
    """
    grey = tf.image.rgb_to_grayscale(pixels)
    rows = tf.reshape(grey, [tf.shape(grey)[0], tf.shape(grey)[1] * tf.shape(grey)[2]])
    levels = tf.cast(tf.clip_by_value(tf.round(rows), 0, 255), tf.int32)
    seen = tf.cumsum(tf.math.bincount(levels, minlength=256, maxlength=256, axis=-1), axis=1)
    total = seen[:, -1:]
    darkest = tf.reduce_min(tf.where(seen > 0, seen, total), axis=1, keepdims=True)
    table = 255 * tf.cast(seen - darkest, tf.float32) / tf.cast(tf.maximum(total - darkest, 1), tf.float32)
    spread = tf.where(total > darkest, tf.gather(table, levels, batch_dims=1), rows)
    return tf.clip_by_value(pixels + tf.reshape(spread, tf.shape(grey)) - grey, 0, 255)
