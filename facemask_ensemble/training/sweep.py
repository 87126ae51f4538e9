"""Start and end a sweep: one store, one parent run, one table with the progress of every member."""

import atexit
import hashlib
import json
import os
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from facemask_ensemble.config import options, read_settings
from facemask_ensemble.error_lines import explain
from facemask_ensemble.errors import InputError
from facemask_ensemble.overrides import parse, root_of, value_of
from facemask_ensemble.resources import usable_cores
from facemask_ensemble.search_path import is_group
from facemask_ensemble.settings.groups import Dataset, Tracking
from facemask_ensemble.training.devices import lease
from facemask_ensemble.training.member_process import LIVE, OUTCOME
from facemask_ensemble.training.run_folder import RUN
from facemask_ensemble.training.side_by_side import members_at_once  # noqa: F401, registers what a launcher asks
from facemask_ensemble.training.subprocess_call import aside
from facemask_ensemble.training.sweep_jobs import LiveTable, labels_of, show, standings

PARENT = "parent_run.txt"
CHOOSE_DATA = ("dataset", "experiment")  # an experiment may set its own dataset


class Sweep(Callback):
    """Hydra's callback around a --multirun."""

    def __init__(self) -> None:
        self.labels: list[str] = []
        self.live: LiveTable | None = None

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Check the data, then create the store and the parent run before workers race for them."""
        try:
            self.labels = labels_of(_overrides(config))
            _begin(config)
        except Exception as error:  # Hydra would only print a warning and continue
            message = explain(error)
            if message is None:
                traceback.print_exc()
                raise SystemExit(1) from error
            print(f"error: {message}", file=sys.stderr)
            raise SystemExit(2) from error
        atexit.register(self.on_stopped, config)
        if sys.stdout.isatty():
            os.environ[LIVE] = "1"
            self.live = LiveTable(_folder(config), self.labels)
            self.live.start()

    def on_stopped(self, config: DictConfig) -> None:
        """Close the runs of a sweep that was stopped before its end, and say what is kept."""
        self._end_live()
        folder = _folder(config)
        rows = standings(folder, self.labels)
        begun = [row.folder for row in rows if row.folder and not (row.folder / OUTCOME).exists()]
        aside(_close_runs, *_where(config), folder, begun)
        if known := [row for row in rows if row.outcome]:
            show(known)
        print("stopped; run the same command again to resume each member and train the missing ones")

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:
        """Close the parent run and show how each member ended; exit with 1 (2: all refused) if one did not finish."""
        atexit.unregister(self.on_stopped)
        self._end_live()
        folder = _folder(config)
        rows = standings(folder, self.labels)
        states = {row.outcome.state if row.outcome else "failed" for row in rows}
        status = "FINISHED" if states == {"finished"} else "FAILED"
        unclosed = aside(_end, *_where(config), (folder / PARENT).read_text(), status)
        show(rows)
        if unclosed:
            print(f"the sweep's own run in MLflow could not be closed ({unclosed}); its members are not affected")
        if status == "FAILED":
            raise SystemExit(2 if states == {"refused"} else 1)

    def __getstate__(self) -> dict[str, Any]:
        """Leave the table behind when a launcher sends the callback to its workers."""
        return {"labels": self.labels, "live": None}

    def _end_live(self) -> None:
        if self.live:
            self.live.stop()


def _overrides(config: DictConfig) -> list[str]:
    """List what the sweep is over, as Hydra does: the experiment's own, then the command line's."""
    own = OmegaConf.select(config, "hydra.sweeper.params") or {}
    swept = [f"{key}={value}" for key, value in own.items()]
    keys = {override.key_or_group for override in parse(swept)}
    given = list(config.hydra.overrides.task)
    for override in parse(given):
        key = override.key_or_group
        if key in keys:
            raise InputError(
                f"{override.input_line}: the experiment already sweeps over {key}; to replace its values, "
                f"give 'hydra.sweeper.params.{key}={value_of(override)}' instead"
            )
    return [*swept, *given]


def _begin(config: DictConfig) -> None:
    """Refuse a sweep that would fail, and leave the parent run's id in the sweep's folder."""
    folder = _folder(config)  # first, and from the config itself: it has the time, which a copy would compute again
    overrides = _overrides(config)
    _check_choices(overrides)
    if OmegaConf.select(config, "hydra.launcher.ray.init.address") and not Path(config.output_dir).is_absolute():
        raise InputError(
            f"output_dir={config.output_dir}: the machines of a Ray cluster work in other folders; give an absolute "
            "path that all of them see"
        )
    dataset = None
    if not sweeps_over_data(overrides):
        dataset = read_settings(Dataset, config, "dataset")
        dataset.check_root()
    folder.mkdir(parents=True, exist_ok=True)
    known_as = hashlib.sha256(json.dumps([config.study, overrides]).encode()).hexdigest()[:12]
    try:
        run_id = aside(_prepare, *_where(config), config.study, folder, folder.parent / f"{known_as}.run", dataset)
    except Exception:
        folder.rmdir()
        raise
    (folder / PARENT).write_text(run_id)


def _prepare(uri: str | None, output_dir: Path, study: str, folder: Path, note: Path, dataset: Dataset | None) -> str:
    """Open store and dataset; return the id of the parent run, the earlier one if the sweep resumes."""
    from facemask_ensemble import tracking
    from facemask_ensemble.data.dataset import open_dataset

    store = tracking.open_store(uri, output_dir)
    if dataset is not None:
        open_dataset(dataset, output_dir)
    if not note.exists() or not tracking.reopen_run(store, note.read_text()):
        note.write_text(tracking.start_run(store, study, f"{folder.name}_sweep", {"kind": "sweep"}, {}))
    return note.read_text()


def _end(uri: str | None, output_dir: Path, run_id: str, status: str) -> str | None:
    """Close the parent run; return the reason if the store refuses."""
    from facemask_ensemble import tracking

    return tracking.protect(lambda: tracking.end_run(tracking.open_store(uri, output_dir), run_id, status))


def _close_runs(uri: str | None, output_dir: Path, folder: Path, begun: list[Path]) -> None:
    """Close the parent run and those of trainings that had no time to do so: joblib ends its workers' processes."""
    runs = [json.loads((job / RUN).read_text())["run_id"] for job in begun if (job / RUN).exists()]
    for run_id in [*runs, (folder / PARENT).read_text()]:
        _end(uri, output_dir, run_id, "KILLED")


