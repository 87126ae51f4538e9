"""The audit's report: everything found in a dataset, as plain values."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from facemask_ensemble.auditing.balance import balance
from facemask_ensemble.auditing.duplicates import conflicts, copy_table, link
from facemask_ensemble.auditing.examples import INSIDE, contact_sheets, evenly, inside, shown_groups
from facemask_ensemble.auditing.files import left_out, odd_files
from facemask_ensemble.auditing.findings import findings, sentence
from facemask_ensemble.auditing.leaks import given_leaks, random_leaks
from facemask_ensemble.auditing.shortcut_prediction import guess
from facemask_ensemble.auditing.shortcut_values import shortcut_values
from facemask_ensemble.auditing.shortcuts import cues, values
from facemask_ensemble.auditing.sizes import sizes

SHORTCUT_VALUES = 12  # shown with images


@dataclass(frozen=True)
class Subject:
    """What is audited.

    Args:
        name: of the dataset.
        root: the folder that the paths are relative to.
        class_names: in label order.
        rows: every labelled file with its findings, as `data.prepare.examine` gives them.
        used: `path` and `split` of the images that a training would use.
        quarantine: `path` and `reason` of what is left out.
        refusal: why the dataset cannot be used for training, "" if it can.
        distance: bits by which the looks of near copies may differ; None for exact copies alone.
        held_out: the proportion that a random split would not train on.
    """

    name: str
    root: Path
    class_names: tuple[str, ...]
    rows: pd.DataFrame
    used: pd.DataFrame
    quarantine: pd.DataFrame
    refusal: str
    distance: int | None
    held_out: float


def report_on(subject: Subject) -> tuple[dict[str, Any], pd.DataFrame]:
    """Give the report and the table of all copies."""
    rows = subject.rows[subject.rows["reason"] == ""].reset_index(drop=True)
    splits = subject.used.set_index("path")["split"]
    rows = rows.assign(given=rows["split"], split=rows["path"].map(splits).fillna(""), label=rows["label"].astype(int))
    names = subject.class_names
    links, component = link(rows, subject.distance)
    table = copy_table(rows, links, component, names)
    used = rows[rows["path"].isin(subject.used["path"])]
    odd = odd_files(rows)
    for found in odd:
        found["examples"] = [found["paths"][place]["path"] for place in evenly(found["files"], INSIDE)]
    report: dict[str, Any] = {
        "name": subject.name,
        "root": str(subject.root),
        "class_names": list(names),
        "images": {"labelled": len(subject.rows), "readable": len(rows), "used": len(used)},
        "refusal": subject.refusal,
        "balance": balance(used if len(used) else rows, names),
        "sizes": sizes(rows, names),
        "files": {"odd": odd, "odd_files": int((rows["odd"] != "").sum()), "left_out": left_out(subject.quarantine)},
        "copies": _copies(subject, rows, links, component, table),
        "contact_sheets": contact_sheets(rows, names),
        "shortcuts": _shortcuts(rows, component, names),
    }
    report["findings"] = findings(report)
    report["verdict"] = sentence(report["findings"])
    return report, table


def _copies(
    subject: Subject, rows: pd.DataFrame, links: pd.DataFrame, component: Any, table: pd.DataFrame
) -> dict[str, Any]:
    return {
        "distance": subject.distance,
        "images": len(table),
        "groups": int(table["group"].nunique()),
        "exact": int((table["kind"] == "exact").sum()),
        "near": int((table["kind"] == "near").sum()),
        "shown": shown_groups(table),
        "conflicts": conflicts(rows, links, subject.class_names),
        "given_split": given_leaks(rows, component),
        "random_split": random_leaks(rows["label"].to_numpy(int), component, subject.held_out),
        "held_out": subject.held_out,
    }


def _shortcuts(rows: pd.DataFrame, component: Any, names: tuple[str, ...]) -> dict[str, Any]:
    if rows.empty:
        return {"chance": 1 / len(names), "cues": [], "shortcut_values": []}
    label = rows["label"].to_numpy(int)
    told = shortcut_values(rows, values(rows, names), component, names)
    for place, found in enumerate(told):
        places = found.pop("places")
        found["examples"] = inside(rows, places, names) if place < SHORTCUT_VALUES else []
    return {
        "chance": 1 / len(names),
        "cues": [guess(cue, label, component, len(names)) for cue in cues(rows, names)],
        "shortcut_values": told,
    }


def metrics(report: dict[str, Any]) -> dict[str, float]:
    """Give the figures that are worth comparing between audits."""
    found = {
        "images": report["images"]["labelled"],
        "images_used": report["images"]["used"],
        "left_out": sum(kind["files"] for kind in report["files"]["left_out"]),
        "odd_files": report["files"]["odd_files"],
        "copies": report["copies"]["images"],
        "conflicts": len(report["copies"]["conflicts"]),
        "random_split_leak": report["copies"]["random_split"],
        "class_ratio": report["balance"]["ratio"],
        "to_fix": sum(found["level"] in ("stop", "fix") for found in report["findings"]),
    }
    found |= {f"guessed_by_{cue['name']}": cue["balanced_accuracy"] for cue in report["shortcuts"]["cues"]}
    return {name: float(value) for name, value in found.items() if value is not None}
