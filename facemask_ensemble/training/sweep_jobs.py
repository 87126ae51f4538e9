"""The jobs of a sweep: what each one trains, how far it is, and how it ended."""

import csv
import json
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from rich.console import Console
from rich.live import Live
from rich.table import Table

from facemask_ensemble.overrides import parse
from facemask_ensemble.training.member_process import LOG, OUTCOME, Outcome
from facemask_ensemble.training.run_folder import MEMBER, RUN

SPEAK_FOR_THEMSELVES = ("backbone", "experiment")
RECENT = 3  # epochs that the estimate of the time left is based on


@dataclass(frozen=True)
class Standing:
    """How far a job is: its member, state, epochs done and to do, best validation accuracy, seconds so far and left."""

    label: str
    state: str = "waiting"
    epoch: int = 0
    epochs: int | None = None
    best: float | None = None
    seconds: float | None = None
    left: float | None = None
    outcome: Outcome | None = None
    folder: Path | None = None


def labels_of(overrides: Sequence[str]) -> list[str]:
    """Label the jobs of a sweep by what differs between them, in the order of training.

    Args:
        overrides: as given, with all values: `backbone=xception,resnet50v2`.
    """
    parsed = parse(overrides)
    jobs = BasicSweeper.split_arguments(parsed, None)[0]
    varied = {one.get_key_element(): one.key_or_group for one in parsed if one.is_sweep_override()}
    chosen = [[text.split("=", 1) for text in job] for job in jobs]  # as Hydra writes them: the key's element, a value
    return [" ".join(_label(varied[key], value) for key, value in job if key in varied) for job in chosen]


def _label(key: str, value: str) -> str:
    return value if key in SPEAK_FOR_THEMSELVES else f"{key.rpartition('.')[2]}={value}"


def standings(folder: Path, labels: Sequence[str]) -> list[Standing]:
    """Look at every job of a sweep's folder; a single nameless one is called by its backbone."""
    begun = {int(path.name.partition("_")[0]): path for path in folder.glob("[0-9]*_*") if path.is_dir()}
    return [
        standing(label or begun[number].name.partition("_")[2], begun[number]) if number in begun else Standing(label)
        for number, label in enumerate(labels)
    ]


def standing(label: str, job: Path) -> Standing:
    """Look at one job, given Hydra's folder of it."""
    note = job / MEMBER
    folder = Path(note.read_text()) if note.exists() else job
    now = Standing(label, "waiting", folder=folder)
    if note.exists():
        now = _progress(replace(now, state="training"), folder)
    if (folder / OUTCOME).exists():
        outcome = Outcome.read(folder)
        state = "finished before" if outcome.state == "finished" and _older(folder / OUTCOME, note) else outcome.state
        return replace(now, state=state, left=None, outcome=outcome)
    return now


def _older(outcome: Path, note: Path) -> bool:
    return outcome.stat().st_mtime_ns < note.stat().st_mtime_ns


def _progress(now: Standing, folder: Path) -> Standing:
    try:
        epochs = int(json.loads((folder / RUN).read_text())["epochs"])
        with (folder / "files" / "history.csv").open(newline="") as file:
            lines = list(csv.DictReader(file))
        seconds = [float(line["epoch_seconds"]) for line in lines]
        best = max(float(line["val_accuracy"]) for line in lines)
    except (OSError, ValueError, KeyError, TypeError):  # nothing there yet, or being written just now
        return now
    left = median(seconds[-RECENT:]) * (epochs - len(lines))
    return replace(now, epoch=len(lines), epochs=epochs, best=best, seconds=sum(seconds), left=left)


def table_of(rows: Sequence[Standing], title: str) -> Table:
    """Lay out one line a member."""
    table = Table(title=title)
    for name in ("member", "state"):
        table.add_column(name)
    for name in ("epoch", "best validation accuracy", "time", "left"):
        table.add_column(name, justify="right")
    for row in rows:
        epoch = f"{row.epoch}/{row.epochs}" if row.epochs else ""
        best = "" if row.best is None else f"{row.best:.3f}"
        table.add_row(row.label, row.state, epoch, best, _clock(row.seconds), _clock(row.left))
    return table


def _clock(seconds: float | None) -> str:
    return "" if seconds is None else f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


class LiveTable(threading.Thread):
    """Show how far every job is, once a second, until it is stopped."""

    def __init__(self, folder: Path, labels: Sequence[str]) -> None:
        super().__init__(daemon=True)
        self.folder, self.labels, self.over = folder, labels, threading.Event()

    def run(self) -> None:
        """Redraw the table until the end."""
        with Live(self._table(), console=Console(), transient=True, auto_refresh=False) as live:
            while not self.over.wait(1):
                live.update(self._table(), refresh=True)

    def stop(self) -> None:
        """Take the table off the screen."""
        self.over.set()
        self.join()

    def _table(self) -> Table:
        return table_of(standings(self.folder, self.labels), "Members in training")


def show(rows: Sequence[Standing]) -> None:
    """Print how every job ended, and for those that did not finish, why."""
    Console().print(table_of(rows, "Members trained"))
    for row in rows:
        outcome = row.outcome or Outcome(row.label, "failed", "its process ended without an error message")
        if row.state == "waiting" and row.folder is None:
            print(f"error: {row.label}: not started", file=sys.stderr)
        elif outcome.state != "finished":
            log = f" (log: {row.folder / LOG})" if row.folder and (row.folder / LOG).exists() else ""
            print(f"error: {row.label} {outcome.state}: {outcome.message}{log}", file=sys.stderr)
        elif outcome.summary["not_logged"]:
            print(
                f"{row.label} could not be logged ({outcome.summary['not_logged']}); its files are kept. When MLflow "
                f"answers again, run: python -m facemask_ensemble.upload folder={row.folder}"
            )
