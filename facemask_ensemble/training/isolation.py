"""One process per training: clean memory, a clean precision policy, and a failure of its own."""

import json
import os
import re
import signal
import subprocess
import sys
import traceback
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import yaml

from facemask_ensemble.command import explain

OUTCOME = "outcome.json"
CONFIG = "files/config.yaml"
LOG = "log.txt"
RUN = "run.json"


@dataclass(frozen=True)
class Outcome:
    """How a training ended: `finished`, `refused` (the user can mend it), `failed` or `stopped`."""

    name: str
    state: str
    message: str = ""
    summary: dict[str, Any] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Leave word in the training's folder."""
        (folder / OUTCOME).write_text(json.dumps(asdict(self), indent=2))

    @classmethod
    def read(cls, folder: Path) -> "Outcome":
        """Read what the training's process wrote; one that could not write was killed."""
        path = folder / OUTCOME
        if path.is_file() and path.stat().st_size:
            return cls(**json.loads(path.read_text()))
        name = re.sub(r"^(\d+|\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d)_", "", folder.name)  # Hydra's number or time
        return cls(name, "failed", "its process was ended before it could say why")


def run_isolated(config: dict[str, Any], folder: Path, *, show_bar: bool, threads: int | None = None) -> Outcome:
    """Train one member in a fresh process and wait for it.

    Args:
        config: the resolved train config; written to `files/config.yaml`.
        folder: of this training.
        show_bar: a progress bar instead of a line an epoch.
        threads: of TensorFlow's operations; None for all cores.
    """
    (folder / CONFIG).parent.mkdir(parents=True, exist_ok=True)
    (folder / CONFIG).write_text(yaml.safe_dump(config, sort_keys=False))
    (folder / OUTCOME).unlink(missing_ok=True)
    (folder / RUN).unlink(missing_ok=True)
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2", "KERAS_BACKEND": "tensorflow"}
    if threads is not None:
        environment["TF_NUM_INTRAOP_THREADS"] = str(threads)
    command = [
        sys.executable,
        "-m",
        "facemask_ensemble.training.isolation",
        str(folder),
        "bar" if show_bar else "lines",
    ]
    with (folder / LOG).open("w") as log, subprocess.Popen(command, env=environment, stderr=log) as process:
        try:
            process.wait()
        except KeyboardInterrupt:
            process.wait()  # the same signal reached it; it closes its run
            raise
    if not (folder / OUTCOME).exists():
        _lost(config, folder, process.returncode).write(folder)
    return Outcome.read(folder)


def _lost(config: dict[str, Any], folder: Path, code: int) -> Outcome:
    """Tell how a process ended that could not tell itself, and close its run."""
    ended = f"code {code}" if code >= 0 else signal.Signals(-code).name
    hint = ", as happens when memory runs out: try a smaller batch_size" if -code == signal.SIGKILL else ""
    message = f"its process was ended by {ended}{hint}"
    if (folder / RUN).exists():
        from facemask_ensemble import tracking

        def close() -> None:
            run = json.loads((folder / RUN).read_text())
            store = tracking.open_store(run["uri"], Path(config["output_dir"]))
            tracking.end_run(store, run["run_id"], "FAILED", message)

        tracking.protect(close)
    return Outcome(config["backbone"]["name"], "failed", message)


def main(folder: Path, *, show_bar: bool) -> Outcome:
    """Train in this process and write down how it ended."""
    config = yaml.safe_load((folder / CONFIG).read_text())
    name = config["backbone"]["name"]
    print(f"{name:>18}  starts; TensorFlow traces it first, for up to a minute", flush=True)
    try:
        from facemask_ensemble.training.member import train_member

        outcome = Outcome(name, "finished", summary=train_member(config, folder, show_bar=show_bar))
    except KeyboardInterrupt:
        outcome = Outcome(name, "stopped", "stopped by Ctrl-C")
    except Exception as error:
        traceback.print_exc()
        outcome = outcome_of(name, error)
    outcome.write(folder)
    return outcome


def outcome_of(name: str, error: Exception) -> Outcome:
    """Tell a refusal, which the user can mend, from a failure."""
    reason = explain(error)
    if reason is not None:
        return Outcome(name, "refused", reason)
    return Outcome(name, "failed", f"{type(error).__name__}: {' '.join(str(error).split())[:300]}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), show_bar=sys.argv[2] == "bar")
