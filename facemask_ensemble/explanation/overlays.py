"""Heatmaps drawn over the images that they explain."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from PIL import Image

from facemask_ensemble.ensemble import voting
from facemask_ensemble.explanation.consensus import mean_map, share
from facemask_ensemble.explanation.heatmaps import heatmaps
from facemask_ensemble.explanation.overlay import enlarge, overlay

if TYPE_CHECKING:
    from facemask_ensemble.data.chunks import Chunk
    from facemask_ensemble.prediction.ensemble import Member

GRID = 96  # cells a side at which maps of members of different sizes are laid beside each other


def overlays_of(
    model: keras.Model,
    pixels: np.ndarray,
    images: Sequence[np.ndarray],
    classes: np.ndarray,
    method: Callable[[Any], Any],
) -> list[np.ndarray | str]:
    """Draw one member's heatmaps of classes, int (n,), over images, or give the reasons why there are none.

    Args:
        model: the member's network.
        pixels: uint8 (n, size, size, 3) as it sees them.
        images: uint8 (h, w, 3) at the size to draw on.
        classes: to explain, int (n,).
        method: of tf-keras-vis.
    """
    maps, reasons = heatmaps(model, pixels, classes, method)
    return [reason or overlay(image, heatmap) for image, heatmap, reason in zip(images, maps, reasons, strict=True)]


def write_overlays(
    chunk: "Chunk",
    members: Sequence["Member"],
    probs: np.ndarray,
    winners: np.ndarray,
    method: Callable[[Any], Any],
    folder: Path,
    first: int,
) -> dict[str, str]:
    """Write overlays `NUMBER_STEM--NAME.jpg`: one an image and member that was asked, and what they say together.

    These are `consensus` of the members behind the answer, `losers` of the others, and `disagreement`.

    Args:
        chunk: of n images, with those to draw on.
        members: that answered.
        probs: float (members, n, classes); nan where a member was not asked.
        winners: the answers, int (n,), `ABSTAIN` for none.
        method: of tf-keras-vis.
        folder: for the overlays.
        first: number of the chunk's first image.

    Returns:
        By member, why one of its images has none.
    """
    folder.mkdir(parents=True, exist_ok=True)
    silent: dict[str, str] = {}
    maps = np.zeros((*probs.shape[:2], GRID, GRID), np.float32)
    votes = _votes(probs)
    for number, (member, given) in enumerate(zip(members, votes, strict=True)):
        asked = np.flatnonzero(given != voting.ABSTAIN)
        found, reasons = heatmaps(member.network.model(), chunk.pixels[member.size][asked], given[asked], method)
        for place, heat, reason in zip(asked, found, reasons, strict=True):
            if reason:
                silent.setdefault(member.name, reason)
            else:
                maps[number, place] = enlarge(heat, GRID, GRID)
                _write(chunk, int(place), heat, folder, first, member.name)
    for name, together in share(maps, votes, winners)._asdict().items():
        for place in np.flatnonzero(together.any(axis=(1, 2))):
            _write(chunk, int(place), together[place], folder, first, name)
    return silent


def overlay_together(
    chunk: "Chunk", members: Sequence["Member"], votes: np.ndarray, place: int, method: Callable[[Any], Any]
) -> np.ndarray | str:
    """Draw the mean of several members' heatmaps over one image, or say that none of them has one.

    Args:
        chunk: with the image to draw on in `shown`.
        members: to put together.
        votes: their answers to the image, int (members,).
        place: of the image in the chunk.
        method: of tf-keras-vis.
    """
    maps = np.zeros((len(members), 1, GRID, GRID), np.float32)
    for number, (member, vote) in enumerate(zip(members, votes, strict=True)):
        found, [reason] = heatmaps(member.network.model(), chunk.pixels[member.size][[place]], vote[None], method)
        if not reason:
            maps[number, 0] = enlarge(found[0], GRID, GRID)
    [mean] = mean_map(maps, np.ones((len(members), 1), bool))
    return overlay(chunk.shown[place], mean) if mean.any() else "none of these members has a heatmap of this image"


def _votes(probs: np.ndarray) -> np.ndarray:
    """Give each member's own answer, int (members, n), `ABSTAIN` where it was not asked.

    Args:
        probs: float (members, n, classes); nan where a member was not asked.
    """
    asked = ~np.isnan(probs[:, :, 0])
    return np.where(asked, np.nan_to_num(probs).argmax(axis=2), voting.ABSTAIN)


def _write(chunk: "Chunk", place: int, heat: np.ndarray, folder: Path, first: int, name: str) -> None:
    file = folder / f"{first + place:05d}_{Path(chunk.names[place]).stem}--{name}.jpg"
    Image.fromarray(overlay(chunk.shown[place], heat)).save(file, quality=88)
