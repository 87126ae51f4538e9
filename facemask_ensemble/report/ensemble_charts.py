"""Positions of the charts that tell which ensemble to ship; the template draws them as SVG."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from facemask_ensemble.evaluation.frontier import named

WIDE, HIGH = 720.0, 380.0
LEFT, RIGHT, TOP, BOTTOM = 52.0, 16.0, 14.0, 42.0
SIDE = 200.0  # of a reliability diagram
MARGIN = 30.0
STEPS = (1, 2, 5)
LETTER = 6.5  # mean width of a name's letters
Scale = Callable[[float], float]


def frontier_plot(frontier: Mapping[str, Any]) -> dict[str, Any]:
    """Place every choice by what it costs an image, logarithmic, and its accuracy; without costs by its members."""
    points, names = frontier["points"], frontier["members"]
    timed = points[0]["milliseconds"] is not None
    cost = [point["milliseconds"] if timed else len(point["members"]) for point in points]
    low = min(0.95, math.floor(20 * min(point["accuracy"] for point in points)) / 20)
    high = min(1.0, math.ceil(20 * max(point["accuracy"] for point in points) + 0.2) / 20)
    across, up = _logarithmic(min(cost), max(cost)), _linear(low, high)
    drawn = [
        {
            "x": across(cost[place]),
            "y": up(point["accuracy"]),
            "rule": point["rule"],
            "kind": _kind(frontier, place),
            "label": names[point["members"][0]] if len(point["members"]) == 1 else None,
            "text": choice_text(point, names),
        }
        for place, point in enumerate(points)
    ]
    order = {"dominated": 0, "front": 1, "chosen": 2}
    drawn.sort(key=lambda dot: order[dot["kind"]])
    return {
        "dots": drawn,
        "labels": _apart([dot for dot in drawn if dot["label"]]),
        "rules": list(dict.fromkeys(point["rule"] for point in points)),
        "x_ticks": [
            {"x": across(tick), "label": f"{tick:.3g}" if timed else f"{tick:g}"}
            for tick in _ticks(min(cost), max(cost), timed)
        ],
        "y_ticks": [{"y": up(tick), "label": f"{100 * tick:.0f}"} for tick in _shares(low, high)],
        "x_title": "milliseconds an image, all members together" if timed else "members",
        "front": [
            {**point, "name": named(point, names), "chosen": place == frontier["chosen"]}
            for place, point in sorted(enumerate(points), key=lambda item: cost[item[0]])
            if not point["dominated"] or place == frontier["chosen"]
        ],
    }


def choice_text(point: Mapping[str, Any], names: Sequence[str]) -> str:
    """Name a choice with its accuracy and costs, for one line."""
    low, high = (100 * edge for edge in point["interval"])
    text = f"{named(point, names)}: {100 * point['accuracy']:.1f} % ({low:.1f} to {high:.1f})"
    if point["milliseconds"] is not None:
        text += f", {point['milliseconds']:.3g} ms, {point['megabytes']:.0f} MB"
    return text


def _kind(frontier: Mapping[str, Any], place: int) -> str:
    if place == frontier["chosen"]:
        return "chosen"
    return "dominated" if frontier["points"][place]["dominated"] else "front"


def reliability_plots(calibration: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Place each bin's accuracy over its confidence, before and after the temperature; the members' mean first."""
    rows = [calibration["rows"][-1], *calibration["rows"][:-1]]
    return [
        {
            "name": row["name"],
            "temperature": row["temperature"],
            "before": _bins(row["reliability_before"]),
            "after": _bins(row["reliability_after"]),
            "error_before": row["before"]["expected_calibration_error"],
            "error_after": row["after"]["expected_calibration_error"],
        }
        for row in rows
    ]


