"""The page about an evaluation's heatmaps, where any were judged."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from facemask_ensemble.data.boxes import Boxes
from facemask_ensemble.data.manifest import Manifest
from facemask_ensemble.evaluation.rule_predictions import Judged
from facemask_ensemble.report.explanation_cards import explanation_cards
from facemask_ensemble.report.explanation_page import remove_explanation_page, write_explanation_page
from facemask_ensemble.settings.task import BoxWords

if TYPE_CHECKING:
    from facemask_ensemble.explanation.evaluated_heatmaps import Explained


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
    """Write the page about the heatmaps, if any were judged, and remove the previous page.

    Args:
        explained: what `explanation.requested_heatmaps.explain_answers` gives.
        boxes: as there, like `words`, `test`, `winners` and `manifest`.
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
