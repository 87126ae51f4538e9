"""Heatmaps drawn over photographs."""

import numpy as np
from matplotlib import colormaps
from numpy.typing import NDArray
from PIL import Image

from facemask_ensemble.errors import InputError

COLORMAP = "plasma"
STRONGEST = 0.7
COLOUR_KEPT = 0.35
LUMA = np.array([0.299, 0.587, 0.114])


def overlay(pixels: NDArray[np.uint8], heatmap: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Draw a heatmap over its image, the stronger the less transparent.

    The image loses most of its colour, so that the colours seen are the map's.

    Args:
        pixels: uint8 (h, w, 3).
        heatmap: (rows, columns) in 0..1 covering the whole image, of any size.
    """
    _refuse_wrong(pixels, heatmap)
    heat = enlarge(heatmap, *pixels.shape[:2])
    colour = colormaps[COLORMAP](heat)[..., :3] * 255
    alpha = (STRONGEST * heat)[..., None]
    grey = pixels @ LUMA
    image = COLOUR_KEPT * pixels + (1 - COLOUR_KEPT) * grey[..., None]
    return np.rint(image * (1 - alpha) + colour * alpha).astype(np.uint8)


def enlarge(heatmap: NDArray[np.floating], height: int, width: int) -> NDArray[np.float32]:
    """Resize a heatmap to (height, width) smoothly, never beyond its own lowest and highest value."""
    if heatmap.shape == (height, width):
        return heatmap.astype(np.float32)
    resized = Image.fromarray(heatmap.astype(np.float32)).resize((width, height), Image.Resampling.BICUBIC)
    return np.clip(np.asarray(resized), np.float32(heatmap.min()), np.float32(heatmap.max()))


def _refuse_wrong(pixels: NDArray[np.uint8], heatmap: NDArray[np.floating]) -> None:
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[-1] != 3 or not pixels.size:
        raise InputError(f"an image is uint8 (h, w, 3), received {pixels.dtype} {pixels.shape}: pass one RGB image")
    if heatmap.ndim != 2 or not heatmap.size:
        raise InputError(f"a heatmap is (rows, columns), received shape {heatmap.shape}: pass one map of one image")
    if not (np.isfinite(heatmap).all() and heatmap.min() >= 0 and heatmap.max() <= 1):
        raise InputError(
            f"a heatmap lies in 0..1, received {heatmap.min():.3g}..{heatmap.max():.3g}: divide it by its largest value"
        )
