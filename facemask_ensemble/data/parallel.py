"""All cores at one long list, in order, with a progress bar."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from facemask_ensemble.resources import usable_cores

TIMEOUT_SECONDS = 2.0  # seconds before a progress bar appears
HANDFUL = 8  # items a thread takes at a time
ARMFUL = 64  # items a process takes at a time
Item = TypeVar("Item")
Result = TypeVar("Result")


def with_progress(results: Iterable[Result], total: int | None, title: str) -> Iterator[Result]:
    """Pass results on; show a progress bar on a terminal when they take more than two seconds."""
    start, shown = time.monotonic(), False
    terminal = next((stream for stream in (sys.stderr, sys.stdout) if stream.isatty()), None)
    bar = Progress(console=Console(file=terminal), transient=True, disable=terminal is None)
    task = bar.add_task(title, total=total)
    try:
        for result in results:
            yield result
            bar.advance(task)
            if not shown and time.monotonic() - start > TIMEOUT_SECONDS:
                bar.start()
                shown = True
    finally:
        bar.stop()


@contextmanager
def counting(total: int | None, done: int, title: str) -> Iterator[Callable[[int], None]]:
    """Give a function to tell how many more are done; on a terminal a bar shows how fast, and the time left.

    Args:
        total: of them; None if that is only known at the end.
        done: before.
        title: of the bar.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _Speed(), TimeRemainingColumn())
    with Progress(*columns, console=Console(), transient=True, disable=not sys.stdout.isatty()) as bar:
        task = bar.add_task(title, total=total, completed=done)
        yield lambda more: bar.advance(task, more)


class _Speed(ProgressColumn):
    """How many a second."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:.1f}/s" if task.speed else "")


def in_threads(work: Callable[[Item], Result], items: Sequence[Item], title: str) -> Iterator[Result]:
    """Yield the results in order, worked out by all cores, with a progress bar."""
    handfuls = [items[start : start + HANDFUL] for start in range(0, len(items), HANDFUL)]
    pool = ThreadPoolExecutor(max_workers=usable_cores())
    try:
        done = pool.map(lambda handful: [work(item) for item in handful], handfuls)
        yield from with_progress((result for results in done for result in results), len(items), title)
    finally:
        pool.shutdown(cancel_futures=True)


def in_processes(work: Callable[[Item], Result], items: Sequence[Item], title: str) -> Iterator[Result]:
    """Do as `in_threads` does, in processes: they take a second to start, and then no lock of Python's holds them up.

    Args:
        work: a function of a module, which every process imports.
        items: what it is called with.
        title: of the progress bar.
    """
    from joblib import Parallel, delayed

    armfuls = [items[start : start + ARMFUL] for start in range(0, len(items), ARMFUL)]
    done = Parallel(n_jobs=usable_cores(), return_as="generator", batch_size=1)(
        delayed(_each)(work, armful) for armful in armfuls
    )
    yield from with_progress((result for results in done for result in results), len(items), title)


def _each(work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    return [work(item) for item in items]
