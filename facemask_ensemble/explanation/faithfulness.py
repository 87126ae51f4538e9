"""Faithfulness: whether the places of a map matter more for the answer than the centre or random places.

Measured by the deletion and insertion curves of `curves`, without knowing where anything is in the image.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facemask_ensemble.errors import InputError
from facemask_ensemble.evaluation.resampling import resampled
from facemask_ensemble.explanation.curves import Curves, areas

MEASURES = ("deletion", "insertion", "insertion_less_deletion")
FEWEST = 10  # images that an interval can rest on; a bootstrap of fewer is far too narrow
LEVEL = 0.95


def summarise(
    found: Mapping[str, Curves], controls: Sequence[str], *, draws: int = 10_000, seed: int = 0
) -> dict[str, Any]:
    """Give the mean areas under the curves of methods and controls, and how methods differ from controls.

    Intervals are of 95 %, by bootstrap over the images. Differences are method less control, over the images that
    both have a map of: a faithful method has a negative one in deletion and a positive one in insertion.

    Args:
        found: by name, the curves of all methods and controls over the same n images.
        controls: the names that are controls.
        draws: how often the images are drawn again.
        seed: fixes the draws.

    Returns:
        `images` (n), `steps`, `level`, `methods` and `controls`. Each of these by name: `images` (with a map),
        `without_map`, `deletion_curve` and `insertion_curve` (means, steps + 1 values, None without a map), and an
        estimate of `deletion`, `insertion` and `insertion_less_deletion`, the areas (0..1) and their difference;
        methods also `against`: by control, `images` and estimates of the differences by the same three names.
        An estimate is `mean`, `low` and `high`: all None without images, the last two with fewer than 10.
    """
    _refuse_wrong(found, controls)
    scores = {name: _scores(one) for name, one in found.items()}
    entries = {name: _entry(one, scores[name], draws, seed) for name, one in found.items()}
    for name in found:
        if name not in controls:
            entries[name]["against"] = _against(scores[name], {one: scores[one] for one in controls}, draws, seed)
    images, points = next(iter(found.values())).deletion.shape
    return {
        "images": images,
        "steps": points - 1,
        "level": LEVEL,
        "methods": {name: entry for name, entry in entries.items() if name not in controls},
        "controls": {name: entries[name] for name in controls},
    }


def _scores(found: Curves) -> NDArray[np.float64]:
    """Give the three measures of every image, (n, 3); nan without a map."""
    deletion, insertion = areas(found.deletion), areas(found.insertion)
    return np.stack([deletion, insertion, insertion - deletion], axis=1)


def _entry(found: Curves, scores: NDArray[np.float64], draws: int, seed: int) -> dict[str, Any]:
    explained = ~np.isnan(scores[:, 0])
    shown = {
        f"{kind}_curve": curve[explained].mean(axis=0).tolist() if explained.any() else None
        for kind, curve in found._asdict().items()
    }
    counts = {"images": int(explained.sum()), "without_map": int((~explained).sum())}
    return counts | _estimates(scores[explained], draws, seed) | shown


def _against(
    own: NDArray[np.float64], controls: Mapping[str, NDArray[np.float64]], draws: int, seed: int
) -> dict[str, Any]:
    against = {}
    for name, control in controls.items():
        differences = own - control
        both = differences[~np.isnan(differences[:, 0])]
        against[name] = {"images": len(both)} | _estimates(both, draws, seed)
    return against


def _estimates(values: NDArray[np.float64], draws: int, seed: int) -> dict[str, dict[str, float | None]]:
    """Estimate the mean of each of the three measures, (k, 3)."""
    none: list[float | None] = [None] * len(MEASURES)
    mean = values.mean(axis=0).tolist() if len(values) else none
    low, high = none, none
    if len(values) >= FEWEST:
        drawn = resampled(values, lambda sums: sums / len(values), draws=draws, seed=seed, level=LEVEL)
        low, high = drawn["low"].tolist(), drawn["high"].tolist()
    return {
        measure: {"mean": mean[place], "low": low[place], "high": high[place]} for place, measure in enumerate(MEASURES)
    }


def _refuse_wrong(found: Mapping[str, Curves], controls: Sequence[str]) -> None:
    strangers = [name for name in controls if name not in found]
    if strangers or not found:
        raise InputError(
            f"controls are among the curves {', '.join(found) or '(none)'}, received {', '.join(controls)}: "
            "measure them over the same images"
        )
    shapes = {one.deletion.shape for one in found.values()}
    if len(shapes) > 1:
        raise InputError(
            f"curves are of the same images and steps, received shapes {sorted(shapes)}: measure all at once"
        )
