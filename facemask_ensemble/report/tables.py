"""The tables of scores, for the page and for the terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from facemask_ensemble.models.initialization import RANDOM, brief, origin
from facemask_ensemble.report.numbers import MISSING, duration, epochs, interval, millions, percent

SHARES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro F1",
    "validation_accuracy": "validation accuracy",
}
START = 11  # columns of a terminal: with them the table takes no more than 80


def score_table(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Lay out one row a vote and a member, with sort values and the best of every score marked."""
    rows = [
        {"name": f"{rule} vote", "note": "", "vote": True, "shipped": rule == report["shipped"], "scores": scores}
        for rule, scores in report["ensemble"].items()
    ]
    rows += [
        {"name": member["backbone"], "note": _note(member), "vote": False, "shipped": False, "scores": member}
        for member in sorted(report["members"], key=lambda member: -member["accuracy"])
    ]
    best = {key: max((row["scores"].get(key) or 0) for row in rows) for key in SHARES}
    for row in rows:
        row["cells"] = _cells(row["scores"], best)
    return rows


def _note(member: Mapping[str, Any]) -> str:
    size = member.get("image_size")
    trained_on = member.get("trained_on")
    parts = [
        brief(str(member.get("init", "start unknown"))),
        f"{size} px" if size else None,
        member.get("precision"),
        f"trained on {trained_on}" if trained_on else None,
    ]
    return " · ".join(str(part) for part in parts if part)


def _cells(scores: Mapping[str, Any], best: Mapping[str, float]) -> dict[str, dict[str, Any]]:
    cells: dict[str, dict[str, Any]] = {}
    for key, title in SHARES.items():
        value = scores.get(key)
        cells[title] = {"text": percent(value), "value": value, "best": value is not None and value >= best[key]}
        if key == "accuracy":
            cells["95 % interval"] = {"text": interval(scores["accuracy_interval"])}
    ran = epochs(scores)
    cells["parameters"] = {"text": millions(scores.get("parameters")), "value": scores.get("parameters")}
    cells["epochs"] = {"text": MISSING if ran is None else str(ran), "value": ran}
    cells["training"] = {"text": duration(scores.get("seconds")), "value": scores.get("seconds")}
    return {title: {"value": None, "best": False} | cell for title, cell in cells.items()}


def terminal_table(report: Mapping[str, Any]) -> Table:
    """Lay the members, the votes and the verdict's sentence out for a terminal of 80 columns."""
    dataset = report["dataset"]
    table = Table(
        title=Text(f"{dataset['name']}: {dataset['images']} {dataset['judged_on']} images"),
        caption=Text("\n".join([report["comparison"]["sentence"], *_gone_on(report["members"])])),
        caption_justify="left",
        caption_style="default",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    table.add_column("member", overflow="fold", min_width=17)
    table.add_column("start", min_width=START, max_width=START, overflow="fold")
    for head in ("accuracy, %", "balanced", "macro F1", "seconds"):
        table.add_column(head, justify="right", no_wrap=True)
    for member in sorted(report["members"], key=lambda member: -member["accuracy"]):
        table.add_row(Text(member["backbone"]), Text(_start(member)), *_scores(member), _seconds(member))
    table.add_section()
    for rule, scores in report["ensemble"].items():
        style = "bold" if rule == report["shipped"] else None
        table.add_row(Text(f"{rule} vote"), Text(_tied(scores)), *_scores(scores), "", style=style)
    return table


def _start(member: Mapping[str, Any]) -> str:
    init = str(member.get("init", "unknown"))
    members, _ = origin(init)
    return f"of {members[0][1]}" if members else "random init" if init == RANDOM else init


def _gone_on(members: Sequence[Mapping[str, Any]]) -> list[str]:
    """Explain what `of RUN` is, and say what the members before that began with."""
    roots = {start.root for member in members if (start := origin(str(member.get("init", "")))).members}
    return [f"of RUN: started from that run's weights; before that {', '.join(sorted(roots))}"] if roots else []


def _seconds(member: Mapping[str, Any]) -> str:
    seconds = member.get("seconds")
    return MISSING if seconds is None else f"{seconds:.0f}"


def _tied(scores: Mapping[str, Any]) -> str:
    ties = scores.get("ties")
    return "" if ties is None else f"{ties} tie" if ties == 1 else f"{ties} ties"


def _scores(scores: Mapping[str, Any]) -> list[str]:
    accuracy = f"{percent(scores['accuracy'])} ({interval(scores['accuracy_interval'], '–')})"
    return [accuracy, percent(scores["balanced_accuracy"]), percent(scores["macro_f1"])]
