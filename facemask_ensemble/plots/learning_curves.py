"""Learning curves."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from facemask_ensemble.plots.style import BLUE, GREY, finish


def learning_curves(members: Sequence[Mapping[str, Any]]) -> Figure | None:
    """Draw training and validation accuracy of every member over the epochs.

    Args:
        members: `backbone` and `history`, lists a metric; None is drawn where no history has an accuracy.
    """
    trained = [member for member in members if (member.get("history") or {}).get("accuracy")]
    if not trained:
        return None
    columns = min(4, len(trained))
    rows = -(-len(trained) // columns)
    wide, high = (2.7, 2.2) if len(trained) > 1 else (5.4, 3.2)
    figure = Figure(figsize=(wide * columns + 0.6, high * rows + 0.7), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharey=True)
    for panel, member in zip(axes.flat, trained, strict=False):
        for key, label, style in (("accuracy", "training", "--"), ("val_accuracy", "validation", "-")):
            values = np.array(member["history"].get(key) or [], float)
            colour = GREY if style == "--" else BLUE
            panel.plot(np.arange(1, len(values) + 1), 100 * values, style, color=colour, marker=".", label=label)
        panel.set_ylim(0, 102)
        panel.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
        finish(panel, member["backbone"], grid="y", size=10)
    for panel in axes.flat[len(trained) :]:
        panel.set_axis_off()
    axes[0][0].legend(fontsize=8, frameon=False)
    figure.supxlabel("epoch", fontsize=10)
    figure.supylabel("accuracy, %", fontsize=10)
    figure.suptitle("Learning curves", fontsize=12)
    return figure
