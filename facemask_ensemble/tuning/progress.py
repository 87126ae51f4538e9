"""Print the progress of a search: a line when a trial starts and ends, and a live one in between."""

from collections.abc import Sequence

import optuna
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from rich.console import Console
from rich.status import Status

from facemask_ensemble.tuning.search import tally


class Progress:
    """The lines of one process.

    Args:
        study: that is searched.
        metric: its name.
        trials: asked for.
        live: show every epoch in a line that changes; for a terminal and one process.
    """

    def __init__(self, study: optuna.Study, metric: str, trials: int, *, live: bool) -> None:
        self.study, self.metric, self.trials = study, metric, trials
        self.console = Console(highlight=False, soft_wrap=True)
        self.status: Status | None = self.console.status("") if live else None

    def tell(self, trial: optuna.Trial, epoch: int | None, value: float | None) -> None:
        """Print that a trial starts (no epoch), or the result of an epoch."""
        if epoch is None:
            self._say(f"trial {trial.number}: {brief(trial.user_attrs['overrides'])}")
            text = "starts; TensorFlow first builds its graph, which takes up to a minute"
        else:
            text = f"epoch {epoch}  {self.metric} {value:.4f}"
        if self.status:
            self.status.update(f"trial {trial.number}  {text}{self._best()}")
            self.status.start()

    def ended(self, trial: FrozenTrial) -> None:
        """Print how a trial ended."""
        if self.status:
            self.status.stop()
        taken = trial.duration.total_seconds() if trial.duration else 0.0
        done = min(tally(self.study).done, self.trials)
        self._say(
            f"trial {trial.number}: {how(trial, self.metric)}, {taken:.0f} s{self._best()}  [{done}/{self.trials}]"
        )

    def _best(self) -> str:
        trial = best(self.study)
        return "" if trial is None else f"  best {trial.value:.4f} (trial {trial.number})"

    def _say(self, text: str) -> None:
        self.console.print(text, markup=False)


def how(trial: FrozenTrial, metric: str) -> str:
    """Say in a few words how a trial ended."""
    if trial.state == TrialState.COMPLETE:
        return f"{metric} {trial.value:.4f}"
    if trial.state == TrialState.PRUNED:
        return f"pruned after epoch {trial.last_step}, {metric} {trial.value:.4f}"
    return f"failed: {trial.user_attrs.get('error', 'stopped')}"


def best(study: optuna.Study) -> FrozenTrial | None:
    """Return the best complete trial, if there is one."""
    ranked = ranking(study)
    return ranked[0] if ranked else None


def ranking(study: optuna.Study) -> list[FrozenTrial]:
    """List the complete trials, best first, the earlier of equals first."""
    sign = -1 if study.direction == StudyDirection.MAXIMIZE else 1
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return sorted(complete, key=lambda trial: (sign * float(trial.value or 0.0), trial.number))


def brief(overrides: Sequence[str]) -> str:
    """Shorten the numbers of overrides for reading."""
    return "  ".join(f"{key}={shorter(text)}" for key, _, text in (item.partition("=") for item in overrides))


def shorter(text: str) -> str:
    """Round a fraction to three digits; leave anything else."""
    try:
        return text if text.lstrip("-").isdigit() else f"{float(text):.3g}"
    except ValueError:
        return text
