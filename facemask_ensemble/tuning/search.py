"""Run trials until a study has as many as asked for, whichever processes run them."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import optuna
from optuna.trial import FrozenTrial, TrialState

from facemask_ensemble.tuning.trial import PAUSE, Objective, TrialFailed


@dataclass(frozen=True)
class Tally:
    """How far a study is: trials that count, and trials that run now."""

    done: int
    running: int


def counts(trial: FrozenTrial) -> bool:
    """Say whether a trial is one of those asked for: judged, pruned, or failed by its own fault."""
    if trial.state == TrialState.FAIL:
        return "error" in trial.user_attrs
    return trial.state in (TrialState.COMPLETE, TrialState.PRUNED)


def tally(study: optuna.Study) -> Tally:
    """Count a study's trials; those that were stopped or whose process died are tried again, and do not count."""
    trials = study.get_trials(deepcopy=False)
    running = sum(trial.state == TrialState.RUNNING for trial in trials)
    return Tally(sum(map(counts, trials)), running)


def search(
    study: optuna.Study,
    objective: Objective,
    trials: int,
    ended: Callable[[FrozenTrial], None],
    timeout: float | None = None,
) -> None:
    """Run trials until the study has `trials` of them, those of other processes counted.

    Args:
        study: shared by all that search.
        objective: what a trial's draw is worth.
        trials: in all.
        ended: called after every trial of this process.
        timeout: no trial starts after this many seconds.
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    while _wants_more(study, trials, deadline):
        study.optimize(objective, n_trials=1, catch=(TrialFailed,), callbacks=[lambda _, trial: ended(trial)])


def _wants_more(study: optuna.Study, trials: int, deadline: float | None) -> bool:
    """Wait while others may bring what is missing; one of them may die."""
    while deadline is None or time.monotonic() < deadline:
        optuna.storages.fail_stale_trials(study)
        now = tally(study)
        if now.done >= trials:
            return False
        if now.done + now.running < trials:
            return True
        time.sleep(PAUSE)
    return False
