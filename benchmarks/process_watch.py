"""Watch a command from outside: when its lines arrive, and how much memory its processes take."""

import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

POLL_SECONDS = 0.2  # seconds between two looks at the memory
EPOCH = re.compile(r"\bepoch\s+\d+/\d+")
WAITING, WORKER, MEMBER = "waiting", "worker", "member"
ROLES = {MEMBER: "facemask_ensemble.training.member_process", WORKER: "popen_loky"}


@dataclass(frozen=True)
class Watched:
    """What was seen of a command.

    Attributes:
        started: when, as `time.time` tells it.
        seconds: that it took.
        lines: (time of arrival, text) of its output.
        peaks: peak resident memory in MB, the largest of every role: `waiting` is the command itself, `worker` one of
            joblib's, `member` the process of a training. Empty if memory was not measured or the system does not report
            it.
    """

    started: float
    seconds: float
    lines: Sequence[tuple[float, str]]
    peaks: Mapping[str, float] = field(default_factory=dict)

    @property
    def epochs(self) -> list[float]:
        """Give when the line of each epoch arrived."""
        return [moment for moment, text in self.lines if EPOCH.search(text)]

    @property
    def seconds_per_epoch(self) -> float:
        """Give the mean time from one epoch's line to the next: all that an epoch costs, but for the first's tracing.

        Raises:
            ValueError: fewer than two epochs were printed.
        """
        arrived = self.epochs
        if len(arrived) < 2:
            raise ValueError(f"only {len(arrived)} epoch lines arrived; at least two are needed")
        return (arrived[-1] - arrived[0]) / (len(arrived) - 1)


def watch(
    arguments: Sequence[str],
    folder: Path,
    *,
    text: str = "",
    memory: bool = False,
    environment: Mapping[str, str] | None = None,
) -> Watched:
    """Run Python with arguments in a separate process, and look on.

    Args:
        arguments: of Python, such as `-m` and a module.
        folder: to run in.
        text: for its standard input.
        memory: look at the memory too, which takes some of the machine's time.
        environment: variables beside those of this process.

    Raises:
        SystemExit: it did not end with code 0; its last lines are shown.
    """
    started, lines, peaks = time.time(), list[tuple[float, str]](), dict[str, float]()
    ended = threading.Event()
    with tempfile.TemporaryFile("w+") as given, tempfile.TemporaryFile("w+") as errors:
        given.write(text)
        given.seek(0)
        options = {
            "stdin": given,
            "stdout": subprocess.PIPE,
            "stderr": errors,
            "env": {**os.environ, **(environment or {})},
        }
        with subprocess.Popen([sys.executable, *arguments], cwd=folder, text=True, **options) as process:  # type: ignore[call-overload]
            if memory:
                threading.Thread(target=_look, args=(process.pid, peaks, ended), daemon=True).start()
            lines += [(time.time(), line.rstrip()) for line in process.stdout]
        ended.set()
        seconds = time.time() - started
        if process.returncode:
            errors.seek(0)
            said = [*(line for _, line in lines), *errors.read().splitlines()]
            raise SystemExit("\n".join([f"error: ended with code {process.returncode}:", *arguments, *said[-30:]]))
    return Watched(started, seconds, lines, peaks)


def _look(pid: int, peaks: dict[str, float], ended: threading.Event) -> None:
    while not ended.wait(POLL_SECONDS):
        for number, role in _roles(pid).items():
            peak = peak_memory(number)
            if peak is not None:
                peaks[role] = max(peak, peaks.get(role, 0.0))


def _roles(pid: int) -> dict[int, str]:
    """Tell the role of a command's process and of those below it; others, which are over soon, have none."""
    roles = {pid: WAITING}
    try:
        for process in psutil.Process(pid).children(recursive=True):
            if role := _role(" ".join(process.cmdline())):
                roles[process.pid] = role
    except psutil.NoSuchProcess:  # one ended meanwhile; there is another look
        pass
    return roles


def _role(command: str) -> str | None:
    return next((role for role, mark in ROLES.items() if mark in command), None)


def peak_memory(pid: int) -> float | None:
    """Read the peak resident memory of a process in MB; None if it has ended or the system does not report it."""
    try:
        found = re.search(r"^VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.M)
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(found.group(1)) * 1024 / 1e6 if found else None
