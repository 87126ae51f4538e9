"""Write report.html, one file that needs nothing else, report.json and the figures."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from facemask_ensemble.evaluation.metrics import AVERAGES
from facemask_ensemble.report import charts
from facemask_ensemble.report.encoding import encode
from facemask_ensemble.report.environment import environment, versions
from facemask_ensemble.report.figures import write_figures
from facemask_ensemble.report.tables import RANDOM, score_table

PACKAGES = ("facemask-ensemble", "tensorflow", "keras", "tf-keras-vis", "numpy", "scikit-learn", "mlflow")
KINDS = {
    "disputed": (
        "The vote is right, a member is wrong",
        "Where voting pays: the narrowest votes first.",
    ),
    "wrong": ("The vote is wrong", "The mistakes that most members share, the surest first."),
    "tied": (
        "The vote is tied",
        "Classes share the highest number of votes; the higher mean probability decides.",
    ),
    "right": ("Everyone is right", "The pictures that the members are surest of."),
}


def write_report(
    report: Mapping[str, Any],
    gallery: Sequence[Mapping[str, Any]],
    pictures: Mapping[str, np.ndarray],
    overlays: Mapping[tuple[str, str], np.ndarray | str],
    contact_sheet: Sequence[tuple[np.ndarray, str]],
    command: str,
    folder: Path,
) -> Path:
    """Write `report.html`, `report.json` and `figures/*.png` into the folder and give the page's path.

    Args:
        report: What `evaluation.verdict.judge` gives.
        gallery: What `evaluation.gallery.choose` gives.
        pictures: Pixels, uint8 (h, w, 3), of the gallery's pictures by path.
        overlays: By path and member the heatmap over the picture, or the reason why there is none; may be empty.
        contact_sheet: Training pictures, each with its class.
        command: The command line that made the report.
        folder: Created if it is not there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(report, indent=2, ensure_ascii=False, allow_nan=False)
    (folder / "report.json").write_text(text, encoding="utf-8")
    write_figures(report, folder / "figures")
    page = folder / "report.html"
    page.write_text(_render(report, gallery, pictures, overlays, contact_sheet, command), encoding="utf-8")
    return page


def _render(
    report: Mapping[str, Any],
    gallery: Sequence[Mapping[str, Any]],
    pictures: Mapping[str, np.ndarray],
    overlays: Mapping[tuple[str, str], np.ndarray | str],
    contact_sheet: Sequence[tuple[np.ndarray, str]],
    command: str,
) -> str:
    adopted = [member for member in report["members"] if _from_random_member(member)]
    cards = [_card(item, pictures, overlays) for item in gallery]
    return (
        environment()
        .get_template("template.html.j2")
        .render(
            report=report,
            data=report["dataset"],
            vote=report["ensemble"][report["shipped"]],
            random=[member["backbone"] for member in report["members"] if member.get("init") == RANDOM],
            adopted=[member["backbone"] for member in adopted],
            starts=sorted({str(member["init"]).partition(" member ")[0] for member in adopted}),
            dots=charts.dot_plot(report),
            table=score_table(report),
            curves=charts.learning_curves(report["members"]),
            missed=charts.missed(report),
            groups=[
                {"kind": kind, "title": title, "note": note, "cards": found}
                for kind, (title, note) in KINDS.items()
                if (found := [card for card in cards if card["kind"] == kind])
            ],
            maps=any(card["maps"] for card in cards),
            averages=list(AVERAGES),
            contact=[{"image": encode(pixels), "name": name} for pixels, name in contact_sheet],
            command=command,
            versions=versions(PACKAGES),
            written=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        )
    )


def _from_random_member(member: Mapping[str, Any]) -> bool:
    """Tell whether a member went on from another one that had started from random weights."""
    init = str(member.get("init", ""))
    return RANDOM in init and init != RANDOM


def _card(
    item: Mapping[str, Any],
    pictures: Mapping[str, np.ndarray],
    overlays: Mapping[tuple[str, str], np.ndarray | str],
) -> dict[str, Any]:
    path, answers = item["path"], item["votes"]
    members = []
    for name, answer in answers.items():
        drawn = overlays.get((path, name))
        members.append(
            {
                "name": name,
                "answer": answer,
                "right": answer == item["truth"],
                "probability": item["probabilities"][name][answer],
                "overlay": None if drawn is None or isinstance(drawn, str) else encode(drawn),
                "reason": drawn if isinstance(drawn, str) else None,
            }
        )
    return {
        **item,
        "image": encode(pictures[path]) if path in pictures else None,
        "right": item["prediction"] == item["truth"],
        "behind": sum(answer == item["prediction"] for answer in answers.values()),
        "members": members,
        "maps": any(member["overlay"] or member["reason"] for member in members),
    }
