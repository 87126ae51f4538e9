"""Corrupt images: seven kinds of corruption in three strengths, after the idea of ImageNet-C.

| kind     | strength 1, 2, 3   | what is given                                                                |
| -------- | ------------------ | ---------------------------------------------------------------------------- |
| blur     | 0.4, 0.8, 1.4 %    | standard deviation of a Gaussian, of the shorter side                        |
| noise    | 12, 24, 44         | standard deviation of normal noise, in levels of 255; a grain is a 96th of   |
|          |                    | the shorter side, or a pixel where that is larger                            |
| dark     | 60, 35, 18 %       | of the light that is left                                                    |
| jpeg     | 40, 18, 10         | quality at which the image is saved, its shorter side 160 pixels at most   |
| small    | 70, 50, 35 %       | of its size, the shorter side taken as 128 pixels at most; enlarged again    |
| rotated  | 8, 16, 30 degrees  | to either side, shrunk to stay within the frame; the margin repeats the edge |
| occluded | 12, 18, 24 %       | of height and width: the sides of four grey rectangles                       |

Every length is relative to the image, and what is finer than a network sees does not count: an image of 64 pixels
and one of 2,000 suffer much alike, the small one rather more from `jpeg` and `small`. A person can still answer, but a
rectangle may hide the one thing that decides: nobody has to be right on all of `occluded`.

Source: D. Hendrycks and T. Dietterich, "Benchmarking neural network robustness to common corruptions and
perturbations", ICLR 2019; the kinds and strengths here are this project's own.
"""

import io
import math
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageFilter

from facemask_ensemble.errors import InputError

LEVELS: dict[str, tuple[float, float, float]] = {
    "blur": (0.004, 0.008, 0.014),
    "noise": (12, 24, 44),
    "dark": (0.6, 0.35, 0.18),
    "jpeg": (40, 18, 10),
    "small": (0.7, 0.5, 0.35),
    "rotated": (8, 16, 30),
    "occluded": (0.12, 0.18, 0.24),
}
KINDS = tuple(LEVELS)
STRENGTHS = (1, 2, 3)
GRAINS, SAVED_SIDE, SMALL_SIDE = 96, 160, 128  # of the shorter side; pixels
RECTANGLES, GREY = 4, 128


def corrupt(pixels: np.ndarray, kind: str, strength: int, seed: int) -> np.ndarray:
    """Corrupt one image, uint8 (h, w, 3) to uint8 (h, w, 3).

    What is drawn (noise, places, the side of a rotation) is the same at every strength of a seed and a kind, so that
    a stronger one is the same corruption, only more of it.

    Args:
        pixels: RGB, 0..255; left as it is.
        kind: one of `KINDS`.
        strength: one of `STRENGTHS`.
        seed: fixes what is drawn; not negative.

    Raises:
        InputError: an unknown kind or strength, or an array that is not such an image.
    """
    pixels = np.asarray(pixels)
    if kind not in LEVELS:
        raise InputError(f"corruption kind={kind}: must be one of {', '.join(KINDS)}")
    if strength not in STRENGTHS:
        raise InputError(f"corruption strength={strength}: must be 1, 2 or 3")
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
        raise InputError(
            f"An image must be uint8 of shape (height, width, 3), received {pixels.dtype} of {pixels.shape}: "
            "give one image, 0..255."
        )
    rng = np.random.default_rng([seed, KINDS.index(kind)])
    return HARMS[kind](pixels, LEVELS[kind][strength - 1], rng)


def _blur(pixels: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    radius = share * min(pixels.shape[:2])
    return np.array(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(radius)))


def _noise(pixels: np.ndarray, deviation: float, rng: np.random.Generator) -> np.ndarray:
    height, width = pixels.shape[:2]
    grain = max(1.0, min(height, width) / GRAINS)
    noise = rng.standard_normal((math.ceil(height / grain), math.ceil(width / grain), 3), np.float32) * deviation
    rows, columns = (np.arange(side) / grain for side in (height, width))
    spread = noise[rows.astype(int)][:, columns.astype(int)]
    return np.clip(np.rint(pixels + spread), 0, 255).astype(np.uint8)


def _dark(pixels: np.ndarray, left: float, rng: np.random.Generator) -> np.ndarray:
    return np.rint(pixels * np.float32(left)).astype(np.uint8)


def _jpeg(pixels: np.ndarray, quality: float, rng: np.random.Generator) -> np.ndarray:
    saved = io.BytesIO()
    _scaled(Image.fromarray(pixels), SAVED_SIDE).save(saved, "JPEG", quality=int(quality))
    return _enlarged(Image.open(saved), pixels)


def _small(pixels: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    side = share * min(SMALL_SIDE, *pixels.shape[:2])
    return _enlarged(_scaled(Image.fromarray(pixels), side), pixels)


def _rotated(pixels: np.ndarray, degrees: float, rng: np.random.Generator) -> np.ndarray:
    """Turn about the middle and shrink until all four corners are within the frame, as `augmentation.InsideFrame`."""
    height, width = pixels.shape[:2]
    angle = math.radians(degrees) * rng.choice([-1, 1])
    cos, sin = math.cos(angle), math.sin(angle)
    wide, high = width * cos + height * abs(sin), height * cos + width * abs(sin)
    grown = max(wide / width, high / height)
    # Turned back, the frame is as wide and high as this; the edge is repeated so far, as Pillow would fill with black.
    across, down = math.ceil((grown * wide - width) / 2) + 1, math.ceil((grown * high - height) / 2) + 1
    padded = Image.fromarray(np.pad(pixels, ((down, down), (across, across), (0, 0)), mode="edge"))
    cos, sin = grown * cos, grown * sin
    middle_x, middle_y = width / 2, height / 2
    back = (
        *(cos, sin, middle_x + across - cos * middle_x - sin * middle_y),
        *(-sin, cos, middle_y + down + sin * middle_x - cos * middle_y),
    )
    return np.array(padded.transform((width, height), Image.Transform.AFFINE, back, Image.Resampling.BILINEAR))


def _occluded(pixels: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    covered = pixels.copy()
    sides = np.maximum(1, np.rint(share * np.array(pixels.shape[:2]))).astype(int)
    middles = rng.random((RECTANGLES, 2)) * pixels.shape[:2]
    for top, left in np.clip(np.rint(middles - sides / 2).astype(int), 0, pixels.shape[:2] - sides):
        covered[top : top + sides[0], left : left + sides[1]] = GREY
    return covered


def _scaled(image: Image.Image, side: float) -> Image.Image:
    """Shrink an image until its shorter side is no longer than `side`, averaging over areas."""
    share = min(1.0, side / min(image.size))
    return image.resize([max(1, round(share * length)) for length in image.size], Image.Resampling.BOX)


def _enlarged(image: Image.Image, like: np.ndarray) -> np.ndarray:
    return np.array(image.resize(like.shape[1::-1], Image.Resampling.BICUBIC))


HARMS: dict[str, Callable[[np.ndarray, float, np.random.Generator], np.ndarray]] = {
    "blur": _blur,
    "noise": _noise,
    "dark": _dark,
    "jpeg": _jpeg,
    "small": _small,
    "rotated": _rotated,
    "occluded": _occluded,
}
