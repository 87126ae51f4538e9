"""Positions of the audit page's charts, from the report's numbers; the template draws them as SVG."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

WIDTH, HEIGHT = 340.0, 210.0
LEFT, RIGHT, TOP, BOTTOM = 40.0, 14.0, 10.0, 34.0
COLOURS = 8  # classes told apart by colour
RADIUS = 17.0  # of the commonest exact size
CROWD = 20  # sizes; where none has a share of one in so many, all circles are small
LABELLED = 3
SIDES = (8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384)
SIDE_TICKS = tuple((float(side), str(side)) for low in SIDES for side in (low, low * 3 // 2))
BYTE_TICKS = tuple(
    (step * unit, f"{step} {name}")
    for unit, name in ((1e3, "kB"), (1e6, "MB"))
    for step in (1, 2, 5, 10, 20, 50, 100, 200, 500)
)
ASPECT_TICKS = ((1 / 4, "1:4"), (1 / 2, "1:2"), (2 / 3, "2:3"), (1, "1:1"), (3 / 2, "3:2"), (2, "2:1"), (4, "4:1"))
TIGHT = 34.0  # ticks that would lie nearer are thinned


def bubbles(drawn: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Place every exact size by its width and height, both logarithmic, with an area by its count."""
    if not drawn:
        return None
    sides = [size[key] for size in drawn for key in ("width", "height")]
    scale = _scale(min(sides), max(sides))
    most = max(drawn[0]["images"], sum(size["images"] for size in drawn) / CROWD)
    circles = [
        {
            "x": _x(scale(size["width"])),
            "y": _y(scale(size["height"])),
            "r": round(max(1.8, RADIUS * math.sqrt(size["images"] / most)), 1),
            "colour": _leading(size["counts"]) % COLOURS,
            "text": f"{size['width']}x{size['height']}",
            "images": size["images"],
        }
        for size in drawn
    ]
    return {
        "circles": circles,
        "labels": _apart([circle for circle in circles[:LABELLED] if circle["images"] > 1]),
        "x_ticks": [{"x": _x(scale(side)), "label": str(side)} for side in _sides(min(sides), max(sides))],
        "y_ticks": [{"y": _y(scale(side)), "label": str(side)} for side in _sides(min(sides), max(sides))],
    }


def _leading(counts: Mapping[str, int]) -> int:
    return max(range(len(counts)), key=list(counts.values()).__getitem__)


def _apart(circles: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Keep the labels that have room: one that would cover an earlier one is left out."""
    kept: list[dict[str, Any]] = []
    for circle in circles:
        end = circle["x"] > WIDTH - 90
        x = circle["x"] - circle["r"] - 4 if end else circle["x"] + circle["r"] + 4
        place = {"x": round(x, 1), "y": circle["y"] + 4, "anchor": "end" if end else "start"}
        if all(abs(place["y"] - other["y"]) > 12 for other in kept):
            kept.append(place | {"text": f"{circle['text']} ({circle['images']})"})
    return kept


def histogram(found: Mapping[str, Any] | None, ticks: Sequence[tuple[float, str]]) -> dict[str, Any] | None:
    """Stack the classes' counts; more classes than `COLOURS` are drawn as one.

    Args:
        found: `edges`, equal steps of a logarithm, and `counts` by class.
        ticks: values and their names; those outside the bars are left out.
    """
    if not found:
        return None
    edges, counts = found["edges"], np.array(list(found["counts"].values()))
    counts = counts if len(counts) <= COLOURS else counts.sum(axis=0, keepdims=True)
    top = int(counts.sum(axis=0).max())
    scale = _scale(edges[0], edges[-1], margin=0)
    return {
        "bars": [bar for place in range(len(edges) - 1) for bar in _bar(place, counts[:, place], top, edges)],
        "y_ticks": [{"y": _y(count / top), "label": f"{count:,}"} for count in _round_counts(top)],
        "x_ticks": _thinned([{"x": _x(scale(at)), "label": name} for at, name in ticks if edges[0] <= at <= edges[-1]]),
    }


def _bar(place: int, counts: np.ndarray, top: int, edges: Sequence[float]) -> list[dict[str, Any]]:
    """Stack one step's parts from the bottom up."""
    step = (WIDTH - LEFT - RIGHT) / (len(edges) - 1)
    ends = np.cumsum(counts)
    return [
        {
            "x": round(LEFT + place * step, 1),
            "y": _y(end / top),
            "width": round(step - 1, 1),
            "height": round(_y((end - count) / top) - _y(end / top), 1),
            "colour": part,
            "text": f"{_short(edges[place])} to {_short(edges[place + 1])}: {count}",
        }
        for part, (count, end) in enumerate(zip(counts.tolist(), ends.tolist(), strict=True))
        if count
    ]


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2f}"


def _sides(low: float, high: float) -> list[int]:
    found = [side for side in SIDES if low / 1.25 <= side <= high * 1.25]
    return found[:: 1 + len(found) // 8] or [round(low)]


def _scale(low: float, high: float, margin: float = 0.12) -> Callable[[float], float]:
    """Map the logarithm of a value to 0..1, with a margin at both ends."""
    start, width = math.log(low), max(math.log(high / low), 1e-9)
    if width < 0.2 and margin:
        start, width = start - 0.5, 1.0
    return lambda value: margin + (1 - 2 * margin) * (math.log(value) - start) / width


def _round_counts(top: int) -> list[int]:
    step = 10 ** math.floor(math.log10(top))
    step = step if top >= 2 * step else max(1, step // 2) if top < 1.5 * step else step
    found = list(range(0, top + 1, step))
    return found if len(found) <= 5 else found[:: math.ceil(len(found) / 5)]


def _thinned(ticks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    kept: list[dict[str, Any]] = []
    for tick in ticks:
        if not kept or tick["x"] - kept[-1]["x"] >= TIGHT:
            kept.append(tick)
    return kept


def _x(part: float) -> float:
    return round(LEFT + (WIDTH - LEFT - RIGHT) * part, 1)


def _y(part: float) -> float:
    return round(TOP + (HEIGHT - TOP - BOTTOM) * (1 - part), 1)


def cue_plot(shortcuts: Mapping[str, Any], names: Mapping[str, str]) -> list[dict[str, Any]]:
    """Place every cue's balanced accuracy on an axis from 0 to 100 %, the most telling first."""
    rows = [
        {**cue, "title": names[cue["name"]], "x": round(100 * (cue["balanced_accuracy"] or 0), 2)}
        for cue in shortcuts["cues"]
    ]
    return sorted(rows, key=lambda row: -(row["balanced_accuracy"] or 0))


def shares(counts: Mapping[str, int]) -> list[dict[str, Any]]:
    """Divide a bar among the classes, in percent of its width."""
    total = sum(counts.values()) or 1
    return [
        {"name": name, "count": count, "width": round(100 * count / total, 3), "colour": place % COLOURS}
        for place, (name, count) in enumerate(counts.items())
    ]
