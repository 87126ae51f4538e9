"""The results of a search: the table of its trials, its figures, and the command that trains the best one."""

import shlex
from collections.abc import Sequence
from pathlib import Path

import optuna
import pandas as pd
from optuna.trial import FrozenTrial, TrialState
from rich.table import Table

from facemask_ensemble.files import write_atomically
from facemask_ensemble.overrides import parse, root_of
from facemask_ensemble.search_path import naming_own_folders
from facemask_ensemble.tuning.figures import write_figures
from facemask_ensemble.tuning.plan import OWN
from facemask_ensemble.tuning.progress import ranking, shorter

SHOWN = 5  # trials in the table


def write_results(study: optuna.Study, metric: str, folder: Path) -> list[Path]:
    """Write `trials.csv` and the images that there are numbers for; give the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(trials_table(study).to_csv(index=False), folder / "trials.csv")
    return [folder / "trials.csv", *write_figures(study, metric, folder)]


def trials_table(study: optuna.Study) -> pd.DataFrame:
    """Make a row a trial, in their order: state, value, epochs, seconds, its values, and its folder."""
    return pd.DataFrame([_row(trial) for trial in study.get_trials(deepcopy=False)])


def _row(trial: FrozenTrial) -> dict[str, object]:
    drawn = dict(text.split("=", 1) for text in trial.user_attrs.get("overrides", []))
    return {
        "trial": trial.number,
        "state": trial.state.name.lower(),
        "value": trial.value if trial.state in (TrialState.COMPLETE, TrialState.PRUNED) else None,
        "epochs": trial.last_step,
        "seconds": round(trial.duration.total_seconds(), 1) if trial.duration else None,
        **drawn,
        **{name: trial.user_attrs.get(name) for name in ("run_id", "folder", "error")},
    }


def best_table(study: optuna.Study, metric: str) -> Table:
    """Show the best complete trials and what they drew."""
    trials = ranking(study)[:SHOWN]
    keys = [text.partition("=")[0] for text in trials[0].user_attrs["overrides"]]
    table = Table("trial", metric, *short_names(keys), title=f"Best trials of {study.study_name}")
    for trial in trials:
        drawn = [shorter(text.partition("=")[2]) for text in trial.user_attrs["overrides"]]
        table.add_row(str(trial.number), f"{trial.value:.4f}", *drawn)
    return table


def short_names(keys: Sequence[str]) -> list[str]:
    """Call every key by its last part, where no other ends so."""
    ends = [key.rpartition(".")[2] for key in keys]
    return [end if ends.count(end) == 1 else key for key, end in zip(keys, ends, strict=True)]


def train_command(overrides: Sequence[str], drawn: Sequence[str]) -> str:
    """Write the command that trains what a trial drew, in the study of its dataset.

    Args:
        overrides: of the search's command line; what concerns the search alone is left out.
        drawn: of the trial.
    """
    kept = [str(override.input_line) for override in parse(overrides) if root_of(override) not in (*OWN, "study")]
    return shlex.join(["python", "-m", "facemask_ensemble.train", *naming_own_folders(), *kept, *drawn])


def counted(study: optuna.Study) -> str:
    """Say how many trials ended how."""
    states = [trial.state for trial in study.get_trials(deepcopy=False)]
    parts = {TrialState.COMPLETE: "complete", TrialState.PRUNED: "pruned", TrialState.FAIL: "failed or stopped"}
    return ", ".join(f"{states.count(state)} {name}" for state, name in parts.items() if state in states)
