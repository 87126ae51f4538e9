"""The heatmaps of an evaluation, as its config asks for them, and the page about them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hydra
import numpy as np

from facemask_ensemble.config import heatmap_method
from facemask_ensemble.data.boxes import Boxes
from facemask_ensemble.data.manifest import Manifest
from facemask_ensemble.evaluation.rule_predictions import Judged
from facemask_ensemble.report.explanation_cards import explanation_cards
from facemask_ensemble.report.explanation_page import remove_explanation_page, write_explanation_page
from facemask_ensemble.task import BoxWords

if TYPE_CHECKING:
    from facemask_ensemble.explanation.evaluated_heatmaps import Explained


def explain_answers(
    config: Mapping[str, Any],
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
        config: of `evaluate`, resolved.
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
    methods, why = _methods(config), config["explanation"]
    if not methods or not (shown or why["images"]):
        return None
    from facemask_ensemble.models.tensorflow_import import start_tensorflow

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
        images=why["images"],
        trust=why["trust"],
    )


def _methods(config: Mapping[str, Any]) -> dict[str, Any]:
    """Name the methods that draw heatmaps, the chosen one first; none for `heatmap=none`."""
    if config["heatmap"]["method"] is None:
        return {}
    chosen = {config["heatmap"]["name"]: config["heatmap"]["method"]}
    others = {name: heatmap_method(name) for name in config["explanation"]["methods"] if name not in chosen}
    return {name: hydra.utils.instantiate(method) for name, method in (chosen | others).items()}


def write_explanations(
    explained: "Explained | None",
    boxes: Boxes | None,
    words: BoxWords,
    report: Mapping[str, Any],
    test: Judged,
    winners: np.ndarray,
    manifest: Manifest,
    command: str,
    folder: Path,
) -> Path | None:
    """Write the page that tells what the heatmaps are worth, where any were judged, and remove that of before.

    Args:
        explained: what `explain_answers` gives.
        boxes: as there, like `test`, `winners` and `manifest`.
        words: as there.
        report: of the evaluation.
        test: what the members answered.
        winners: the vote's answers.
        manifest: of the images.
        command: the command line that made it.
        folder: of the report.
    """
    remove_explanation_page(folder)
    if explained is None or explained.why is None:
        return None
    members = [member["backbone"] for member in report["members"]]
    cards = explanation_cards(explained, test, winners, members, manifest.class_names, manifest.root, boxes, words)
    random = any("random" in str(member.get("init")) for member in report["members"])
    return write_explanation_page(explained.why, cards, report["dataset"], words, random, command, folder)
