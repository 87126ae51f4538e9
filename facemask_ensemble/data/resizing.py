"""From a file to squares of pixels, as a training sees them, without TensorFlow: in a process that starts at once.

`reader.stream_pixels` does the same for a training, where TensorFlow is there already; tests hold the two together.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from facemask_ensemble.data.decoding import decode, drafted

SHARP = 0.85  # a JPEG may come at half its size, or a quarter, if no side falls below this share of the size asked for
BAND = 8  # rows that are resampled at a time
Band = tuple[slice, slice, NDArray[np.float32]]


def least_side(size: int) -> int:
    """Give the side in pixels below which a JPEG that becomes a square of `size` may not be decoded."""
    return int(np.ceil(SHARP * size))


def read_content(data: bytes, sizes: Sequence[int]) -> list[NDArray[np.uint8]]:
    """Read a file's content as `stream_pixels` reads the file, uint8 (size, size, 3) for each of the sizes.

    It is decoded once for all of them; a JPEG that one size allows to shrink further than another, once for each scale.

    Raises:
        ImageError: it is no image.
    """
    decoded: dict[tuple[int, int], NDArray[np.uint8]] = {}
    squares = []
    for size in sizes:
        side = drafted(data, least_side(size))
        if side not in decoded:
            decoded[side] = np.asarray(decode(data, least_side(size)))
        squares.append(squeeze(decoded[side], size))
    return squares


def squeeze(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Bring a whole image, (h, w, 3), into a square of `size` pixels a side.

    A side that is halved or more is averaged over areas, as TensorFlow's ResizeArea does; what is left is interpolated
    between two pixels, as its ResizeBilinear does with half-pixel centres.
    """
    height, width = image.shape[:2]
    shrinks = max(height, width) > 2 * size
    rows = _resample(image.reshape(height, width * 3), _bands(height, size, shrinks))
    columns = rows.reshape(size, width, 3).transpose(1, 0, 2).reshape(width, size * 3)
    square = _resample(columns, _bands(width, size, shrinks)).reshape(size, size, 3).transpose(1, 0, 2)
    return (square + 0.5).astype(np.uint8)


def _resample(lines: np.ndarray, bands: Sequence[Band]) -> NDArray[np.float32]:
    """Mix lines, (n, k), into fewer or more of them, (size, k), a band at a time: an image may be large."""
    mixed = np.empty((bands[-1][0].stop, lines.shape[1]), np.float32)
    for to, of, weights in bands:
        np.matmul(weights, lines[of].astype(np.float32), out=mixed[to])
    return mixed


@lru_cache(maxsize=256)
def _bands(length: int, size: int, shrinks: bool) -> list[Band]:
    """Give for every band of new lines the old lines that it is mixed of, and their weights."""
    weights = _between(min(length, size), size) @ _areas(length, size) if shrinks else _between(length, size)
    bands = []
    for start in range(0, size, BAND):
        to = slice(start, min(size, start + BAND))
        used = np.flatnonzero(weights[to].any(axis=0))
        of = slice(int(used[0]), int(used[-1]) + 1)
        bands.append((to, of, np.ascontiguousarray(weights[to, of], np.float32)))
    return bands


def _areas(length: int, size: int) -> NDArray[np.float64]:
    """Average `length` lines over `size` equal stretches, (size, length); fewer lines than that stay as they are."""
    if length <= size:
        return np.eye(length)
    edges = np.arange(size + 1) * length / size
    places = np.arange(length)
    ends = np.minimum(edges[1:, None], places + 1) - np.maximum(edges[:-1, None], places)
    return np.clip(ends, 0, None) * size / length


def _between(length: int, size: int) -> NDArray[np.float64]:
    """Interpolate `size` lines between the centres of `length`, (size, length)."""
    centres = np.maximum((np.arange(size) + 0.5) * length / size - 0.5, 0)
    low = np.floor(centres).astype(int)
    high = np.minimum(low + 1, length - 1)
    share = centres - low
    weights = np.zeros((size, length))
    np.add.at(weights, (np.arange(size), low), 1 - share)
    np.add.at(weights, (np.arange(size), high), share)
    return weights
