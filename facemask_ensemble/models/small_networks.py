"""Small networks that are trained from scratch."""

from collections.abc import Sequence

import keras

from facemask_ensemble.models.backbones import PREPROCESSING


def convolutions(
    pixels: keras.KerasTensor, *, filters: Sequence[int], padding: str = "same", pool_last: bool = False
) -> keras.KerasTensor:
    """Stack 3x3 convolutions, with the map halved between them, on pixels 0..255 brought to 0..1.

    Args:
        pixels: float (n, h, w, 3).
        filters: channels of each convolution.
        padding: `same`, or `valid`, where each convolution takes a pixel off every side.
        pool_last: halve the last map too.

    Returns:
        The last map: (n, h / 2^(k-1), w / 2^(k-1), filters[-1]) for k convolutions with `same`, halved once more with
        `pool_last`.
    """
    x = keras.layers.Rescaling(1 / 255, dtype="float32", name=PREPROCESSING)(pixels)
    for number, channels in enumerate(filters, 1):
        x = keras.layers.Conv2D(channels, 3, padding=padding, activation="relu", kernel_initializer="he_normal")(x)
        if number < len(filters) or pool_last:
            x = keras.layers.MaxPooling2D()(x)
    return x
