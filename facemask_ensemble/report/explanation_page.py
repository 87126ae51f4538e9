"""Write explanation.html, one file that needs nothing else, explanation.json, and full-size overlays."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from facemask_ensemble.data.boxes import Box
from facemask_ensemble.data.decoding import decode
from facemask_ensemble.data.display_images import show
from facemask_ensemble.explanation.localization import EVERY_CLASS
from facemask_ensemble.explanation.overlay import overlay
from facemask_ensemble.report.encoding import encode
from facemask_ensemble.report.environment import environment
from facemask_ensemble.settings.task import BoxWords
from facemask_ensemble.versions import versions

SHOWN = 320  # longest side of an image on the page, pixels
TILE = 160
BLUE, ORANGE, BLACK = "#56b4e9", "#e69f00", "#000000"  # of Okabe and Ito, on a line of black
PACKAGES = ("facemask-ensemble", "tensorflow", "keras", "tf-keras-vis", "numpy")
TOGETHER = {
    "consensus": "where the members behind the vote looked, together",
    "losers": "where the others looked, for their own answers",
    "disagreement": "where the members' maps differ",
}


class Card(NamedTuple):
    """An image to look at: what `gallery.described` tells of it, its file, its boxes, and maps in 0..1.

    `maps` (members, rows, columns) are each member's, in the order of `item["votes"]`, `reasons` say why one is all
    zero, `together` are maps (rows, columns) by the names in TOGETHER. `note` is the line above the image.
    """

    item: Mapping[str, Any]
    file: Path
    boxes: Sequence[Box]
    maps: NDArray[np.floating]
    reasons: Sequence[str | None]
    together: Mapping[str, NDArray[np.floating]]
    note: str


def write_explanation_page(
    why: Mapping[str, Any],
    cards: Mapping[str, Sequence[Card]],
    dataset: Mapping[str, Any],
    words: BoxWords,
    random: bool,
    command: str,
    folder: Path,
) -> Path:
    """Write `explanation.html`, `explanation.json`, and an overlay file of every image on the page.

    Args:
        why: what `explanation.explanation_report.explanation_report` gives.
        cards: images by what they are shown for: wrong_reason, different_reasons, lost.
        dataset: of the report.
        words: what its boxes hold.
        random: whether a member started from random weights.
        command: the command line that made it.
        folder: of the report.
    """
    images = folder / "explanations"
    images.mkdir(parents=True, exist_ok=True)
    text = json.dumps(why, indent=2, ensure_ascii=False, allow_nan=False)
    (folder / "explanation.json").write_text(text, encoding="utf-8")
    drawn = {kind: [_drawn(card, words, images) for card in found] for kind, found in cards.items()}
    page = folder / "explanation.html"
    html = (
        environment()
        .get_template("explanation.html.j2")
        .render(
            why=why,
            data=dataset,
            words=words,
            random=random,
            cards=drawn,
            table=_by_member(why),
            compared=_by_method(why),
            panels=[_panels(member, measured) for member, measured in why["trust"].items()],
            every=EVERY_CLASS,
            command=command,
            versions=versions(PACKAGES),
            written=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        )
    )
    page.write_text(html, encoding="utf-8")
    return page


def remove_explanation_page(folder: Path) -> None:
    """Remove what `write_explanation_page` wrote before, so that no page stays behind that belongs to other answers."""
    for stale in [
        folder / "explanation.html",
        folder / "explanation.json",
        *(folder / "explanations").glob("*--*.jpg"),
    ]:
        stale.unlink(missing_ok=True)


def with_boxes(pixels: NDArray[np.uint8], boxes: Sequence[Box], first: str | None) -> NDArray[np.uint8]:
    """Draw boxes on an image, uint8 (h, w, 3).

    Those of the `first` kind are blue, others orange with a bar across their lower edge, so that no colour is needed
    to tell.
    """
    image = Image.fromarray(pixels)
    pen, (width, height) = ImageDraw.Draw(image), image.size
    line = max(1, round(max(width, height) / 110))
    for (left, top, right, bottom), kind in boxes:
        box = [
            left * width,
            top * height,
            max(left * width + 1, right * width - 1),
            max(top * height + 1, bottom * height - 1),
        ]
        pen.rectangle([box[0] - line, box[1] - line, box[2] + line, box[3] + line], outline=BLACK, width=line)
        pen.rectangle(box, outline=BLUE if kind == first else ORANGE, width=line)
        if kind != first:
            pen.rectangle([box[0], box[3] - 3 * line, box[2], box[3]], fill=ORANGE, outline=BLACK)
    return np.asarray(image)


def _drawn(card: Card, words: BoxWords, folder: Path) -> dict[str, Any]:
    """Draw an image's maps, small for the page and at the image's own size for the folder."""
    content = card.file.read_bytes()
    whole, small, tile = np.asarray(decode(content)), show(content, SHOWN), show(content, TILE)
    stem = f"{card.item['index']:05d}_{card.file.stem}"
    members = []
    for (name, answer), heat, reason in zip(card.item["votes"].items(), card.maps, card.reasons, strict=True):
        members.append(
            {
                "name": name,
                "answer": answer,
                "right": answer == card.item["truth"],
                "probability": card.item["probabilities"][name][answer],
                "reason": reason,
                "overlay": None if reason else encode(overlay(tile, heat)),
            }
        )
        if not reason:
            _keep(whole, heat, folder / f"{stem}--{name}.jpg")
    together = []
    for name, heat in card.together.items():
        if heat.any():
            _keep(whole, heat, folder / f"{stem}--{name}.jpg")
            together.append({"name": name, "meaning": TOGETHER[name], "overlay": encode(overlay(small, heat))})
    return {
        **card.item,
        "note": card.note,
        "boxed": bool(card.boxes),
        "image": encode(with_boxes(small, card.boxes, next(iter(words.kinds), None))),
        "right": card.item["prediction"] == card.item["truth"],
        "behind": sum(answer == card.item["prediction"] for answer in card.item["votes"].values()),
        "members": members,
        "together": together,
        "files": f"explanations/{stem}--*.jpg",
    }


def _keep(whole: NDArray[np.uint8], heat: NDArray[np.floating], file: Path) -> None:
    Image.fromarray(overlay(whole, heat)).save(file, quality=88)


def _by_member(why: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Lay out the localization of the main method: one row per member, with its classes."""
    rows: dict[str, dict[str, Any]] = {}
    for row in why["grounding"]:
        if row["method"] == why["method"]:
            rows.setdefault(row["member"], {})[row["class"]] = row
    return [{"member": member, "classes": classes, **classes[EVERY_CLASS]} for member, classes in rows.items()]


