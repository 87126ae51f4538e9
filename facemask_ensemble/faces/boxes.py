"""Boxes around faces, and the faces cut out of them."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

REDUCE = 2.0  # an image is first shrunk coarsely, to no less than so many times the size asked for


Margin = tuple[float, float, float, float]


@dataclass(frozen=True)
class Box:
    """Where a face is, in whole pixels; `score` is how sure its detector is, None where it does not say."""

    left: int
    top: int
    width: int
    height: int
    score: float | None = None

    @property
    def corners(self) -> tuple[int, int, int, int]:
        """Give left, top, right and bottom, the last two exclusive."""
        return self.left, self.top, self.left + self.width, self.top + self.height


Find = Callable[[NDArray[np.uint8]], list[Box]]  # a detector, called with an image, uint8 (h, w, 3), RGB


def scaled(box: Box, across: float, down: float) -> Box:
    """Give a box as it lies in its image made so many times as wide and as high."""
    left, top, right, bottom = box.corners
    left, right = round(left * across), round(right * across)
    top, bottom = round(top * down), round(bottom * down)
    return Box(left, top, right - left, bottom - top, box.score)


def clipped(box: Box, width: int, height: int) -> Box | None:
    """Cut off what lies outside of an image; None where nothing is left."""
    left, top, right, bottom = box.corners
    left, top, right, bottom = max(left, 0), max(top, 0), min(right, width), min(bottom, height)
    return Box(left, top, right - left, bottom - top, box.score) if left < right and top < bottom else None


def cut(image: NDArray[np.uint8], box: Box, margin: Margin) -> NDArray[np.uint8]:
    """Cut a face out, a copy, with a margin around its box, as far as the image reaches.

    Args:
        image: uint8 (h, w, 3).
        box: inside the image.
        margin: shares of the box's width and height, at least 0, that are added at its left, top, right and bottom.
    """
    left, top, right, bottom = box.corners
    before, above, behind, below = margin
    left, right = left - round(before * box.width), right + round(behind * box.width)
    top, bottom = top - round(above * box.height), bottom + round(below * box.height)
    return image[max(top, 0) : bottom, max(left, 0) : right].copy()


def find_boxes(find: Find, image: NDArray[np.uint8], longest: int | None) -> list[Box]:
    """Find faces in an image, from left to right.

    Args:
        find: the detector.
        image: uint8 (h, w, 3), RGB.
        longest: pixels of the longer side at which a larger image is searched; None for its own size.

    Returns:
        Boxes in pixels of the image itself, all of them inside.
    """
    height, width = image.shape[:2]
    searched = image if longest is None else shrunk(image, longest)
    across, down = width / searched.shape[1], height / searched.shape[0]
    boxes = [clipped(scaled(box, across, down), width, height) for box in find(searched)]
    return sorted((box for box in boxes if box), key=lambda box: box.corners)


def shrunk(image: NDArray[np.uint8], longest: int) -> NDArray[np.uint8]:
    """Bring an image's longer side down to `longest` pixels; a smaller image stays as it is."""
    height, width = image.shape[:2]
    scale = longest / max(height, width)
    if scale >= 1:
        return image
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = Image.fromarray(image).resize(size, Image.Resampling.BILINEAR, reducing_gap=REDUCE)
    return np.asarray(small)