def _check_choices(overrides: list[str]) -> None:
    """Refuse an unknown option before the sweep starts: Hydra would drop all jobs after it."""
    for override in parse(overrides):
        group = str(override.key_or_group)
        if override.is_sweep_override() and is_group(group):
            wrong = [name for name in override.sweep_string_iterator() if name not in options(group)]
            if wrong:
                raise InputError(
                    f"{group}={wrong[0]}: there is no such {group}; choose one of {', '.join(options(group))}"
                )


def sweeps_over_data(overrides: list[str]) -> bool:
    """Tell whether the jobs may train on different data; a list is one value."""
    return any(override.is_sweep_override() and root_of(override) in CHOOSE_DATA for override in parse(overrides))


def parent_run(folder: Path) -> str | None:
    """Return the id of the sweep's parent run."""
    path = folder / PARENT
    return path.read_text() if path.exists() else None


def threads_per_job(hydra_config: Any) -> int | None:
    """Share the cores among the jobs that the launcher runs at a time."""
    for given in ("launcher.cpus_per_task", "launcher.ray.remote.num_cpus"):  # what Slurm and Ray keep for a job
        if (cores := OmegaConf.select(hydra_config, given)) is not None:
            return max(1, int(cores))
    jobs = OmegaConf.select(hydra_config, "launcher.n_jobs")
    if jobs is None:
        return None
    cores = usable_cores()
    return max(1, cores // (cores if jobs < 0 else jobs))


@contextmanager
def environment_of_job(hydra_config: Any, output_dir: Path) -> Iterator[Mapping[str, str]]:
    """Give each of several jobs its own GPU, as environment variables of its process."""
    if OmegaConf.select(hydra_config, "launcher.n_jobs") in (None, 1):
        yield {}
        return
    with lease(output_dir) as environment:
        yield environment


def _folder(config: DictConfig) -> Path:
    return Path(config.hydra.sweep.dir).resolve()


def _where(config: DictConfig) -> tuple[str | None, Path]:
    """Give the store's address and the folder of all output."""
    return read_settings(Tracking, config, "tracking").uri, Path(config.output_dir).expanduser().resolve()
