"""The whole augmentation of a training, as a function for tf.data."""

from collections.abc import Sequence

import keras
import tensorflow as tf

from facemask_ensemble.data.augmentation.mixup import MixUp
from facemask_ensemble.data.augmentation.randomness import Layer, seed_all, states_of
from facemask_ensemble.errors import InputError
from facemask_ensemble.settings.groups import Mixup


class Augmentation:
    """Change a batch at random, for `tf.data.Dataset.map`: the layers one after another, then mixup.

    `variables` are the random states, int64 (2,) each, in the order of the layers. Set back to what they were after
    some batch, the next batches are again those that followed it; so map one batch at a time.
    """

    def __init__(self, layers: Sequence[Layer], mixup: MixUp | None = None, seed: int = 0) -> None:
        """Take the layers and reset their random states: all random numbers follow from the seed.

        Raises:
            InputError: a layer is too coarse, or does not run in tf.data on Keras's present backend.
        """
        for layer in layers:
            _check(layer)
        self.layers = list(layers)
        self.mixup = mixup
        self.variables = [state for layer in layers for state in states_of(layer)]
        self.variables += mixup.states if mixup else []
        seed_all(self.variables, seed)

    def __call__(self, pixels: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Change images (n, h, w, 3) in 0..255 of any dtype into float32 in 0..255.

        Args:
            pixels: the batch.
            labels: one-hot float32 (n, classes), or int (n,), which mixup does not take.
        """
        pixels = tf.cast(pixels, tf.float32)
        for layer in self.layers:
            pixels = layer(pixels, training=True)
        pixels = tf.clip_by_value(pixels, 0.0, 255.0)
        return self.mixup(pixels, labels) if self.mixup else (pixels, labels)


def augmentation(layers: Sequence[Layer], mixup: Mixup | None, seed: int) -> Augmentation | None:
    """Build the augmentation of a training, or give None if there is none.

    Args:
        layers: of Keras, in float32, or of this package.
        mixup: how images are mixed, or None.
        seed: of all its draws, at least 0; a seed of a layer's own counts for nothing.
    """
    if not layers and mixup is None:
        return None
    return Augmentation(layers, None if mixup is None else MixUp(mixup.alpha, mixup.classes), seed)


def _check(layer: Layer) -> None:
    if not isinstance(layer, keras.layers.Layer):
        return
    if layer.compute_dtype != "float32":
        raise InputError(
            f"augmentation layer {layer.name!r} computes in {layer.compute_dtype}, which has too few "
            "digits for 256 grey levels; "
            "add `dtype: float32` to it"
        )
    if keras.backend.backend() != "tensorflow" and not hasattr(layer, "convert_weight"):
        raise InputError(
            f"augmentation layer {layer.name!r} needs KERAS_BACKEND=tensorflow, but Keras runs on "
            f"{keras.backend.backend()}; use one of Keras's image augmentation layers"
        )
