"""The similarity of two maps."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.stats import rankdata

from facemask_ensemble.rounding import constant

CELLS = 32


def rank_correlation(first: NDArray[np.floating], second: NDArray[np.floating]) -> NDArray[np.float64]:
    """Give Spearman's rank correlation of two maps of each image, (n, h, w), -1..1, float (n,); 0 for a flat map.

    It is taken over the maps as drawn over the image and not over the cells of the feature map, which not every
    method has, so that all are compared alike. Maps of more than 32 cells a side are averaged to 32 first: no last
    feature map is finer, and thousands of pixels interpolated between its cells say nothing more.
    """
    one, other = (_ranks(_cells(maps).reshape(len(maps), -1)) for maps in (first, second))
    one, other = (ranks - ranks.mean(axis=1, keepdims=True) for ranks in (one, other))
    scale = np.sqrt((one**2).sum(axis=1) * (other**2).sum(axis=1))
    return np.divide((one * other).sum(axis=1), scale, out=np.zeros(len(one)), where=scale > 0)


def _ranks(cells: NDArray[np.float32]) -> NDArray[np.float64]:
    """Rank the cells of each map, (n, cells); those of a flat map are level, whatever rounding says."""
    flat = constant(cells, axis=1)
    return np.asarray(rankdata(np.where(flat[:, None], 0, cells), axis=1))


def _cells(maps: NDArray[np.floating]) -> NDArray[np.float32]:
    height, width = (min(side, CELLS) for side in maps.shape[1:])
    if (height, width) == maps.shape[1:]:
        return maps.astype(np.float32)
    box = Image.Resampling.BOX
    return np.array([Image.fromarray(one.astype(np.float32)).resize((width, height), box) for one in maps], np.float32)