def _bins(bins: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    most = max((found["images"] for found in bins), default=1)
    places = [
        {
            "x": _unit(found["confidence"]),
            "y": _flip(found["accuracy"]),
            "y0": _flip(found["interval"][0]),
            "y1": _flip(found["interval"][1]),
            "r": round(2 + 4 * math.sqrt(found["images"] / most), 1),
            "text": f"{found['images']} images: {100 * found['confidence']:.0f} % sure, "
            f"{100 * found['accuracy']:.0f} % right",
        }
        for found in bins
    ]
    path = "".join(f"{'L' if place else 'M'}{dot['x']} {dot['y']}" for place, dot in enumerate(places))
    return {"dots": places, "path": path}


def _unit(share: float) -> float:
    return round(MARGIN + (SIDE - MARGIN - 8) * share, 1)


def _flip(share: float) -> float:
    return round(8 + (SIDE - MARGIN - 8) * (1 - share), 1)


def risk_plot(curve: Mapping[str, Any]) -> dict[str, Any]:
    """Draw the error of the most confident images over their share as a path."""
    top = _ceiling(max([*curve["risk"], 1e-3]))
    across, up = _linear_across(), _linear(0.0, top)
    path = "".join(
        f"{'L' if place else 'M'}{across(share)} {up(risk)}"
        for place, (share, risk) in enumerate(zip(curve["coverage"], curve["risk"], strict=True))
    )
    return {
        "path": path,
        "x_ticks": [{"x": across(share), "label": f"{100 * share:.0f}"} for share in (0, 0.25, 0.5, 0.75, 1)],
        "y_ticks": [{"y": up(top * part), "label": f"{100 * top * part:.3g}"} for part in (0, 0.5, 1)],
    }


def _apart(dots: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Place the members' names beside their dots, an overlapping one a line lower."""
    placed: list[dict[str, Any]] = []
    for dot in sorted(dots, key=lambda dot: dot["y"]):
        end = dot["x"] > WIDE - 150
        label = {"x": dot["x"] + (-9 if end else 9), "anchor": "end" if end else "start", "label": dot["label"]}
        wanted = min(dot["y"] + 4, HIGH - BOTTOM)
        heights = sorted((float(y) for y in range(int(TOP) + 8, int(HIGH - BOTTOM) + 1)), key=lambda y: abs(y - wanted))
        free = (y for y in heights if not any(abs(y - other["y"]) < 13 and _beside(label, other) for other in placed))
        placed.append({**label, "y": next(free, wanted)})
    return placed


def _beside(label: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Tell whether two labels would meet at one height."""
    (left, right), (other_left, other_right) = _span(label), _span(other)
    return left < other_right and other_left < right


def _span(label: Mapping[str, Any]) -> tuple[float, float]:
    width = LETTER * len(label["label"])
    left = label["x"] - (width if label["anchor"] == "end" else 0)
    return left, left + width


def _logarithmic(low: float, high: float) -> Scale:
    start, width = math.log(low), max(math.log(high / low), 0.3)
    inner = WIDE - LEFT - RIGHT
    return lambda value: round(LEFT + inner * (0.04 + 0.92 * (math.log(value) - start) / width), 1)


def _linear(low: float, high: float) -> Scale:
    return lambda value: round(TOP + (HIGH - TOP - BOTTOM) * (1 - (value - low) / (high - low)), 1)


def _linear_across() -> Scale:
    return lambda share: round(LEFT + (WIDE - LEFT - RIGHT) * share, 1)


def _ticks(low: float, high: float, timed: bool) -> list[float]:
    if not timed:
        return [float(count) for count in range(round(low), round(high) + 1)]
    powers = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1)
    found = [step * 10.0**power for power in powers for step in STEPS]
    round_ones = [tick for tick in found if low * 0.95 <= tick <= high * 1.05]
    return round_ones if len(round_ones) > 1 else [low, high]


def _shares(low: float, high: float) -> list[float]:
    step = next(step for step in (0.01, 0.02, 0.05, 0.1, 0.2) if (high - low) / step <= 7)
    return [low + step * place for place in range(int((high - low) / step + 1e-6) + 1)]


def _ceiling(value: float) -> float:
    power = 10.0 ** math.floor(math.log10(value))
    return next(power * step for step in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if power * step >= value * (1 - 1e-9))
