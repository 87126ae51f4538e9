"""Write report.html, one file that needs nothing else, report.json and the figures."""

import json
import shlex
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from facemask_ensemble.evaluation.card import at_about, warnings
from facemask_ensemble.evaluation.metrics import AVERAGES
from facemask_ensemble.models.initialization import RANDOM, origin
from facemask_ensemble.report import charts, ensemble_charts
from facemask_ensemble.report.encoding import encode
from facemask_ensemble.report.environment import environment
from facemask_ensemble.report.figures import write_figures
from facemask_ensemble.report.numbers import thousands
from facemask_ensemble.report.tables import score_table
from facemask_ensemble.versions import versions

PACKAGES = ("facemask-ensemble", "tensorflow", "keras", "tf-keras-vis", "numpy", "scikit-learn", "mlflow")
KINDS = {
    "disputed": (
        "The vote is right, a member is wrong",
        "The vote corrects a member: the closest votes first.",
    ),
    "wrong": ("The vote is wrong", "Mistakes that most members share, the most confident first."),
    "tied": ("The members are split", "Classes share the highest number of votes."),
    "right": ("Everyone is right", "The images with the most confident answers."),
}


TIES = {
    "mean_probability": "The tied class with the highest mean probability wins.",
    "validation_weight": "The tied class whose members are more accurate on validation wins.",
    "safest_class": "The safest of the tied classes wins.",
    "abstain": "The vote gives no answer, which counts as wrong.",
}


def write_report(
    report: Mapping[str, Any],
    gallery: Sequence[Mapping[str, Any]],
    images: Mapping[str, np.ndarray],
    overlays: Mapping[tuple[str, str], np.ndarray | str],
    contact_sheet: Sequence[tuple[np.ndarray, str]],
    command: str,
    folder: Path,
    why: bool = False,
) -> Path:
    """Write `report.html`, `report.json` and `figures/*.png` into the folder and give the page's path.

    Args:
        report: What `evaluation.verdict.judge` gives.
        gallery: What `evaluation.gallery.choose` gives.
        images: Pixels, uint8 (h, w, 3), by path: of the gallery, and of tied and doubtful images as far as shown.
        overlays: By path and member the heatmap over the image, or the reason why there is none; may be empty.
        contact_sheet: Training images, each with its class.
        command: The command line that made the report.
        folder: Created if it is not there.
        why: Whether a page explanation.html goes along.
    """
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(report, indent=2, ensure_ascii=False, allow_nan=False)
    (folder / "report.json").write_text(text, encoding="utf-8")
    write_figures(report, folder / "figures")
    page = folder / "report.html"
    page.write_text(_render(report, gallery, images, overlays, contact_sheet, command, why), encoding="utf-8")
    return page


def _render(
    report: Mapping[str, Any],
    gallery: Sequence[Mapping[str, Any]],
    images: Mapping[str, np.ndarray],
    overlays: Mapping[tuple[str, str], np.ndarray | str],
    contact_sheet: Sequence[tuple[np.ndarray, str]],
    command: str,
    why: bool,
) -> str:
    adopted = [member for member in report["members"] if _from_random_member(member)]
    gone_on = [origin(member["init"]) for member in adopted]
    cards = [_card(item, images, overlays) for item in gallery]
    return (
        environment()
        .get_template("template.html.j2")
        .render(
            report=report,
            data=report["dataset"],
            vote=report["ensemble"][report["shipped"]],
            random=[member["backbone"] for member in report["members"] if member.get("init") == RANDOM],
            adopted=[member["backbone"] for member in adopted],
            starts=sorted({start.members[-1][0] for start in gone_on if start.members}),
            earlier=max((len(start.members) for start in gone_on), default=0),
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
            tie_rule=TIES.get(str(report.get("break_tie")), ""),
            images={path: encode(images[path]) for path in _listed(report) if path in images},
            **_choices(report, command),
            averages=list(AVERAGES),
            contact=[{"image": encode(pixels), "name": name} for pixels, name in contact_sheet],
            command=command,
            why=why,
            versions=versions(PACKAGES),
            written=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        )
    )


def _choices(report: Mapping[str, Any], command: str) -> dict[str, Any]:
    """Draw what tells which ensemble to ship, where the report has it."""
    notes = warnings(report) if "changed" in report["dataset"] else []
    if "frontier" not in report:
        return {"notes": notes}
    return {
        "notes": [note for note in notes if "random weights" not in note],  # the page says that at greater length
        "frontier": ensemble_charts.frontier_plot(report["frontier"]),
        "chosen": _chosen(report, command),
        "reliability": ensemble_charts.reliability_plots(report["calibration"]),
        "risk": ensemble_charts.risk_plot(report["abstention"]["risk_coverage"]),
        "sizes": _set_sizes(report["abstention"]["conformal"]["sizes"]),
        "sent": at_about(report["abstention"]["send"]),
    }


def _chosen(report: Mapping[str, Any], command: str) -> dict[str, str] | None:
    """Name the best choice on validation and the command that evaluates it; None if it is the vote itself."""
    found = report["frontier"]
    if found["chosen"] is None:
        return None
    point = found["points"][found["chosen"]]
    if point["rule"] == report["shipped"] and len(point["members"]) == len(found["members"]):
        return None
    ids = [report["members"][member]["run_id"] for member in point["members"]]
    rest = [word for word in shlex.split(command) if not word.startswith(("voting=", "members="))]
    rule = [] if point["rule"] == "alone" else [f"voting={point['rule']}"]
    return {
        "text": ensemble_charts.choice_text(point, found["members"]),
        "command": shlex.join([*rest, f"members=[{','.join(ids)}]", *rule]),
    }


def _set_sizes(sizes: Sequence[int]) -> str:
    """Say how many images are answered with no class, one, two and so on."""
    words = ("no class", "one class")
    told = [
        f"{thousands(count)} with {words[size] if size < len(words) else f'{size} classes'}"
        for size, count in enumerate(sizes)
        if count
    ]
    return "Images: " + ", ".join(told)


def _listed(report: Mapping[str, Any]) -> list[str]:
    """Name the images that are shown small: the tied ones and those of doubtful labels."""
    doubtful = [item for found in report.get("suspects", {}).values() for item in found]
    return [item["path"] for item in [*report["ensemble"][report["shipped"]]["tied"], *doubtful]]


def _from_random_member(member: Mapping[str, Any]) -> bool:
    """Tell whether a member started from another member that had started from random weights."""
    init = str(member.get("init", ""))
    return RANDOM in init and init != RANDOM


def _card(
    item: Mapping[str, Any],
    images: Mapping[str, np.ndarray],
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
        "image": encode(images[path]) if path in images else None,
        "right": item["prediction"] == item["truth"],
        "behind": sum(answer == item["prediction"] for answer in answers.values()),
        "members": members,
        "maps": any(member["overlay"] or member["reason"] for member in members),
    }
