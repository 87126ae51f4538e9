"""Signals that stop a command: which are heeded, how it ends, and what becomes of the processes that it started."""

import gc
import os
import pty
import signal
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from processes import STOPS, start

from facemask_ensemble import signals
from facemask_ensemble.signals import Stopped, started, stop_at_checks

COMMAND = """
import fcntl, os, sys, termios
from facemask_ensemble.command import run_command

def work(cfg):
    try:
        print("works", flush=True)
        sys.stdin.read()
    finally:
        print("ends in order")

if cfg := sys.argv[1:]:
    os.setsid()
    fcntl.ioctl(int(cfg[0]), termios.TIOCSCTTY, 0)
sys.argv = ["upload", "folder=x"]
run_command("upload", work)
"""
CHILD = """
import sys
from pathlib import Path
from facemask_ensemble.signals import stop_with_parent

said = Path(sys.argv[1])
try:
    stop_with_parent(orderly=True)
    print("works", flush=True)
    sys.stdin.read()
except KeyboardInterrupt as stop:
    with said.open("a") as file:
        file.write(f"{stop}\\n")
"""
PIPES = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}


@pytest.fixture
def clock(monkeypatch):
    """Let the test say what time it is."""
    now = SimpleNamespace(seconds=0.0)
    monkeypatch.setattr(signals, "time", SimpleNamespace(monotonic=lambda: now.seconds))
    return now


@pytest.fixture
def command(tmp_path):
    """Start a command that waits for its standard input; it has begun to work."""

    def begin(*arguments, **options):
        pipes = {**PIPES, "stderr": subprocess.PIPE}
        program = [sys.executable, "-c", COMMAND, *map(str, arguments)]
        process = start(program, cwd=tmp_path, **pipes, **options)
        assert process.stdout.readline() == "works\n"
        return process

    return begin


def end_of(process):
    said, errors = process.communicate()
    return process.returncode, said, errors


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_command_ends_in_order_with_128_and_the_number_of_the_signal(number, code, command):
    process = command()
    process.send_signal(number)
    assert end_of(process) == (code, "ends in order\n", "")


def test_a_hang_up_that_nohup_lets_a_command_ignore_stays_ignored(command):
    process = command(ignored=[signal.SIGHUP])
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGTERM)
    assert end_of(process) == (143, "ends in order\n", "")


def test_an_interrupt_that_is_sent_where_there_is_no_terminal_is_heeded_even_behind_an_ampersand(command):
    process = command(ignored=[signal.SIGINT], start_new_session=True)
    process.send_signal(signal.SIGINT)
    assert end_of(process) == (130, "ends in order\n", "")


@pytest.mark.parametrize(("ignored", "code"), [([], 130), ([signal.SIGINT], 143)])
def test_ctrl_c_in_a_terminal_ends_a_command_but_not_one_behind_an_ampersand(ignored, code, command):
    keyboard, terminal = pty.openpty()
    process = command(terminal, ignored=ignored, pass_fds=[terminal])
    os.write(keyboard, b"\x03")
    echo = b""
    while b"^C" not in echo:  # which comes after the signal
        echo += os.read(keyboard, 100)
    if ignored:
        process.send_signal(signal.SIGTERM)
    assert end_of(process) == (code, "ends in order\n", "")
    os.close(keyboard)
    os.close(terminal)


def test_signals_that_come_together_are_one_request_and_a_later_one_is_another(clock):
    stop = signals._Stop()
    with pytest.raises(Stopped, match="stopped by SIGTERM"):
        stop(signal.SIGTERM, None)
    clock.seconds = 1.9
    stop(signal.SIGTERM, None)
    stop(signal.SIGINT, None)
    clock.seconds = 2.0
    with pytest.raises(Stopped, match="stopped by SIGINT"):
        stop(signal.SIGINT, None)


@pytest.fixture
def stops():
    """Let SIGTERM stop this process, as in a training."""
    before = {number: signal.getsignal(number) for number in STOPS}
    signals.stop_with_parent(orderly=True)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


class Deaf:
    """Sent a signal while it is destroyed: Python drops the exception."""

    def __del__(self):
        signal.raise_signal(signal.SIGTERM)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_signal_whose_exception_python_drops_stops_a_loop_at_its_next_check(stops):
    with pytest.raises(Stopped, match="stopped by SIGTERM"), stop_at_checks() as checks:
        Deaf()
        checks()


