"""Small networks that are trained from scratch."""

from collections.abc import Sequence

import keras


def convolutions(pixels: keras.KerasTensor, *, filters: Sequence[int]) -> keras.KerasTensor:
    """Stack 3x3 convolutions, each halving the map, on pixels 0..255 brought to 0..1.

    Args:
        pixels: float (n, h, w, 3).
        filters: channels of each convolution.

    Returns:
        The last map before its halving: (n, h / 2^(k-1), w / 2^(k-1), filters[-1]) for k convolutions.
    """
    x = keras.layers.Rescaling(1 / 255, dtype="float32")(pixels)
    for number, channels in enumerate(filters):
        if number:
            x = keras.layers.MaxPooling2D()(x)
        x = keras.layers.Conv2D(channels, 3, padding="same", activation="relu", kernel_initializer="he_normal")(x)
    return x