def _by_method(why: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Lay out what every method gives over all classes: a row a member; nothing for a single method."""
    if len(why["methods"]) < 2:
        return []
    rows: dict[str, dict[str, Any]] = {}
    for row in why["grounding"]:
        if row["class"] == EVERY_CLASS:
            rows.setdefault(row["member"], {})[row["method"]] = row
    return [{"member": member, "methods": found} for member, found in rows.items() if len(found) > 1]


def _panels(member: str, measured: Mapping[str, Any]) -> dict[str, Any]:
    """Draw the mean deletion and insertion curves of one member's methods and controls as SVG paths."""
    faithful, trusted = measured["faithfulness"], measured["trust"]["trusted"]
    kinds = {name: f"control {name}" for name in faithful["controls"]} | {name: "other" for name in faithful["methods"]}
    kinds |= {trusted: "trusted"} if trusted in kinds else {}
    entries = sorted((faithful["controls"] | faithful["methods"]).items(), key=lambda item: kinds[item[0]] == "trusted")
    return {
        "member": member,
        "trusted": trusted if trusted in kinds else "none is trusted",
        "panels": [
            {
                "title": title,
                "lines": [
                    {"name": name, "kind": kinds[name], "path": _path(entry[f"{title}_curve"])}
                    for name, entry in entries
                    if entry[f"{title}_curve"]
                ],
            }
            for title in ("deletion", "insertion")
        ],
    }


def _path(curve: Sequence[float]) -> str:
    points = [f"{26 + 170 * place / (len(curve) - 1):.1f} {130 - 110 * value:.1f}" for place, value in enumerate(curve)]
    return "M" + "L".join(points)
