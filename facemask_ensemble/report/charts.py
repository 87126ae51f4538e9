"""Positions of the page's charts, from the report's numbers; the template draws them."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from facemask_ensemble.models.initialization import brief

WIDTH, HEIGHT = 230.0, 122.0
LEFT, RIGHT, TOP, BOTTOM = 30.0, 7.0, 22.0, 20.0
CURVES = (("accuracy", "accuracy", "val_accuracy"), ("loss", "loss", "val_loss"))


def dot_plot(report: Mapping[str, Any]) -> dict[str, Any]:
    """Place every member and vote on one accuracy axis, best first; positions are percent of the track's width."""
    best = report["comparison"]["best_member"]
    rows = [
        {"name": member["backbone"], "note": brief(str(member.get("init", "start unknown"))), "kind": "member"}
        | _score(member)
        for member in report["members"]
    ]
    rows += [
        {"name": f"{rule} vote", "note": "", "kind": "vote" if rule == report["shipped"] else "other", **_score(scores)}
        for rule, scores in report["ensemble"].items()
    ]
    for row in rows:
        if row["kind"] == "member" and row["name"] == best:
            row["note"] += " · best on validation"
    chance = report["dataset"]["most_frequent_class_accuracy"]
    low = math.floor(10 * min([chance, *(row["interval"][0] for row in rows)]) - 1e-9) / 10
    low = max(0.0, low)

    def place(value: float) -> float:
        return round(100 * (value - low) / (1 - low), 2)

    for row in rows:
        row |= {"x": place(row["value"]), "x0": place(row["interval"][0]), "x1": place(row["interval"][1])}
    rows.sort(key=lambda row: (-row["value"], row["kind"] == "member", row["name"]))
    step = 0.1 if low >= 0.3 else 0.2
    count = round((1 - low) / step + 0.5 - 1e-6)
    ticks = [round(1 - step * index, 2) for index in range(count + 1) if 1 - step * index >= low - 1e-9]
    return {
        "rows": rows,
        "ticks": [{"x": place(tick), "label": f"{100 * tick:.0f}"} for tick in sorted(ticks)],
        "chance": {"x": place(chance), "value": chance},
    }


def _score(scores: Mapping[str, Any]) -> dict[str, Any]:
    return {"value": scores["accuracy"], "interval": scores["accuracy_interval"]}


def learning_curves(members: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Draw training and validation over the epochs as SVG paths, two panels a member; no panel without numbers."""
    return [
        {"name": member["backbone"], "panels": panels, "rate": _rates(member["history"])}
        for member in members
        if (panels := [panel for curve in CURVES if (panel := _panel(member.get("history") or {}, *curve))])
    ]


def _rates(history: Mapping[str, Any]) -> list[float]:
    known = [rate for rate in history.get("learning_rate") or [] if rate is not None]
    return [known[0], known[-1]] if known else []


def _panel(history: Mapping[str, Any], title: str, train: str, validation: str) -> dict[str, Any] | None:
    series = {kind: list(history.get(key) or []) for kind, key in (("train", train), ("validation", validation))}
    known = [value for values in series.values() for value in values if value is not None]
    if not known:
        return None
    epochs = max(len(values) for values in series.values())
    top = 1.0 if title == "accuracy" else _ceiling(max(known))
    points = {kind: _points(values, epochs, top) for kind, values in series.items()}
    best = max if title == "accuracy" else min
    marked = [value for value in series["validation"] if value is not None]
    index = series["validation"].index(best(marked)) if marked else None
    return {
        "title": title,
        "lines": {kind: _path(places) for kind, places in points.items()},
        # A line of one point cannot be seen: it is drawn as a dot.
        "dots": {kind: [place for place in places if place] if epochs == 1 else [] for kind, places in points.items()},
        "best": None if index is None else points["validation"][index],
        "best_text": None if index is None else f"{series['validation'][index]:.2f} in epoch {index + 1}",
        "y_ticks": [{"y": _y(top * part, top), "label": f"{top * part:.3g}"} for part in (0, 0.5, 1)],
        "x_ticks": [{"x": _x(epoch, epochs), "label": str(epoch + 1)} for epoch in _epochs_named(epochs)],
    }


def _points(values: Sequence[float | None], epochs: int, top: float) -> list[tuple[float, float] | None]:
    return [
        None if value is None else (_x(epoch, epochs), _y(min(value, top), top)) for epoch, value in enumerate(values)
    ]


def _path(points: Sequence[tuple[float, float] | None]) -> str:
    """Join the points; a missing one breaks the line."""
    parts, pen = [], "M"
    for point in points:
        if point is None:
            pen = "M"
        else:
            parts.append(f"{pen}{point[0]} {point[1]}")
            pen = "L"
    return "".join(parts)


def _x(epoch: int, epochs: int) -> float:
    inner = WIDTH - LEFT - RIGHT
    return round(LEFT + inner * (epoch / (epochs - 1) if epochs > 1 else 0.5), 1)


def _y(value: float, top: float) -> float:
    return round(TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / top), 1)


def _epochs_named(epochs: int) -> list[int]:
    step = max(1, math.ceil((epochs - 1) / 5))
    named = list(range(0, epochs, step))
    return [*(epoch for epoch in named if epochs - 1 - epoch >= step / 2), epochs - 1]


def _ceiling(value: float) -> float:
    """Round up to 1, 2, 4, 5 or 10 times a power of ten."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(power * step for step in (1, 2, 4, 5, 10) if power * step >= value * (1 - 1e-9))


def missed(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Say how many images were missed by 0, 1, … members, and how many of those the vote still got right."""
    right = report["errors_vote_right"]
    most = max(report["errors"]) or 1
    return [
        {
            "members": members,
            "images": images,
            "right": right[members],
            "wrong": images - right[members],
            "right_width": round(100 * right[members] / most, 2),
            "wrong_width": round(100 * (images - right[members]) / most, 2),
        }
        for members, images in enumerate(report["errors"])
    ]


def row_shares(matrix: Sequence[Sequence[int]]) -> list[list[float]]:
    """Divide every row of a confusion matrix by its sum; an empty row stays zero."""
    return [[value / (sum(row) or 1) for value in row] for row in matrix]


def shades(matrix: Sequence[Sequence[float | None]]) -> list[list[float]]:
    """Spread the values over 0.05 to 0.9, so that close members are told apart; a member with itself stays bare."""
    matrix = filled(matrix)
    others = [share for row, line in enumerate(matrix) for column, share in enumerate(line) if row != column]
    low, high = min(others, default=0.0), max(others, default=1.0)
    return [
        [
            0.0 if row == column else 0.05 + 0.85 * (share - low) / ((high - low) or 1)
            for column, share in enumerate(line)
        ]
        for row, line in enumerate(matrix)
    ]


def by_answer(votes: Mapping[str, str]) -> list[tuple[str, list[str]]]:
    """Gather the members behind each answer, the most first."""
    behind: dict[str, list[str]] = {}
    for member, answer in votes.items():
        behind.setdefault(answer, []).append(member)
    return sorted(behind.items(), key=lambda item: -len(item[1]))


def filled(matrix: Sequence[Sequence[float | None]]) -> list[list[float]]:
    """Put 0 where a value is not known."""
    return [[0.0 if value is None else value for value in row] for row in matrix]
