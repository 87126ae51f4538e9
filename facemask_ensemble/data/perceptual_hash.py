"""How images look: perceptual hashes, computed many at a time."""

import numpy as np

SIDE = 32  # pixels of the thumbnail that a hash is made of
KEPT = 8  # lowest frequencies a side: 64 bits
PLAIN = 4.0  # below this spread of grey levels a hash is of noise, and says nothing about an image
GREY = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601

_waves = np.cos(np.pi / SIDE * np.outer(np.arange(KEPT), np.arange(SIDE) + 0.5)).astype(np.float32)


def looks(thumbnails: np.ndarray) -> tuple[list[str], list[str]]:
    """Hash how images and their mirror images look, 64 bits each.

    Perceptual hash by the discrete cosine transform: each of the lowest 8x8 frequencies of the grey image gives a
    bit, set where it is above their median (N. Krawetz, "Looks Like It", 2011).

    Args:
        thumbnails: uint8 (n, 32, 32, 3), RGB.

    Returns:
        Hashes of the images and of their mirror images, 16 hexadecimal digits, "" for a plain image.
    """
    grey = thumbnails.astype(np.float32) @ GREY
    plain = grey.std(axis=(1, 2)) < PLAIN
    return _texts(grey, plain), _texts(grey[:, :, ::-1], plain)


def _texts(grey: np.ndarray, plain: np.ndarray) -> list[str]:
    frequencies = (_waves @ grey @ _waves.T).reshape(len(grey), KEPT * KEPT)
    bits = frequencies > np.median(frequencies, axis=1, keepdims=True)
    return ["" if dull else word.tobytes().hex() for dull, word in zip(plain, np.packbits(bits, axis=1), strict=True)]