def test_a_signal_before_the_first_check_stops_at_once(stops):
    passed = []
    with pytest.raises(Stopped), stop_at_checks():
        signal.raise_signal(signal.SIGTERM)
        passed.append("here")
    assert passed == []


def test_from_the_first_check_on_a_signal_waits_for_the_next_one(stops):
    passed = []
    with pytest.raises(Stopped), stop_at_checks() as checks:
        checks()
        signal.raise_signal(signal.SIGTERM)
        passed.append("here")
        checks()
        passed.append("not here")
    assert passed == ["here"]
    with pytest.raises(Stopped), stop_at_checks() as checks:
        checks()
        signal.raise_signal(signal.SIGTERM)  # after the last check: it is raised at the end
    assert isinstance(signal.getsignal(signal.SIGTERM), signals._Stop)  # as before the block


@pytest.mark.heavy
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_training_stops_though_python_drops_the_exception_of_its_signal(stops, tmp_path):
    import keras

    from facemask_ensemble.data.loaders import batches
    from facemask_ensemble.models.classifier import build_classifier
    from facemask_ensemble.training.fit import fit
    from facemask_ensemble.training.recipe import Data
    from facemask_ensemble.training.schedules import Phase

    data = batches(np.zeros((8, 8, 8, 3), np.uint8), np.arange(8) % 2, 2, 4, one_hot=True)
    model = build_classifier("small", keras.layers.Conv2D(2, 3), 8, 2)
    ended = []

    def listen(epoch, metrics):
        ended.append(epoch)
        Deaf()

    with pytest.raises(Stopped):
        fit(model, Data(lambda passes: data, data, 8, 4), [Phase(50, 0.01, patience=None)], tmp_path, [listen])
    assert ended == [1]
    assert gc.isenabled()


def test_a_second_signal_of_the_same_request_does_not_interrupt_the_end_after_the_block(stops, clock):
    with pytest.raises(Stopped), stop_at_checks() as checks:
        checks()
        signal.raise_signal(signal.SIGTERM)
        checks()
    clock.seconds = 1.9
    signal.raise_signal(signal.SIGTERM)
    clock.seconds = 2.0
    with pytest.raises(Stopped):
        signal.raise_signal(signal.SIGTERM)


def test_a_block_with_checks_leaves_the_handlers_of_others_alone():
    before = [signal.getsignal(number) for number in STOPS]
    with stop_at_checks() as checks:
        assert [signal.getsignal(number) for number in STOPS] == before
        checks()


def test_processes_are_told_to_stop_by_who_started_them_and_by_nobody_else(tmp_path):
    program = [sys.executable, "-c", CHILD, str(tmp_path / "said")]
    with pytest.raises(ValueError, match="early"), started(program, 2, **PIPES) as processes:
        for process in processes:
            assert process.stdout.readline() == "works\n"
            process.send_signal(signal.SIGINT)
            process.send_signal(signal.SIGHUP)
        raise ValueError("early")
    assert [process.returncode for process in processes] == [0, 0]
    assert (tmp_path / "said").read_text() == "stopped by SIGTERM\n" * 2


def test_a_process_that_is_told_to_stop_before_it_has_begun_stops_in_order_as_soon_as_it_has(tmp_path):
    program = [sys.executable, "-c", CHILD, str(tmp_path / "said")]
    with started(program, **PIPES) as (process,):
        process.terminate()
    assert process.returncode == 0
    assert (tmp_path / "said").read_text() == "stopped by SIGTERM\n"


def test_no_signal_is_held_back_once_a_process_was_started():
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    assert before.isdisjoint(STOPS)
    with started([sys.executable, "-c", ""]):
        assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == before
    with pytest.raises(FileNotFoundError), started(["no such program"]):
        pass
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == before


def test_a_signal_that_comes_while_processes_end_is_passed_on_and_they_are_waited_for():
    """The first process ends at the second signal alone."""
    told = []

    class Stubborn:
        def poll(self):
            return 0 if len(told) == 2 else None

        def terminate(self):
            told.append("stop")

        def wait(self):
            if self.poll() is None:
                raise Stopped(signal.SIGINT)

    signals._end([Stubborn()])
    assert told == ["stop", "stop"]
