"""The facts of the ship card: what a user should know about an ensemble before using it."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from facemask_ensemble.models.initialization import RANDOM
from facemask_ensemble.settings.task import Misuse, Task

SENT = 0.04  # share of images sent to a person that the card speaks of


def ship_card(report: Mapping[str, Any], task: Task, study: str, command: str) -> dict[str, Any]:
    """Choose from the report what belongs on the card.

    Args:
        report: what `verdict.judge` gives with an analysis, `break_tie`, `shift`, its dataset's `changed` and `seen`.
        task: that it is about.
        study: whose members these are.
        command: that made the report.
    """
    data, rule = report["dataset"], report["rules"][report["shipped"]]
    scores, against = report["ensemble"][report["shipped"]], report["comparison"]
    calibration = report["calibration"]["rows"][-1]
    weights = rule["weights"] or {}
    used = [member for member in report["members"] if weights.get(member["backbone"], 1) > 0]
    costs = [report["costs"].get(member["backbone"]) for member in used]
    known = [cost for cost in costs if cost]
    complete = len(known) == len(costs)
    return {
        "name": f"{task.model_prefix}{data['name']}",
        "study": study,
        "rule": report["shipped"],
        "ties": report["break_tie"],
        "class_names": data["class_names"],
        "members": [
            {"name": member["backbone"], "weight": weights.get(member["backbone"]), "init": member.get("init")}
            for member in used
        ],
        "left_out": [{"name": name, "reason": reason} for name, reason in rule["left_out"].items()],
        "accuracy": scores["accuracy"],
        "accuracy_interval": scores["accuracy_interval"],
        "images": data["images"],
        "sentence": against["sentence"],
        "best_member": against["best_member"],
        "difference": against["difference"],
        "difference_interval": against["interval"],
        "p_value": against["p_adjusted"],
        "milliseconds": sum(cost["milliseconds"] for cost in known) if known and complete else None,
        "megabytes": sum(cost["megabytes"] for cost in known) if known and complete else None,
        "measured": known[0]["measured"] if known else "",
        "tie_rate": scores["ties"] / data["images"],
        "abstention_rate": scores["abstained"] / data["images"],
        "coverage": report["abstention"]["conformal"]["sentence"],
        "send": at_about(report["abstention"]["send"])["sentence"],
        "log_loss": calibration["after"]["log_loss"],
        "expected_calibration_error": calibration["after"]["expected_calibration_error"],
        "temperature": calibration["temperature"],
        "fingerprint": data["fingerprint"],
        "dataset": data["name"],
        "dataset_images": sum(sum(counts.values()) for counts in data["counts"].values()),
        "warnings": warnings(report),
        "must_not": _must_not(report, task.misuse),
        "per_class_recall": {name: found["recall"] for name, found in scores["per_class"].items() if found["support"]},
        "command": command,
        "written": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }


def at_about(sent: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Choose the row of the share nearest to that which the card speaks of."""
    return min(sent, key=lambda row: abs(row["asked"] - SENT))


def warnings(report: Mapping[str, Any]) -> list[str]:
    """List what limits these numbers: random weights, a changed dataset, images left out."""
    data, members = report["dataset"], report["members"]
    random = [member["backbone"] for member in members if RANDOM in str(member.get("init", ""))]
    found = []
    if random:
        who = "Every member" if len(random) == len(members) else ", ".join(random)
        found.append(f"{who} learned from random initialisation: these numbers say nothing about pretrained weights.")
    if data["changed"]:
        found.append(f"The dataset was changed: {', '.join(data['changed'])}.")
    if data["seen"]:
        who = "1 image" if data["seen"] == 1 else f"{data['seen']} images"
        found.append(f"{who} left out of the evaluation: already used to train a member.")
    empty = [name for name, count in data["counts"]["test"].items() if not count]
    if empty:
        found.append(f"No test image of class {', '.join(empty)}: its recall is unknown.")
    elsewhere = [member["backbone"] for member in members if member.get("trained_on")]
    if elsewhere:
        found.append(f"{', '.join(elsewhere)} learned from other images, not from this dataset's training split.")
    return found


def _must_not(report: Mapping[str, Any], misuse: Misuse) -> list[str]:
    data, scores = report["dataset"], report["ensemble"][report["shipped"]]
    wrong = 100 * (1 - scores["accuracy"])
    lines = [
        f"{misuse.alone}: {wrong:.1f} of 100 answers here are wrong.",
        f"Images unlike those of {data['name']}: its accuracy there is unknown.",
        f"{misuse.beyond}: it answers {', '.join(data['class_names'])} and nothing else.",
    ]
    if report["shift"]:
        lines.append(report["shift"]["sentence"])
    return lines
