"""The figures of a search: its course, the importance of each key, and the result over every key."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import optuna
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from optuna.distributions import CategoricalDistribution
from optuna.importance import FanovaImportanceEvaluator, get_param_importances
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from facemask_ensemble.plots.style import BLUE, GREY, INK, VERMILLION
from facemask_ensemble.rounding import constant
from facemask_ensemble.tuning.progress import ranking

ENOUGH = 8  # complete trials, below which nothing can be said about what mattered
NAMES = {"val_loss": "validation loss", "val_accuracy": "validation accuracy, %"}
Panel = list[FrozenTrial]


def write_figures(study: optuna.Study, metric: str, folder: Path) -> list[Path]:
    """Write every figure that the study has numbers for, and return their paths."""
    drawings: dict[str, Callable[[optuna.Study, str], Figure | None]] = {
        "history": history,
        "importance": importance,
        "slices": slices,
    }
    paths = []
    for name, draw in drawings.items():
        if figure := draw(study, metric):
            paths.append(folder / f"{name}.png")
            figure.savefig(paths[-1], dpi=130, facecolor="white", bbox_inches="tight", pad_inches=0.15)
    return paths


def history(study: optuna.Study, metric: str) -> Figure | None:
    """Draw every trial's value in order, and the best so far."""
    complete, pruned = _judged(study)
    if not complete:
        return None
    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    numbers = [trial.number for trial in complete]
    values = _values(complete, metric)
    axes.plot(numbers, values, "o", color=BLUE, markersize=7, label="complete")
    if pruned:
        axes.plot(
            [trial.number for trial in pruned], _values(pruned, metric), "x", color=GREY, markersize=7, label="pruned"
        )
    better = np.maximum if study.direction == StudyDirection.MAXIMIZE else np.minimum
    steps = [*numbers, max(trial.number for trial in [*complete, *pruned])]
    axes.step(steps, [*better.accumulate(values), better.reduce(values)], where="post", color=INK, label="best so far")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    hidden = _limit(axes, values, [*values, *_values(pruned, metric)], metric)
    axes.set(xlabel="trial", ylabel=NAMES[metric])
    axes.legend(frameon=False, ncols=3, loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0)
    title = f"{study.study_name}: {len(complete)} complete and {len(pruned)} pruned trials"
    _finish(axes, title + (f", {hidden} above the scale" if hidden else ""), pad=24)
    return figure


def importance(study: optuna.Study, metric: str) -> Figure | None:
    """Draw what share of the values' variance each key accounts for (functional ANOVA, Hutter et al. 2014)."""
    complete, _ = _judged(study)
    if len(complete) < ENOUGH or len(complete[0].params) < 2 or constant(_values(complete, metric)):
        return None
    shares = get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=0))
    names, values = list(shares), [100 * share for share in shares.values()]
    figure = Figure(figsize=(8, 1.5 + 0.4 * len(names)), layout="constrained")
    axes = figure.subplots()
    axes.barh(names, values, color=BLUE, height=0.6)
    for place, value in enumerate(values):
        axes.annotate(f"{value:.0f}", (value, place), (5, 0), textcoords="offset points", va="center")
    axes.invert_yaxis()
    axes.set(xlabel=f"share of the variance of the {NAMES[metric].partition(',')[0]}, %", xlim=(0, 1.1 * max(values)))
    _finish(axes, f"Importance of each key, from {len(complete)} complete trials", grid="x")
    return figure


def slices(study: optuna.Study, metric: str) -> Figure | None:
    """Draw the value over every searched key, a panel each; the best trial stands out."""
    complete, pruned = _judged(study)
    if not complete:
        return None
    keys = list(complete[0].distributions)
    columns = min(3, len(keys))
    rows = math.ceil(len(keys) / columns)
    figure = Figure(figsize=(3.1 * columns + 0.6, 2.7 * rows + 0.5), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False, sharey=True)
    for place, axes in enumerate(grid.flat):
        if place >= len(keys):
            axes.set_axis_off()
            continue
        _slice(axes, keys[place], complete, pruned, metric, best=ranking(study)[0])
        axes.set_ylabel(NAMES[metric] if place % columns == 0 else "")
    figure.suptitle("Value of each key and result of each trial (grey crosses: pruned; diamond: best)", fontsize=12)
    return figure


def _slice(axes: Axes, key: str, complete: Panel, pruned: Panel, metric: str, best: FrozenTrial) -> None:
    known = complete[0].distributions[key]
    choices = list(known.choices) if isinstance(known, CategoricalDistribution) else None
    random = np.random.default_rng(0)  # equal choices side by side, not on top of each other

    def places(trials: Panel) -> list[float]:
        drawn = [trial.params[key] for trial in trials]
        if choices is None:
            return [float(value) for value in drawn]
        return [choices.index(value) + random.uniform(-0.15, 0.15) for value in drawn]

    others = [trial for trial in complete if trial is not best]
    axes.plot(places(pruned), _values(pruned, metric), "x", color=GREY)
    axes.plot(places(others), _values(others, metric), "o", color=BLUE, alpha=0.75)
    axes.plot(places([best]), _values([best], metric), "D", color=VERMILLION, markersize=8)
    if choices is not None:
        axes.set_xticks(range(len(choices)), [str(choice) for choice in choices])
        axes.set_xlim(-0.5, len(choices) - 0.5)
    elif getattr(known, "log", False):
        axes.set_xscale("log")
    axes.set_xlabel(key)
    values = _values(complete, metric)
    _limit(axes, values, [*values, *_values(pruned, metric)], metric)
    _finish(axes, "")


def _judged(study: optuna.Study) -> tuple[Panel, Panel]:
    trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
    known = [trial for trial in trials if trial.value is not None and math.isfinite(trial.value)]
    complete = [trial for trial in known if trial.state == TrialState.COMPLETE]
    return complete, [trial for trial in known if trial.state == TrialState.PRUNED]


def _values(trials: Sequence[FrozenTrial], metric: str) -> list[float]:
    scale = 100 if metric == "val_accuracy" else 1
    return [scale * float(trial.value or 0.0) for trial in trials]


def _limit(axes: Axes, complete: Sequence[float], shown: Sequence[float], metric: str) -> int:
    """Limit the scale if a few losses exploded; return how many values are above it."""
    low, middle, high = min(complete), float(np.median(complete)), max(shown)
    top = low + 6 * (middle - low)
    if metric != "val_loss" or not low < top < high:
        return 0
    axes.set_ylim(low - 0.25 * (middle - low), top)
    return sum(value > top for value in shown)


def _finish(axes: Axes, title: str, grid: str = "y", pad: float = 8) -> None:
    axes.grid(axis=grid, color="#E3E6EA", linewidth=0.8)  # type: ignore[arg-type]
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    if title:
        axes.set_title(title, loc="left", fontsize=12, pad=pad)
