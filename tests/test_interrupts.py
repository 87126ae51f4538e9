import os
import signal
import subprocess
import sys
import threading
from types import SimpleNamespace

import pytest
from processes import STOPS, start

from facemask_ensemble import tracking
from facemask_ensemble.tracking import interrupts
from facemask_ensemble.tracking.interrupts import uninterrupted


@pytest.fixture(autouse=True)
def heeded():
    """Heed the signals in these tests, whatever this process was started to ignore."""
    before = {number: signal.signal(number, signal.default_int_handler) for number in STOPS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", STOPS)
def test_a_block_comes_to_its_end_before_the_signal_that_came_meanwhile_is_heeded(number):
    done = []
    with pytest.raises(KeyboardInterrupt), uninterrupted():
        os.kill(os.getpid(), number)
        done.append("all")
    assert done == ["all"]
    assert signal.getsignal(number) is signal.default_int_handler


def test_a_second_signal_is_heeded_at_once_unless_it_came_together_with_the_first(monkeypatch):
    times = iter([10.0, 11.9, 12.0])
    monkeypatch.setattr(interrupts, "time", SimpleNamespace(monotonic=lambda: next(times)))
    done = []
    with pytest.raises(KeyboardInterrupt), uninterrupted():
        os.kill(os.getpid(), signal.SIGINT)
        done.append("first")
        os.kill(os.getpid(), signal.SIGTERM)
        done.append("together with it")
        os.kill(os.getpid(), signal.SIGINT)
        done.append("second")
    assert done == ["first", "together with it"]


def test_a_signal_is_heeded_after_a_block_that_failed():
    with pytest.raises(KeyboardInterrupt) as raised, uninterrupted():
        os.kill(os.getpid(), signal.SIGINT)
        raise OSError("no answer")
    assert str(raised.value.__context__) == "no answer"


def test_the_outermost_of_two_blocks_is_what_a_signal_waits_for():
    done = []
    with pytest.raises(KeyboardInterrupt), uninterrupted():
        with uninterrupted():
            os.kill(os.getpid(), signal.SIGINT)
        done.append("outer")
    assert done == ["outer"]


def test_signals_that_the_program_ignores_stay_ignored():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with uninterrupted():
        os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_a_block_in_a_thread_runs_as_it_is():
    done = []

    @uninterrupted()
    def work():
        done.append(threading.current_thread().name)

    thread = threading.Thread(target=work, name="aside")
    thread.start()
    thread.join()
    assert done == ["aside"]


LOG = """
import os, signal, sys
from pathlib import Path
from sqlalchemy.engine.default import DefaultDialect
from facemask_ensemble import tracking

store = tracking.open_store(None, Path(sys.argv[1]))
run_id = tracking.start_run(store, "masks", "xception", {}, {})
live = tracking.LiveMetrics(store, run_id)
live(1, {"loss": 1.0})
commit = DefaultDialect.do_commit

def interrupted(self, connection):
    os.kill(os.getpid(), signal.SIGINT)
    commit(self, connection)

DefaultDialect.do_commit = interrupted
try:
    live(2, {"loss": 0.5})
except KeyboardInterrupt as error:  # whose traceback keeps what was interrupted alive
    DefaultDialect.do_commit = commit
    tracking.end_run(store, run_id, "KILLED", "stopped")
print(run_id)
"""


@pytest.mark.heavy
def test_a_training_that_is_interrupted_while_it_logs_can_close_its_run(store, tmp_path):
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = start([sys.executable, "-c", LOG, str(tmp_path)], text=True, **pipes)
    said, errors = process.communicate()
    assert process.returncode == 0, errors
    run_id = said.split()[-1]
    assert store.client.get_run(run_id).info.status == "KILLED"
    assert [metric.value for metric in store.client.get_metric_history(run_id, "loss")] == [1.0, 0.5]
    assert tracking.has_run(store, run_id)
