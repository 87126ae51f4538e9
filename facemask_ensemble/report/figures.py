"""The report's figures as PNG files, for MLflow and for slides; drawn without a global state."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from facemask_ensemble.models.initialization import summed_up
from facemask_ensemble.plots.learning_curves import learning_curves
from facemask_ensemble.plots.style import BLUE, GREY, INK, ORANGE, VERMILLION, finish, plain
from facemask_ensemble.report import charts

MANY = 10  # classes: with more, the zeros of a matrix are left out


def write_figures(report: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write every figure the report has numbers for and give their paths."""
    drawings: dict[str, Callable[[Mapping[str, Any]], Figure | None]] = {
        "members": members,
        "confusion": confusion,
        "learning_curves": lambda given: learning_curves(given["members"]),
        "agreement": agreement,
        "missed": missed,
    }
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, draw in drawings.items():
        if figure := draw(report):
            paths.append(folder / f"{name}.png")
            figure.savefig(paths[-1], dpi=130, facecolor="white", bbox_inches="tight", pad_inches=0.15)
    return paths


def members(report: Mapping[str, Any]) -> Figure:
    """Draw every accuracy with its interval, best first."""
    plot = charts.dot_plot(report)
    rows = plot["rows"]
    figure = Figure(figsize=(8, 1.4 + 0.38 * len(rows)), layout="constrained")
    axes = figure.subplots()
    for place, row in enumerate(rows):
        colour = BLUE if row["kind"] == "vote" else ORANGE if row["kind"] == "other" else GREY
        low, high = (100 * edge for edge in row["interval"])
        axes.plot([low, high], [place, place], color=colour, linewidth=2.5, solid_capstyle="round")
        axes.plot(100 * row["value"], place, "D" if row["kind"] != "member" else "o", color=colour, markersize=8)
        label = f"{100 * row['value']:.1f}"
        axes.annotate(label, (low, place), (-6, 0), textcoords="offset points", va="center", ha="right")
    axes.axvline(100 * plot["chance"]["value"], color=INK, linestyle=":", linewidth=1.2)
    label = f"always answering the most frequent class: {100 * plot['chance']['value']:.1f}"
    axes.text(100 * plot["chance"]["value"], len(rows) - 0.4, f" {label}", va="center", fontsize=8, color=INK)
    axes.set_yticks(range(len(rows)), [plain(row["name"]) for row in rows])
    axes.set_ylim(len(rows) - 0.1, -0.6)
    left = axes.get_xlim()[0]
    axes.set_xlim(left, 101)
    axes.set_xlabel(f"accuracy on {report['dataset']['images']} {report['dataset']['judged_on']} images, %")
    finish(axes, f"Members and votes, with 95 % intervals ({_started(report)})", grid="x")
    return figure


def confusion(report: Mapping[str, Any]) -> Figure:
    """Draw the confusion matrix of the vote and of every member."""
    names = [plain(name) for name in report["dataset"]["class_names"]]
    panels = [(f"{report['shipped']} vote", report["ensemble"][report["shipped"]])]
    panels += [(member["backbone"], member) for member in report["members"]]
    columns = min(4, len(panels))
    rows = -(-len(panels) // columns)
    side = max(2.3, 0.42 * len(names))
    figure = Figure(figsize=(side * columns + 0.8, (side + 0.5) * rows + 0.5), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for index, panel in enumerate(axes.flat):
        if index >= len(panels):
            panel.set_axis_off()
            continue
        title, scores = panels[index]
        matrix = np.array(scores["confusion_matrix"])
        _heat(panel, matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1), matrix, names)
        panel.set_title(f"{plain(title)}  {100 * scores['accuracy']:.1f} %", fontsize=10)
        panel.set_ylabel("truth" if index % columns == 0 else "")
        panel.set_xlabel("answer" if index + columns >= len(panels) else "")
    figure.suptitle("Confusion matrices: images, shaded by the share of the true class", fontsize=12)
    return figure


def agreement(report: Mapping[str, Any]) -> Figure:
    """Draw the share of equal answers of every two members."""
    names = [plain(member["backbone"]) for member in report["members"]]
    matrix = np.array(report["agreement"])
    side = max(4.0, 0.75 * len(names) + 1.8)
    figure = Figure(figsize=(side, side * 0.92), layout="constrained")
    axes = figure.subplots()
    shades = np.array(charts.shades(report["agreement"]))
    _heat(axes, shades, np.round(100 * matrix).astype(int), names)
    axes.set_title("Equal answers of two members, % of the images", fontsize=11)
    return figure


def missed(report: Mapping[str, Any]) -> Figure:
    """Draw how many images were missed by how many members."""
    rows = charts.missed(report)
    places = [row["members"] for row in rows]
    right = np.array([row["right"] for row in rows])
    wrong = np.array([row["wrong"] for row in rows])
    figure = Figure(figsize=(7, 3.4), layout="constrained")
    axes = figure.subplots()
    axes.bar(places, right, color=BLUE, label="the vote is right")
    axes.bar(places, wrong, bottom=right, color=VERMILLION, hatch="///", edgecolor="white", label="the vote is wrong")
    for place, total in zip(places, right + wrong, strict=True):
        axes.annotate(str(total), (place, total), (0, 3), textcoords="offset points", ha="center", fontsize=9)
    axes.set_xticks(places)
    axes.margins(y=0.12)
    axes.set_xlabel("members that missed the image")
    axes.set_ylabel("images")
    axes.legend(frameon=False)
    finish(axes, "How many members missed an image", grid="y")
    return figure


def _heat(axes: Axes, shares: np.ndarray, texts: np.ndarray, names: list[str]) -> None:
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    if max(map(len, names)) > 5 or len(names) > 6:
        axes.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor")
    else:
        axes.set_xticks(range(len(names)), names)
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(length=0, labelsize=8)
    axes.spines[:].set_visible(False)
    for (row, column), share in np.ndenumerate(shares):
        if not share and len(names) > MANY:
            continue
        colour = "white" if share > 0.55 else INK
        axes.text(column, row, str(texts[row, column]), ha="center", va="center", fontsize=8, color=colour)


def _started(report: Mapping[str, Any]) -> str:
    return summed_up(str(member.get("init", "start unknown")) for member in report["members"])
