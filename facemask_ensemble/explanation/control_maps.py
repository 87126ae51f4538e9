"""Control maps that need no model: a heatmap must beat them to carry information."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import sobel

from facemask_ensemble.errors import InputError
from facemask_ensemble.explanation.overlay import LUMA, enlarge
from facemask_ensemble.rounding import negligible

SPREAD = 0.25  # standard deviation of the centre map, as a share of each side
BRIGHTEST = 255
GRID = (7, 7)  # cells of the noise: the last feature map of most backbones at 224 pixels


def centre_map(height: int, width: int) -> NDArray[np.float32]:
    """Draw a Gaussian in the middle, float32 (h, w) in 0..1 with peak 1.

    Photographs show their subject in the middle, so that a method may look right only because its maps do too.
    """
    _refuse_small("an image", (height, width))
    rows, columns = ((np.arange(side) - (side - 1) / 2) / (SPREAD * side) for side in (height, width))
    bell = np.exp(-(rows[:, None] ** 2 + columns**2) / 2)
    return (bell / bell.max()).astype(np.float32)


def random_maps(
    count: int, height: int, width: int, seed: int | Sequence[int] = 0, grid: tuple[int, int] = GRID
) -> NDArray[np.float32]:
    """Draw smooth noise, another map for every image, float32 (count, h, w) in 0..1 with lowest 0 and peak 1.

    Each map is uniform noise on a grid, enlarged as the maps of a feature layer are: noise of single pixels would be
    taken away as a fine pattern all over the image, which no heatmap does.

    Args:
        count: of maps; more of them begin with the same ones.
        height: of the maps.
        width: of the maps.
        seed: fixes the maps.
        grid: rows and columns of the noise.
    """
    _refuse_small("an image", (height, width))
    _refuse_small("the grid of the noise", grid)
    noise = np.random.default_rng(seed).random((count, *grid), dtype=np.float32)
    large = np.array([enlarge(one, height, width) for one in noise], np.float32).reshape(count, height, width)
    large -= large.min(axis=(1, 2), keepdims=True)
    return large / large.max(axis=(1, 2), keepdims=True)


def edge_maps(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Draw the edges of images, uint8 (n, h, w, 3), as float32 (n, h, w) in 0..1 with peak 1, or 0 without an edge.

    They look like an explanation and depend on no model: the planted method of J. Adebayo et al., "Sanity checks for
    saliency maps", NeurIPS (2018). Strength is the length of the gradient of the grey image by the operator of
    I. Sobel and G. Feldman, "A 3x3 isotropic gradient operator for image processing", Stanford AI Project (1968).
    """
    if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[-1] != 3:
        raise InputError(f"pixels are uint8 (n, h, w, 3), received {pixels.dtype} {pixels.shape}: pass RGB images")
    edges = np.zeros(pixels.shape[:3], np.float32)
    for drawn, image in zip(edges, pixels, strict=True):
        grey = image @ LUMA
        strength = np.hypot(sobel(grey, axis=0), sobel(grey, axis=1))
        drawn[:] = 0 if negligible(strength.max(), BRIGHTEST) else strength / strength.max()
    return edges


def _refuse_small(what: str, sides: tuple[int, int]) -> None:
    if min(sides) < 2:
        raise InputError(f"{what} has at least 2x2 cells to tell places apart, received {sides[0]}x{sides[1]}: enlarge")
