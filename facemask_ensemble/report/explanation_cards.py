"""From the heatmaps of an evaluation to the images that its pages show."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from facemask_ensemble.data.boxes import Boxes
from facemask_ensemble.evaluation.gallery import described
from facemask_ensemble.evaluation.rule_predictions import Judged
from facemask_ensemble.explanation.consensus import share
from facemask_ensemble.explanation.overlay import overlay
from facemask_ensemble.report.explanation_page import Card
from facemask_ensemble.report.numbers import percent
from facemask_ensemble.settings.task import BoxWords

if TYPE_CHECKING:
    from facemask_ensemble.explanation.evaluated_heatmaps import Explained

Overlays = dict[tuple[str, str], np.ndarray | str]


def gallery_overlays(
    explained: "Explained", gallery: Sequence[Mapping[str, Any]], images: Mapping[str, np.ndarray]
) -> Overlays:
    """Draw every member's heatmap over the gallery's images: by path and member, or the reason why there is none."""
    drawn: Overlays = {}
    for item in gallery:
        maps, reasons = explained.of(item["index"])
        for name, heat, reason in zip(item["votes"], maps, reasons, strict=True):
            drawn[item["path"], name] = reason or overlay(images[item["path"]], heat)
    return drawn


def explanation_cards(
    explained: "Explained",
    test: Judged,
    winners: NDArray[np.integer],
    members: Sequence[str],
    class_names: Sequence[str],
    root: Path,
    boxes: Boxes | None,
    words: BoxWords,
) -> dict[str, list[Card]]:
    """Lay out the ranked images of `explained.why`, by what they are ranked for.

    Args:
        explained: with the maps of every image that is ranked.
        test: all test images.
        winners: the vote's answers to them, int (n,).
        members: names in the order of `test.probs`.
        class_names: in label order.
        root: of the images' paths.
        boxes: by path, where the dataset has them.
        words: what boxes hold.
    """

    def card(index: int, note: str) -> Card:
        item = described(index, test.probs, test.labels, winners, test.paths, members, class_names)
        maps, reasons = explained.of(index)
        answers = np.array([[class_names.index(answer)] for answer in item["votes"].values()])
        shared = {name: one[0] for name, one in share(maps[:, None], answers, winners[[index]])._asdict().items()}
        path = item["path"]
        return Card(item, root / path, (boxes or {}).get(path, ()), maps, reasons, shared, note)

    why = explained.why or {}
    wrong = (why["wrong_reason"] or {"images": []})["images"]
    alike = why["different_reasons"]["images"]
    return {
        "wrong_reason": [
            card(
                one["index"],
                f"{percent(one['energy'])} % of the joint map lies on {words.plural}.",
            )
            for one in wrong
        ],
        "different_reasons": [
            card(one["index"], f"The maps of two members overlap by {percent(one['overlap'])} % on average.")
            for one in alike
        ],
        "lost": [card(one["index"], "The vote is wrong.") for one in why["lost"]],
    }
