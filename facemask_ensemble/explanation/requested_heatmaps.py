"""The heatmaps that an evaluation asks for."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hydra
import numpy as np

from facemask_ensemble.config import heatmap_method
from facemask_ensemble.data.boxes import Boxes
from facemask_ensemble.data.manifest import Manifest
from facemask_ensemble.evaluation.rule_predictions import Judged
from facemask_ensemble.settings.answering import Heatmap
from facemask_ensemble.settings.evaluate import Explanation
from facemask_ensemble.settings.task import BoxWords

if TYPE_CHECKING:
    from facemask_ensemble.explanation.evaluated_heatmaps import Explained


def explain_answers(
    heatmap: Heatmap,
    explanation: Explanation,
    models: Mapping[str, Path],
    test: Judged,
    winners: np.ndarray,
    manifest: Manifest,
    boxes: Boxes | None,
    words: BoxWords,
    shown: Sequence[int],
) -> "Explained | None":
    """Draw the members' heatmaps of the images shown, and judge them on a sample of the test images.

    Args:
        heatmap: how heatmaps are made.
        explanation: how many images are judged, and by which methods.
        models: name and model file of every member, in the order of `test.probs`.
        test: what the members answered to all test images.
        winners: the vote's answers, int (n,).
        manifest: of these images.
        boxes: on them by path, where the dataset has them.
        words: what boxes hold, and which speak for a class.
        shown: places of the images that a page shows.

    Returns:
        None where no heatmaps are asked for.
    """
    methods = _methods(heatmap, explanation)
    if not methods or not (shown or explanation.images):
        return None
    from facemask_ensemble.tensorflow_import import start_tensorflow

    start_tensorflow()
    from facemask_ensemble.explanation.evaluated_heatmaps import explain

    files = [manifest.root / path for path in test.paths]
    return explain(
        models,
        files,
        test,
        winners,
        manifest.class_names,
        methods,
        shown=shown,
        words=words,
        boxes=boxes,
        images=explanation.images,
        trust=explanation.trust,
    )


def _methods(heatmap: Heatmap, explanation: Explanation) -> dict[str, Any]:
    """Name the methods that draw heatmaps, the chosen one first; none for `heatmap=none`."""
    if heatmap.method is None:
        return {}
    chosen = {heatmap.name: heatmap.method.call}
    others = {name: heatmap_method(name) for name in explanation.methods if name not in chosen}
    return {name: hydra.utils.instantiate(method) for name, method in (chosen | others).items()}
