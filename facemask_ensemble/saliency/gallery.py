"""Heatmaps of all members over a few pictures."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from PIL import Image

from facemask_ensemble.data.pixels import load_pixels
from facemask_ensemble.models.classifier import load_classifier
from facemask_ensemble.saliency.heatmaps import heatmaps
from facemask_ensemble.saliency.overlay import overlay

if TYPE_CHECKING:
    from facemask_ensemble.data.chunks import Chunk
    from facemask_ensemble.ensemble.ensemble import Member

Overlays = dict[tuple[str, str], np.ndarray | str]


def draw_overlays(
    models: Iterable[tuple[str, Path]],
    files: Mapping[str, Path],
    pictures: Mapping[str, np.ndarray],
    classes: Mapping[str, Sequence[int]],
    method: Callable[[Any], Any],
) -> Overlays:
    """Draw every member's heatmap of its own answer over every picture.

    Args:
        models: name and model file of each member; one is loaded at a time.
        files: picture files by path, as in the report.
        pictures: uint8 (h, w, 3) by the same paths, at the size to draw on.
        classes: by member, the class to explain in each picture, in the order of `files`.
        method: of tf-keras-vis.

    Returns:
        By path and member, the picture with its heatmap, or the reason why there is none.
    """
    drawn: Overlays = {}
    for name, file in models:
        model = load_classifier(file)
        size = model.input_shape[1]
        pixels = np.asarray(load_pixels(Path(), [str(file) for file in files.values()], size))
        own = overlays_of(model, pixels, [pictures[path] for path in files], np.asarray(classes[name]), method)
        drawn |= {(path, name): one for path, one in zip(files, own, strict=True)}
    return drawn


def overlays_of(
    model: keras.Model,
    pixels: np.ndarray,
    pictures: Sequence[np.ndarray],
    classes: np.ndarray,
    method: Callable[[Any], Any],
) -> list[np.ndarray | str]:
    """Draw one member's heatmaps of classes, int (n,), over pictures, or give the reasons why there are none.

    Args:
        model: the member's network.
        pixels: uint8 (n, size, size, 3) as it sees them.
        pictures: uint8 (h, w, 3) at the size to draw on.
        classes: to explain, int (n,).
        method: of tf-keras-vis.
    """
    maps, reasons = heatmaps(model, pixels, classes, method)
    return [
        reason or overlay(picture, heatmap) for picture, heatmap, reason in zip(pictures, maps, reasons, strict=True)
    ]


def write_overlays(
    chunk: "Chunk",
    members: Sequence["Member"],
    probs: np.ndarray,
    method: Callable[[Any], Any],
    folder: Path,
    first: int,
) -> dict[str, str]:
    """Write one overlay a picture and member that was asked, `NUMBER_STEM--MEMBER.jpg`.

    Args:
        chunk: of n pictures, with those to draw on.
        members: that answered.
        probs: float (members, n, classes); nan where a member was not asked.
        method: of tf-keras-vis.
        folder: for the overlays.
        first: number of the chunk's first picture.

    Returns:
        By member, why one of its pictures has none.
    """
    folder.mkdir(parents=True, exist_ok=True)
    silent: dict[str, str] = {}
    for member, own in zip(members, probs, strict=True):
        asked = np.flatnonzero(~np.isnan(own[:, 0]))
        pixels, shown = chunk.pixels[member.size][asked], [chunk.shown[place] for place in asked]
        overlays = overlays_of(member.network.model(), pixels, shown, own[asked].argmax(axis=1), method)
        for place, drawn in zip(asked, overlays, strict=True):
            if isinstance(drawn, str):
                silent.setdefault(member.name, drawn)
            else:
                name = f"{first + place:05d}_{Path(chunk.names[place]).stem}--{member.name}.jpg"
                Image.fromarray(drawn).save(folder / name, quality=88)
    return silent
