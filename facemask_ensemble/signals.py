"""Signals that stop a command, and how they reach the processes that it starts."""

import contextlib
import math
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from types import FrameType
from typing import Any

STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# One request may come as several signals: `timeout`, Slurm and systemd signal a command and its process group alike,
# and a command passes on what its children may have been sent too.
ONE_REQUEST_SECONDS = 2.0


class Stopped(KeyboardInterrupt):
    """A signal asks this program to stop, in the way that Ctrl-C does."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number

    def __str__(self) -> str:
        """Name the signal."""
        return f"stopped by {signal.Signals(self.number).name}"


def exit_code(stop: KeyboardInterrupt) -> int:
    """Give the code that a shell gives to a program that was ended by the signal."""
    return 128 + (stop.number if isinstance(stop, Stopped) else signal.SIGINT)


class _Stop:
    """The handler of all signals that stop: further ones within a moment belong to the same request."""

    def __init__(self) -> None:
        self.last = -math.inf

    def __call__(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if now - self.last >= ONE_REQUEST_SECONDS:
            self.last = now
            raise Stopped(number)


def stop_on_signals() -> None:
    """Let SIGINT, SIGTERM and SIGHUP raise `Stopped` in this program, a command, from now on.

    A signal that the command was started to ignore stays ignored: SIGHUP by nohup, SIGINT by a script that ends its
    line with `&`, so that Ctrl-C in the terminal ends the script alone. Without a terminal there is no Ctrl-C; then
    a SIGINT is meant for this command, and stops it.
    """
    stop = _Stop()
    for number in STOPS:
        ignored = signal.getsignal(number) is signal.SIG_IGN
        if not ignored or (number == signal.SIGINT and not _has_terminal()):
            signal.signal(number, stop)


def stop_with_parent(*, orderly: bool) -> None:
    """Let the command that started this process decide when to stop: it gets the signals, and sends SIGTERM.

    Ctrl-C and a closed terminal reach both, and one of them has to decide.

    Args:
        orderly: let SIGTERM raise `Stopped`; otherwise it ends the process immediately.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _Stop() if orderly else signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)


@contextmanager
def handlers_kept() -> Iterator[None]:
    """Put back the handlers that a library replaces in this block."""
    before = {number: handler for number in STOPS if (handler := signal.getsignal(number)) is not None}
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            for number, handler in before.items():
                signal.signal(number, handler)


class StopChecks:
    """The signals that came in a block of `stop_at_checks`."""

    def __init__(self) -> None:
        self.number: int | None = None
        self.reached = False

    def __call__(self) -> None:
        """Raise `Stopped` if a signal came; from the first call on signals wait for the next call.

        Raises:
            Stopped: a signal asks this program to stop.
        """
        self.reached = True
        if self.number is not None:
            number, self.number = self.number, None
            raise Stopped(number)


@contextmanager
def stop_at_checks() -> Iterator[StopChecks]:
    """Stop a long loop where it checks for signals, instead of wherever a signal finds it.

    Python drops an exception that a signal raises inside a destructor, a callback of the garbage collector or some
    compiled code, and the program would run on; a training spends much of its time there. Until the first check, which
    may be a minute away, a signal is raised at once and noted as well.

    Yields:
        What the loop calls again and again.
    """
    checks = StopChecks()

    def noted(stop: _Stop) -> Callable[[int, FrameType | None], None]:
        def note(number: int, frame: FrameType | None) -> None:
            checks.number = number
            if checks.reached:
                stop.last = time.monotonic()  # what follows within a moment, after the block too, is the same request
            else:
                stop(number, frame)

        return note

    handlers = {number: handler for number in STOPS if isinstance(handler := signal.getsignal(number), _Stop)}
    try:
        for number, handler in handlers.items():
            signal.signal(number, noted(handler))
        yield checks
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    checks()


@contextmanager
def started(command: Sequence[str], count: int = 1, **options: Any) -> Iterator[list[subprocess.Popen]]:
    """Start `count` processes of a program that calls `stop_with_parent`; if the block ends early, end them first.

    Args:
        command: the program and its arguments.
        count: of processes.
        options: of `subprocess.Popen`.

    Yields:
        The processes, which at the block's end have ended.
    """
    with ExitStack() as stack:
        # Held back until we can pass them on, and in the new process until it knows what to do with them.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
        processes: list[subprocess.Popen] = []
        try:
            for _ in range(count):
                processes.append(stack.enter_context(subprocess.Popen(command, **options)))
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            yield processes
        except BaseException:
            _end(processes)
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end(processes: Sequence[subprocess.Popen]) -> None:
    """Ask processes to stop, and wait for it; pass another signal on, because it asks to hurry."""
    while any(process.poll() is None for process in processes):
        with contextlib.suppress(KeyboardInterrupt):
            for process in processes:
                process.terminate()
            for process in processes:
                process.wait()


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True
