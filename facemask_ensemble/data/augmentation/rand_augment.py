"""RandAugment of operations that keep the label true."""

import keras
import tensorflow as tf

from facemask_ensemble.data.augmentation.colour import Equalization, Sharpness
from facemask_ensemble.data.augmentation.frame import InsideFrame
from facemask_ensemble.data.augmentation.randomness import Layer, new_state, next_seed, seed_all, states_of
from facemask_ensemble.errors import InputError


class RandAugment:
    """Change each image by a few operations drawn at random for it, all of one magnitude.

    After Cubuk et al., "RandAugment: Practical automated data augmentation with a reduced search space", 2020,
    https://arxiv.org/abs/1909.13719. Theirs shears and shifts parts of an image out of the frame, and a face that is
    cut away changes the label: here an image is turned, shrunk and shifted within it, and nothing is sheared or
    solarized. No operation is applied twice to an image, because twice the brightness hides what is in it. The strength
    of each is random, up to the magnitude.
    """

    def __init__(self, operations: int = 2, magnitude: float = 0.5, seed: int | None = None) -> None:
        """Set how many operations an image gets, and how strong they may be, in 0..1."""
        if not 0 <= magnitude <= 1:
            raise InputError(f"augmentation magnitude={magnitude}: must be from 0 to 1, such as 0.5")
        self.layers = _layers(magnitude)
        if operations not in range(1, len(self.layers) + 1):
            raise InputError(f"augmentation operations={operations}: must be from 1 to {len(self.layers)}, such as 2")
        self.operations = operations
        self.states = [new_state(None), *(state for layer in self.layers for state in states_of(layer))]
        if seed is not None:
            seed_all(self.states, seed)

    def __call__(self, pixels: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Change images (n, h, w, 3) in 0..255 when training, and give float32."""
        if not training:
            return pixels
        pixels = tf.cast(pixels, tf.float32)
        lots = tf.random.stateless_uniform((tf.shape(pixels)[0], len(self.layers)), next_seed(self.states[0]))
        drawn = tf.argsort(lots, axis=1)
        for turn in range(self.operations):
            pixels = tf.ensure_shape(self._apply(pixels, drawn[:, turn]), pixels.shape)
        return pixels

    def _apply(self, pixels: tf.Tensor, drawn: tf.Tensor) -> tf.Tensor:
        """Apply to each image the layer drawn for it, and no other: each works on a part of the batch."""
        rows = tf.dynamic_partition(tf.range(tf.size(drawn)), drawn, len(self.layers))
        parts = [_changed(layer, tf.gather(pixels, row)) for layer, row in zip(self.layers, rows, strict=True)]
        return tf.dynamic_stitch(rows, parts)


def _layers(magnitude: float) -> list[Layer]:
    """Make the operations; at magnitude 1 each still leaves every part of an image to be told from the next."""
    bits = 8 - round(4 * magnitude)
    return [
        InsideFrame(max_rotation=30 * magnitude, min_scale=1),
        InsideFrame(max_rotation=0, min_scale=1 - 0.4 * magnitude),
        keras.layers.RandomBrightness(0.3 * magnitude, dtype="float32"),
        keras.layers.RandomContrast(0.6 * magnitude, dtype="float32"),
        keras.layers.RandomColorDegeneration(0.9 * magnitude, dtype="float32"),
        Sharpness(magnitude),
        keras.layers.RandomPosterization((bits, bits), dtype="float32"),
        keras.layers.AutoContrast(dtype="float32"),
        Equalization(),
    ]


def _changed(layer: Layer, pixels: tf.Tensor) -> tf.Tensor:
    """Change the images, unless the batch is empty: not every Keras layer takes an empty batch."""
    return tf.cond(tf.size(pixels) > 0, lambda: layer(pixels, training=True), lambda: pixels)
