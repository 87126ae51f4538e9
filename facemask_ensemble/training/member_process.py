"""One process per training: clean memory, a clean precision policy, and separate failures."""

import _thread
import json
import os
import re
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import yaml

from facemask_ensemble.error_lines import explain
from facemask_ensemble.errors import InputError
from facemask_ensemble.garbage import collection_paused
from facemask_ensemble.models import backend
from facemask_ensemble.settings import dump, read
from facemask_ensemble.settings.train import TrainSettings
from facemask_ensemble.signals import exit_code, started, stop_with_parent
from facemask_ensemble.training.run_folder import RUN

OUTCOME = "outcome.json"
CONFIG = "files/config.yaml"
LOG = "log.txt"
LOCK = ".lock"
LIVE = "FACEMASK_ENSEMBLE_LIVE"  # set where a table shows all trainings: what one of them says goes to its log
POLL_SECONDS = 0.5  # seconds between two looks of a watcher


@dataclass(frozen=True)
class Outcome:
    """How a training ended: `finished`, `refused` (the user can fix it), `failed` or `stopped`."""

    name: str
    state: str
    message: str = ""
    summary: dict[str, Any] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Leave word in the training's folder."""
        part = folder / f"{OUTCOME}.part"
        part.write_text(json.dumps(asdict(self), indent=2))
        part.replace(folder / OUTCOME)

    @classmethod
    def read(cls, folder: Path) -> "Outcome":
        """Read what the training's process wrote; one that could not write was killed."""
        path = folder / OUTCOME
        if path.is_file() and path.stat().st_size:
            return cls(**json.loads(path.read_text()))
        name = re.sub(r"^\d+_|-[0-9a-f]{10}$", "", folder.name)  # Hydra's number, or what the training is known by
        return cls(name, "failed", "its process ended without an error message")


def run_isolated(
    settings: TrainSettings,
    folder: Path,
    *,
    show_bar: bool,
    threads: int | None = None,
    watch: Callable[[Path], bool] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Outcome:
    """Train one member in a fresh process and wait for it; it stops by itself when this process ends.

    Args:
        settings: of the training; written to `files/config.yaml`.
        folder: of this training; an earlier training in it is resumed.
        show_bar: a progress bar instead of a line an epoch.
        threads: of TensorFlow's operations; None for all cores.
        watch: called with the folder, twice a second; stops the training when it says False.
        environment: variables of the process beside those of this one.
    """
    (folder / CONFIG).parent.mkdir(parents=True, exist_ok=True)
    (folder / CONFIG).write_text(yaml.safe_dump(dump(settings), sort_keys=False))
    (folder / OUTCOME).unlink(missing_ok=True)
    command = [sys.executable, "-m", __name__, str(folder), "bar" if show_bar else "lines"]
    with (folder / LOG).open("a") as log:
        pipes: dict[str, Any] = {
            "stdin": subprocess.PIPE,
            "stderr": log,
            "stdout": log if os.environ.get(LIVE) else None,
        }
        variables = _environment(settings, threads, environment or {})
        with started(command, env=variables, **pipes) as (process,):
            _wait(process, folder, watch)
    if not (folder / OUTCOME).exists():
        _lost(settings, folder, process.returncode).write(folder)
    return Outcome.read(folder)


def settings_in(folder: Path) -> TrainSettings:
    """Read the settings that a training's folder was made with."""
    return read(TrainSettings, yaml.safe_load((folder / CONFIG).read_text()))


def _environment(settings: TrainSettings, threads: int | None, more: Mapping[str, str]) -> dict[str, str]:
    needed = backend.environment(deterministic=settings.deterministic)
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2", **needed, **more}
    if threads is not None:
        environment["TF_NUM_INTRAOP_THREADS"] = str(threads)
    return environment


def _wait(process: subprocess.Popen, folder: Path, watch: Callable[[Path], bool] | None) -> None:
    if watch is None:
        process.wait()
        return
    while process.poll() is None:
        try:
            process.wait(POLL_SECONDS)
        except subprocess.TimeoutExpired:
            if not watch(folder):
                process.terminate()
                process.wait()


def _lost(settings: TrainSettings, folder: Path, code: int) -> Outcome:
    """Describe the end of a process that left no outcome, and close its run."""
    ended = f"code {code}" if code >= 0 else signal.Signals(-code).name
    hint = ", as happens when memory runs out; try a smaller batch_size" if -code == signal.SIGKILL else ""
    message = f"its process was ended by {ended}{hint}"
    if (folder / RUN).exists():
        from facemask_ensemble import tracking

        def close() -> None:
            run = json.loads((folder / RUN).read_text())
            store = tracking.open_store(run["uri"], settings.output_dir)
            tracking.end_run(store, run["run_id"], "FAILED", message)

        tracking.protect(close)
    return Outcome(settings.backbone.name, "failed", message)


def main(folder: Path, *, show_bar: bool) -> None:
    """Train in this process and write down how it ended."""
    import filelock

    settings = settings_in(folder)
    name = settings.backbone.name
    try:
        stop_with_parent(orderly=True)
        threading.Thread(target=_stop_without_parent, daemon=True).start()
        with filelock.FileLock(folder / LOCK, timeout=10):  # an orphan needs a moment to end
            _train(settings, folder, show_bar=show_bar).write(folder)
    except filelock.Timeout:
        busy = InputError(f"{folder}: another process is training this member; wait until it ends, or stop it")
        outcome_of(name, busy).write(folder)
    except KeyboardInterrupt as stop:  # before the training began
        sys.exit(exit_code(stop))


def _train(settings: TrainSettings, folder: Path, *, show_bar: bool) -> Outcome:
    name = settings.backbone.name
    try:
        with collection_paused():
            from facemask_ensemble.training.member import train_member

        return Outcome(name, "finished", summary=train_member(settings, folder, show_bar=show_bar))
    except KeyboardInterrupt:
        return Outcome(name, "stopped", "stopped; run the same command again to resume after its last finished epoch")
    except Exception as error:
        traceback.print_exc()
        return outcome_of(name, error)


def _stop_without_parent() -> None:
    """Stop as by Ctrl-C when the process that waits for this one has ended, however it did."""
    while os.read(sys.stdin.fileno(), 1):  # ends when the other end of the pipe is closed
        pass
    _thread.interrupt_main(signal.SIGTERM)


def outcome_of(name: str, error: Exception) -> Outcome:
    """Distinguish a refusal, which the user can fix, from a failure."""
    reason = explain(error)
    if reason is not None:
        return Outcome(name, "refused", reason)
    return Outcome(name, "failed", f"{type(error).__name__}: {' '.join(str(error).split())[:300]}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), show_bar=sys.argv[2] == "bar")
