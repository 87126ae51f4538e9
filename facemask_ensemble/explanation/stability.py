"""Stability: whether a map moves with an image that is shifted by a few pixels."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import keras
import numpy as np
from numpy.typing import NDArray

from facemask_ensemble.errors import InputError
from facemask_ensemble.explanation.consensus import overlap
from facemask_ensemble.explanation.curves import Predict
from facemask_ensemble.explanation.heatmaps import Heatmaps
from facemask_ensemble.explanation.randomisation import Explain
from facemask_ensemble.explanation.similarity import rank_correlation
from facemask_ensemble.rounding import negligible

SHARE = 1 / 24  # of a side: 4 of 96 pixels
DIRECTIONS = ((-1, 0), (1, 0), (0, -1), (0, 1))


class _Compared(NamedTuple):
    """One direction of one method, float (n,): nan where the image has no map or its answer changed."""

    rank: NDArray[np.float64]
    overlap: NDArray[np.float64]
    lost: NDArray[np.bool_]


def stability(
    model: keras.Model,
    predict: Predict,
    pixels: NDArray[np.uint8],
    classes: NDArray[np.integer],
    methods: Mapping[str, Explain],
    maps: Mapping[str, Heatmaps],
    *,
    share: float = SHARE,
    batch_size: int = 32,
) -> dict[str, dict[str, Any]]:
    """Compare each method's maps with those of the images shifted up, down, left and right, shifted back.

    Only what both maps cover is compared, and only images whose answer the shift leaves as it was: with another
    answer another map is right. An image's values are means over its shifts, and a shifted image whose map is no
    explanation counts as 0.

    Args:
        model: to explain.
        predict: from uint8 (k, h, w, 3) to its probabilities (k, classes); called for at most `batch_size` images.
        pixels: uint8 (n, h, w, 3); the shifted ones repeat their edge.
        classes: to explain, int (n,), also in the shifted images.
        methods: by name, what explains.
        maps: by the same names, what they drew for the images as they are.
        share: of each side that an image is shifted by, at least one pixel.
        batch_size: images answered at once.

    Returns:
        By method: `shift` (rows, columns), `images` (compared), `without_map`, `shifted` (of images with a map,
        four each), `answer_changed` (of these, not compared), `map_lost` (of these, compared as 0), and means over the
        images: `rank_correlation` (Spearman's, -1..1) and `overlap` (share of mass in common, 0..1; two maps of
        smooth noise have about 0.7), None where none is compared.
    """
    height, width = pixels.shape[1:3]
    rows, columns = (max(1, round(share * side)) for side in (height, width))
    if not len(pixels) or share <= 0 or rows > height // 4 or columns > width // 4:
        raise InputError(
            f"a shift moves images by a share of the side between 0 and a quarter, received {share} for "
            f"{pixels.shape}: 1/24 is usual"
        )
    answers = _answers(predict, pixels, batch_size)
    found: dict[str, list[_Compared]] = {name: [] for name in methods}
    for down, right in DIRECTIONS:
        moves = down * rows, right * columns
        moved = shift(pixels, *moves)
        stayed = _answers(predict, moved, batch_size) == answers
        for name, explain in methods.items():
            chosen = np.flatnonzero(stayed & _explained(maps[name]))
            new = explain(model, moved[chosen], classes[chosen]) if len(chosen) else None
            found[name].append(_compare(maps[name], new, chosen, moves))
    return {name: {"shift": [rows, columns]} | _summary(found[name], maps[name]) for name in methods}


def shift(pixels: NDArray[np.uint8], rows: int, columns: int) -> NDArray[np.uint8]:
    """Move images (n, h, w, 3) down by rows and right by columns, either may be negative, repeating their edge."""
    height, width = pixels.shape[1:3]
    down = np.clip(np.arange(height) - rows, 0, height - 1)
    right = np.clip(np.arange(width) - columns, 0, width - 1)
    return pixels[:, down[:, None], right]


def _compare(old: Heatmaps, new: Heatmaps | None, chosen: NDArray[np.intp], moves: tuple[int, int]) -> _Compared:
    images = len(old.reasons)
    found = _Compared(np.full(images, np.nan), np.full(images, np.nan), np.zeros(images, bool))
    if new is None:
        return found
    found.lost[chosen] = ~_explained(new)
    before, after = _common(old.maps[chosen], new.maps, *moves)
    found.rank[chosen] = np.where(found.lost[chosen], 0, rank_correlation(before, after))
    found.overlap[chosen] = np.nan_to_num(overlap(np.stack([before, after])))  # nan: nothing left of one of them
    return found


def _common(
    before: NDArray[np.float32], after: NDArray[np.float32], rows: int, columns: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Cut maps before and after a shift to the part that both show; values of rounding become 0."""
    height, width = before.shape[1:]
    top, bottom = max(0, -rows), height - max(0, rows)
    left, right = max(0, -columns), width - max(0, columns)
    parts = before[:, top:bottom, left:right], after[:, top + rows : bottom + rows, left + columns : right + columns]
    old, new = (np.where(negligible(part.max(axis=(1, 2), keepdims=True)), 0, part) for part in parts)
    return old, new


def _summary(found: list[_Compared], maps: Heatmaps) -> dict[str, Any]:
    rank, mass, lost = (np.stack(part) for part in zip(*found, strict=True))
    explained = _explained(maps)
    compared = ~np.isnan(rank)
    used = compared.any(axis=0)
    shifted = len(found) * int(explained.sum())
    return {
        "images": int(used.sum()),
        "without_map": int((~explained).sum()),
        "shifted": shifted,
        "answer_changed": shifted - int(compared.sum()),
        "map_lost": int(lost.sum()),
        "rank_correlation": float(np.nanmean(rank[:, used], axis=0).mean()) if used.any() else None,
        "overlap": float(np.nanmean(mass[:, used], axis=0).mean()) if used.any() else None,
    }


def _explained(maps: Heatmaps) -> NDArray[np.bool_]:
    return np.array([reason is None for reason in maps.reasons], bool)


def _answers(predict: Predict, pixels: NDArray[np.uint8], batch_size: int) -> NDArray[np.intp]:
    starts = range(0, len(pixels), batch_size)
    return np.concatenate([np.asarray(predict(pixels[start : start + batch_size])).argmax(axis=1) for start in starts])
