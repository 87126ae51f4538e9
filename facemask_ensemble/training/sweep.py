"""A sweep's beginning and end: one store, one parent run, one table of how every member fared."""

import atexit
import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.table import Table

from facemask_ensemble.command import explain
from facemask_ensemble.config import CONF_DIR, absolute_paths, check_dataset, options, plain
from facemask_ensemble.errors import InputError
from facemask_ensemble.training.isolation import LOG, OUTCOME, RUN, Outcome

PARENT = "parent_run.txt"


class Sweep(Callback):
    """Hydra's callback around a --multirun."""

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Check the data, then create the store and the parent run before workers race for them."""
        try:
            _begin(config)
        except Exception as error:  # Hydra would turn it into a warning and go on
            message = explain(error)
            if message is None:
                traceback.print_exc()
                raise SystemExit(1) from error
            print(f"error: {message}", file=sys.stderr)
            raise SystemExit(2) from error
        atexit.register(self.on_stopped, config)

    def on_stopped(self, config: DictConfig) -> None:
        """Close the runs of a sweep that was stopped before its end, and say what is kept."""
        from facemask_ensemble import tracking

        folder = _folder(config)
        tracking.protect(lambda: _close_runs(_store(config), folder))
        known = {job: outcome for job, outcome in read_outcomes(folder).items() if (job / OUTCOME).exists()}
        if known:
            show(known)
        print(f"stopped; what was finished is kept in {folder}")

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:
        """Close the parent run and show how each member ended; exit with 1 (2: all refused) if one did not finish."""
        from facemask_ensemble import tracking

        atexit.unregister(self.on_stopped)
        folder = _folder(config)
        outcomes = read_outcomes(folder)
        states = {outcome.state for outcome in outcomes.values()}
        status = "FINISHED" if states == {"finished"} else "FAILED"
        unclosed = tracking.protect(lambda: tracking.end_run(_store(config), (folder / PARENT).read_text(), status))
        show(outcomes)
        if unclosed:
            print(f"the sweep's own run in MLflow stays open ({unclosed}); its members are not concerned")
        if status == "FAILED":
            raise SystemExit(2 if states == {"refused"} else 1)


def _begin(config: DictConfig) -> None:
    from facemask_ensemble import tracking
    from facemask_ensemble.data.dataset import open_dataset

    folder = _folder(config)  # first, and of the config itself: it holds the time, which a copy would tell anew
    params = OmegaConf.select(config, "hydra.sweeper.params") or {}
    _check_choices([*config.hydra.overrides.task, *(f"{key}={value}" for key, value in params.items())])
    config = absolute_paths(config.copy())
    over_data = _sweeps_over_data(config)
    if not over_data:
        check_dataset(config)
    store = _store(config)
    if not over_data:
        open_dataset(plain(config.dataset), Path(config.output_dir))
    run_id = tracking.start_run(store, config.study, folder.name, {"kind": "sweep"}, {})
    folder.mkdir(parents=True, exist_ok=True)
    (folder / PARENT).write_text(run_id)


def _close_runs(store: Any, folder: Path) -> None:
    """Close the parent run and those of trainings that had no time to do so: joblib ends its workers' processes."""
    from facemask_ensemble import tracking

    begun = [job for job in read_outcomes(folder) if (job / RUN).exists() and not (job / OUTCOME).exists()]
    runs = [json.loads((job / RUN).read_text())["run_id"] for job in begun]
    for run_id in [*runs, (folder / PARENT).read_text()]:
        tracking.end_run(store, run_id, "KILLED")


def _check_choices(overrides: list[str]) -> None:
    """Refuse an option that is not there now, not when its turn comes: Hydra would drop all that follow it."""
    for override in OverridesParser.create().parse_overrides(overrides):
        group = str(override.key_or_group)
        if override.is_sweep_override() and (CONF_DIR / group).is_dir():
            wrong = [name for name in override.sweep_string_iterator() if name not in options(group)]
            if wrong:
                raise InputError(
                    f"{group}={wrong[0]}: there is no such {group}; choose one of {', '.join(options(group))}"
                )


def _sweeps_over_data(config: DictConfig) -> bool:
    return any(text.lstrip("+").startswith("dataset") and "," in text for text in config.hydra.overrides.task)


def parent_run(folder: Path) -> str | None:
    """Return the id of the sweep's parent run."""
    path = folder / PARENT
    return path.read_text() if path.exists() else None


def threads_per_job(hydra_config: Any) -> int | None:
    """Share the cores among the jobs that the launcher runs at a time."""
    jobs = OmegaConf.select(hydra_config, "launcher.n_jobs")
    if jobs is None:
        return None
    cores = os.cpu_count() or 1
    return max(1, cores // (cores if jobs < 0 else jobs))


def read_outcomes(folder: Path) -> dict[Path, Outcome]:
    """Read how every training below a sweep's folder ended, in order of their numbers."""
    jobs = [path for path in folder.glob("[0-9]*_*") if path.is_dir()]
    return {job: Outcome.read(job) for job in sorted(jobs, key=lambda job: int(job.name.partition("_")[0]))}


def show(outcomes: dict[Path, Outcome]) -> None:
    """Print one line a member."""
    table = Table(title="Members trained")
    for title in ("member", "state", "validation accuracy", "seconds"):
        table.add_column(title, justify="right" if title in ("validation accuracy", "seconds") else "left")
    for outcome in outcomes.values():
        accuracy, seconds = outcome.summary.get("validation_accuracy"), outcome.summary.get("seconds")
        table.add_row(
            outcome.name,
            outcome.state,
            "" if accuracy is None else f"{accuracy:.3f}",
            "" if seconds is None else f"{seconds:.0f}",
        )
    Console().print(table)
    for job, outcome in outcomes.items():
        if outcome.state != "finished":
            log = f" (log: {job / LOG})" if (job / LOG).exists() else ""
            print(f"error: {outcome.name} {outcome.state}: {outcome.message}{log}", file=sys.stderr)
        elif outcome.summary["not_logged"]:
            print(
                f"{outcome.name} could not be logged ({outcome.summary['not_logged']}); it is kept. Once MLflow "
                f"answers: python -m facemask_ensemble.upload folder={job}"
            )


def _folder(config: DictConfig) -> Path:
    return Path(config.hydra.sweep.dir).resolve()


def _store(config: DictConfig) -> Any:
    from facemask_ensemble import tracking

    return tracking.open_store(config.tracking.uri, Path(config.output_dir).expanduser().resolve())
