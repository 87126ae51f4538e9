"""Light, blur and noise over a finished image, in whole numbers so that every machine agrees."""

from functools import lru_cache

import numpy as np
from PIL import Image, ImageFilter

from facemask_ensemble.scenes.difficulty import Difficulty
from facemask_ensemble.scenes.rng import Rng

LIGHTS = 24


@lru_cache(maxsize=96)
def _light(size: int, kind: int, depth: int) -> np.ndarray:
    """Spread light from one of 24 directions, with softly darker corners: (size, 3 size) in 1/256."""
    place = (np.arange(size) * 2 - size + 1) * 64 // size
    x, y = place[None, :], place[:, None]
    across, down = (kind % 6) * 2 - 5, kind // 6 * 2 - 3
    slope = (across * x + down * y) * depth // 640
    corner = (x * x + y * y) * depth // 16384
    return np.repeat(264 + slope - corner, 3, axis=1).astype(np.int32)


def finish(image: Image.Image, rng: Rng, level: Difficulty) -> np.ndarray:
    """Light the image, then blur and grain it as the difficulty asks: uint8 (size, size, 3)."""
    size = image.width
    if rng.chance(level.blur):
        image = image.filter(ImageFilter.BoxBlur(size / 160))
    gain = rng.between(1 - level.light, 1 + level.light * 0.5)
    warm = rng.between(-level.warmth, level.warmth)
    gain /= 1 + abs(warm) * 0.6
    tint = np.array([int(256 * gain * share) for share in (1 + warm, 1, 1 - warm)] * size, np.int32)
    light = _light(size, rng.whole(0, LIGHTS - 1), 24 + int(level.light * 120)) * tint >> 8
    pixels = np.asarray(image, np.int32).reshape(size, -1) * light >> 8
    grain = np.frombuffer(rng.generator.bytes(pixels.size), np.uint8).reshape(size, -1)
    pixels += (grain.astype(np.int32) * (2 * level.noise + 1) >> 8) - level.noise
    return np.clip(pixels, 0, 255).astype(np.uint8).reshape(size, size, 3)
