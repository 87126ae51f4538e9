"""The bar of a long count."""

import io
import sys

import pytest
from rich.progress import Task

from facemask_ensemble.data import parallel
from facemask_ensemble.data.parallel import counting


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(("total", "words"), [(300, "250/300"), (None, "250/?")])
def test_a_terminal_sees_how_many_are_done_how_fast_and_how_long_it_takes(total, words, monkeypatch):
    monkeypatch.setattr(sys, "stdout", terminal := Terminal())
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(Task, "speed", property(lambda task: 12.345))
    with counting(total, 100, "Answering") as count:
        count(100)
        count(50)
    shown = terminal.getvalue()
    assert "Answering" in shown
    assert words in shown
    assert "12.3/s" in shown
    assert ("0:00:05" in shown) == (total is not None)  # 50 that are left, at 12.3 a second, are 5 seconds


def test_nobody_sees_a_bar_where_there_is_no_terminal(capsys):
    with counting(10, 0, "Answering") as count:
        count(10)
    assert capsys.readouterr() == ("", "")


def test_a_speed_that_is_not_known_is_not_shown():
    assert parallel._Speed().render(Task(0, "t", 10, 0, _get_time=lambda: 0.0)).plain == ""
