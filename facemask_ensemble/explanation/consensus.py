"""Joint heatmaps: where the members behind the vote looked, where the others looked, where they differ."""

from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from facemask_ensemble.errors import InputError


class Shared(NamedTuple):
    """Maps float32 (n, h, w) in 0..1; all zero where no member that counts has a map."""

    consensus: NDArray[np.float32]
    losers: NDArray[np.float32]
    disagreement: NDArray[np.float32]


def share(maps: NDArray[np.floating], answers: NDArray[np.integer], winners: NDArray[np.integer]) -> Shared:
    """Put the maps of members together, each of its own answer.

    The consensus is the mean map of the members behind the winner, the losers' that of the others, each with its peak
    at 1. Disagreement is twice the standard deviation of all the maps: 1 where half of the members put their peak and
    the others nothing, 0 where all maps are the same.

    Args:
        maps: (members, n, h, w) in 0..1, all zero for an image that a member has no map for, which does not count.
        answers: class of every member and image, int (members, n).
        winners: the vote's class of every image, int (n,).
    """
    _refuse_wrong(maps, answers, winners)
    given = np.asarray(maps.any(axis=(2, 3)))
    behind = answers == winners
    count = given.sum(axis=0)[:, None, None]
    mean = maps.sum(axis=0) / np.maximum(count, 1)
    spread = (((maps - mean) ** 2) * given[:, :, None, None]).sum(axis=0) / np.maximum(count, 1)
    return Shared(
        mean_map(maps, given & behind), mean_map(maps, given & ~behind), (2 * np.sqrt(spread)).astype(np.float32)
    )


def overlap(maps: NDArray[np.floating]) -> NDArray[np.float64]:
    """Give for every image how much of their mass two members' maps share, on average over the pairs, float (n,).

    1 for maps of the same shape, 0 for maps that share no pixel: the intersection of the maps, each of sum 1 (M. Swain,
    D. Ballard, "Color indexing", International Journal of Computer Vision 7, 1991). Nan where fewer than two members
    have a map.

    Args:
        maps: (members, n, h, w), not negative; all zero for an image that a member has no map for.
    """
    mass = maps.reshape(*maps.shape[:2], -1).astype(np.float32)
    total = mass.sum(axis=2, keepdims=True)
    mass = np.divide(mass, total, out=np.zeros_like(mass), where=total > 0)
    given = total[..., 0] > 0
    shared, pairs = np.zeros(maps.shape[1]), np.zeros(maps.shape[1])
    for one, other in combinations(range(len(maps)), 2):
        both = given[one] & given[other]
        shared += np.where(both, np.minimum(mass[one], mass[other]).sum(axis=1), 0)
        pairs += both
    return np.divide(shared, pairs, out=np.full(len(pairs), np.nan), where=pairs > 0)


def mean_map(maps: NDArray[np.floating], counted: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Average the maps that count, and bring the peak to 1, float32 (n, h, w); all zero where every map is.

    Args:
        maps: (members, n, h, w), not negative; all zero for an image that a member has no map for.
        counted: (members, n).
    """
    mean = (maps * counted[:, :, None, None]).sum(axis=0)
    peak = mean.max(axis=(1, 2), keepdims=True)
    return np.divide(mean, peak, out=np.zeros_like(mean), where=peak > 0).astype(np.float32)


def _refuse_wrong(maps: NDArray[np.floating], answers: NDArray[np.integer], winners: NDArray[np.integer]) -> None:
    if maps.ndim != 4 or answers.shape != maps.shape[:2] or winners.shape != maps.shape[1:2]:
        raise InputError(
            f"maps are (members, n, h, w), answers (members, n) and winners (n,), received {maps.shape}, "
            f"{answers.shape} and {winners.shape}: take all of the same members and images"
        )
    if not (np.isfinite(maps).all() and maps.min(initial=0) >= 0 and maps.max(initial=0) <= 1):
        raise InputError("maps lie in 0..1, received others: take them from `heatmaps`, which scales each by its peak")
