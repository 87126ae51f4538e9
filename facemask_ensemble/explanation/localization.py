"""Do heatmaps lie in the boxes that the answer is about? The pointing game and the share of a map's energy."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facemask_ensemble.data.boxes import ANY, Regions
from facemask_ensemble.errors import InputError
from facemask_ensemble.evaluation.resampling import resampled
from facemask_ensemble.evaluation.statistics import mcnemar, wilson_interval

EVERY_CLASS = "all classes"
FLAT = 0.999  # share of the highest value from which on a map is at its peak


def evidence(regions: Regions, classes: Sequence[str], kinds: Mapping[str, str]) -> NDArray[np.bool_]:
    """Mark the boxes that speak for each image's class, bool (n, h, w): of the kind named for it, else of any."""
    return np.stack([regions[kinds.get(name, ANY)][place] for place, name in enumerate(classes)])


def points_at(maps: NDArray[np.floating], region: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Tell for every image whether its map's peak lies in the region, bool (n,).

    Of a flat peak the point nearest to the middle counts: an enlarged map is flat from the centre of an outermost cell
    to the border, so that this is the centre of the hottest cell. Source: J. Zhang et al., "Top-down neural attention
    by excitation backprop", ECCV 2016, without its margin.

    Args:
        maps: (n, h, w).
        region: bool (n, h, w).
    """
    _refuse_wrong(maps, region)
    height, width = maps.shape[1:]
    rows, columns = np.arange(height) - (height - 1) / 2, np.arange(width) - (width - 1) / 2
    peak = maps >= FLAT * maps.max(axis=(1, 2), keepdims=True)
    distance = np.where(peak, rows[:, None] ** 2 + columns**2, np.inf).reshape(len(maps), height * width)
    found: NDArray[np.bool_] = region.reshape(len(maps), height * width)[np.arange(len(maps)), distance.argmin(axis=1)]
    return found


def energy_in(maps: NDArray[np.floating], region: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Give the share of every map's sum that lies in the region, float (n,); nan for a map of zeros.

    Source: H. Wang et al., "Score-CAM", CVPR Workshops 2020, its energy-based pointing game.

    Args:
        maps: (n, h, w), not negative.
        region: bool (n, h, w).
    """
    _refuse_wrong(maps, region)
    total = maps.sum(axis=(1, 2), dtype=np.float64)
    inside = (maps * region).sum(axis=(1, 2), dtype=np.float64)
    return np.divide(inside, total, out=np.full(len(maps), np.nan), where=total > 0)


def ground(
    maps: NDArray[np.floating],
    regions: Regions,
    classes: Sequence[str],
    controls: Mapping[str, NDArray[np.floating]],
    kinds: Mapping[str, str],
    *,
    draws: int = 2_000,
) -> list[dict[str, Any]]:
    """Judge the maps of one member or several by the boxes that speak for their classes.

    Args:
        maps: (n, h, w) in 0..1, each of a class that is the image's true one; all zero where there is none.
        regions: of the same images.
        classes: the name of every image's class.
        controls: by name, maps (n, h, w) that look at no image; each is judged on the images that have a map.
        kinds: of boxes that speak for a class; for the others any box does.
        draws: of the bootstrap of mean energies.

    Returns:
        For every class that occurs, and for EVERY_CLASS: `class`, `images` that have a map and a box to point at,
        `no_map`, `no_box` (left out), `pointing` and `energy` (shares; None where there is no image), each with
        its 95 % `…_interval`; `area`, the share of the image that the boxes cover, which is what chance points at;
        for every kind of boxes and for any its `…_energy`; and by control `pointing`, `energy` and the `p_value`
        of pointing as often (exact McNemar test).
    """
    region = evidence(regions, classes, kinds)
    given, boxed = maps.any(axis=(1, 2)), region.any(axis=(1, 2))
    names = np.asarray(classes)
    ordered = sorted(set(classes), key=partial(_order, list(kinds)))
    groups = {name: names == name for name in ordered} | {EVERY_CLASS: names == names}
    rows = []
    for name, chosen in groups.items():
        counts = {"no_box": int((chosen & ~boxed).sum()), "no_map": int((chosen & boxed & ~given).sum())}
        judged = chosen & boxed & given
        rows.append(
            {"class": name, "images": int(judged.sum()), **counts, **_row(maps, regions, region, judged, draws)}
        )
        rows[-1]["controls"] = {
            control: _beside(maps[judged], drawn[judged], region[judged]) for control, drawn in controls.items()
        }
    return rows


def _row(
    maps: NDArray[np.floating], regions: Regions, region: NDArray[np.bool_], judged: NDArray[np.bool_], draws: int
) -> dict[str, Any]:
    hits, energy = points_at(maps[judged], region[judged]), energy_in(maps[judged], region[judged])
    if not len(hits):
        keys = ("pointing", "pointing_interval", "energy", "energy_interval", "area")
        return dict.fromkeys([*keys, *(f"{kind}_energy" for kind in regions)])
    found = resampled(energy[:, None], lambda sums: sums / len(energy), draws=draws)
    return {
        "pointing": float(hits.mean()),
        "pointing_interval": list(wilson_interval(int(hits.sum()), len(hits))),
        "energy": float(energy.mean()),
        "energy_interval": [float(found["low"][0]), float(found["high"][0])],
        "area": float(region[judged].mean()),
        **{f"{kind}_energy": float(energy_in(maps[judged], marked[judged]).mean()) for kind, marked in regions.items()},
    }


def _beside(
    maps: NDArray[np.floating], control: NDArray[np.floating], region: NDArray[np.bool_]
) -> dict[str, float | None]:
    """Judge a control on the same images, and test whether it points at boxes as often."""
    if not len(maps):
        return {"pointing": None, "energy": None, "p_value": None}
    ours, theirs = points_at(maps, region), points_at(control, region)
    return {
        "pointing": float(theirs.mean()),
        "energy": float(energy_in(control, region).mean()),
        "p_value": mcnemar(int((ours & ~theirs).sum()), int((theirs & ~ours).sum())),
    }


def _order(first: Sequence[str], name: str) -> tuple[int, str]:
    return (first.index(name) if name in first else len(first), name)


def _refuse_wrong(maps: NDArray[np.floating], region: NDArray[np.bool_]) -> None:
    if maps.ndim != 3 or maps.shape != region.shape or region.dtype != bool:
        raise InputError(
            f"maps are (n, h, w) and the region bool of the same shape, received {maps.shape} and {region.dtype} "
            f"{region.shape}: mark the boxes at the maps' size"
        )
