"""One trial: draw a config, train it, report every epoch, and stop what is unpromising."""

import contextlib
import csv
import math
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import optuna
from optuna.trial import FrozenTrial, TrialState

from facemask_ensemble.errors import InputError
from facemask_ensemble.settings.train import TrainSettings
from facemask_ensemble.signals import Stopped
from facemask_ensemble.training.member_process import Outcome
from facemask_ensemble.training.run_folder import RUN
from facemask_ensemble.tuning.space import Searched
from facemask_ensemble.tuning.storage import LOST, Direction

HISTORY = "files/history.csv"
DIRECTIONS: dict[str, Direction] = {"val_loss": "minimize", "val_accuracy": "maximize"}
PAUSE = 1.0  # seconds between two looks at trials that run elsewhere

Compose = Callable[[Sequence[str]], TrainSettings]
Watching = Callable[[Path], bool]
Train = Callable[[TrainSettings, Watching], tuple[Outcome, Path]]
Tell = Callable[[optuna.Trial, int | None, float | None], None]


class TrialFailed(RuntimeError):
    """The training of one trial failed; the search continues."""


@dataclass(frozen=True)
class Objective:
    """What a trial's draw is worth.

    Attributes:
        space: what is searched.
        metric: `val_loss` or `val_accuracy`.
        compose: from overrides to the settings of a training; raises InputError.
        train: trains settings under a watcher, or resumes.
        tell: called when a trial starts and after every epoch that it reports.
    """

    space: Sequence[Searched]
    metric: str
    compose: Compose
    train: Train
    tell: Tell

    def __call__(self, trial: optuna.Trial) -> float:
        """Train one draw and give the metric.

        Raises:
            optuna.TrialPruned: stopped, because it was unpromising.
            TrialFailed: its training failed.
            InputError: its config was refused, and so would others be.
            KeyboardInterrupt: stopped by the user; the same draw waits to be tried again.
        """
        try:
            return self._try(trial)
        except KeyboardInterrupt:
            try_again(trial)
            raise

    def _try(self, trial: optuna.Trial) -> float:
        overrides = [f"{item.key}={item.draw(trial)}" for item in self.space]
        trial.set_user_attr("overrides", overrides)
        self.tell(trial, None, None)
        settings = self.compose(overrides)
        own = {"tune": trial.study.study_name, "trial": str(trial.number)}
        settings = replace(settings, tags={**settings.tags, **own})
        _wait_for_twin(trial)
        watch = Watch(trial, self.metric, self.tell)
        outcome, folder = self.train(settings, watch)
        watch.report(folder)
        trial.set_user_attr("folder", str(folder))
        return self._judge(trial, outcome, folder, stopped=watch.stopped)

    def _judge(self, trial: optuna.Trial, outcome: Outcome, folder: Path, *, stopped: bool) -> float:
        if outcome.state == "finished":
            trial.set_user_attr("run_id", outcome.summary["run_id"])
            value = _value(outcome, folder, self.metric)
            if math.isfinite(value):
                return value
            outcome = Outcome(outcome.name, "failed", f"its {self.metric} is {value}")
        if outcome.state == "stopped":
            raise optuna.TrialPruned if stopped else Stopped(signal.SIGTERM)
        # A refusal after the start, such as an exploded loss, concerns only this trial.
        if outcome.state == "refused" and not (folder / RUN).exists():
            raise InputError(outcome.message)
        trial.set_user_attr("error", outcome.message[:500])
        raise TrialFailed(outcome.message)


class Watch:
    """Report the epochs of a running training, and say whether it may continue.

    Args:
        trial: to report to.
        metric: the history's column to report.
        tell: called with the trial, the epoch and its metric.
    """

    def __init__(self, trial: optuna.Trial, metric: str, tell: Tell) -> None:
        self.trial, self.metric, self.tell = trial, metric, tell
        self.told: set[int] = set()
        self.stopped = False

    def __call__(self, folder: Path) -> bool:
        """Report new epochs; False once the trial is unpromising. A storage that does not answer stops nothing."""
        with contextlib.suppress(*LOST):
            if self.report(folder) and self.trial.should_prune():
                self.stopped = True
        return not self.stopped

    def report(self, folder: Path) -> bool:
        """Report the epochs that are new in the history; say whether there were any."""
        new = [(epoch, value) for epoch, value in epochs(folder / HISTORY, self.metric) if epoch not in self.told]
        for epoch, value in new:
            self.trial.report(value, epoch)
            self.told.add(epoch)
            self.tell(self.trial, epoch, value)
        return bool(new)


def epochs(history: Path, metric: str) -> list[tuple[int, float]]:
    """Read the finished epochs of a history that may be written to at this moment."""
    try:
        lines = history.read_text().splitlines(keepends=True)
    except FileNotFoundError:
        return []
    whole = [line for line in lines if line.endswith("\n")]
    return [(int(row["epoch"]), float(row[metric] or "nan")) for row in csv.DictReader(whole)]


def _value(outcome: Outcome, folder: Path, metric: str) -> float:
    """Give the metric of the weights that were kept: those of the epoch with the lowest validation loss."""
    if metric == "val_accuracy":
        return float(outcome.summary["validation_accuracy"])
    return min((value for _, value in epochs(folder / HISTORY, metric) if not math.isnan(value)), default=math.nan)


def _wait_for_twin(trial: optuna.Trial) -> None:
    """Let an earlier trial of the same draw end: both are one training, which then need not be repeated."""

    def runs(other: FrozenTrial) -> bool:
        return other.number < trial.number and other.params == trial.params

    while any(runs(other) for other in trial.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))):
        time.sleep(PAUSE)


def try_again(trial: optuna.Trial) -> None:
    """Put the draw of a trial that was stopped first in the queue, for this search or for a later one."""
    params = trial.params
    if params:
        trial.study.enqueue_trial(params, user_attrs={"again": trial.number})
