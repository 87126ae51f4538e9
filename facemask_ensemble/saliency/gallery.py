"""Heatmaps of all members over a few pictures."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from facemask_ensemble.data.pixels import load_pixels
from facemask_ensemble.models.classifier import load_classifier
from facemask_ensemble.saliency.heatmaps import heatmaps
from facemask_ensemble.saliency.overlay import overlay

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
        maps, reasons = heatmaps(model, pixels, np.asarray(classes[name]), method)
        for path, heatmap, reason in zip(files, maps, reasons, strict=True):
            drawn[path, name] = reason or overlay(pictures[path], heatmap)
    return drawn
