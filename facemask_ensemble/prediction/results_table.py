"""A table of answers on disk that grows by chunks; a stopped command resumes it.

Beside a table lies `TABLE.json`, which says what it belongs to. A Parquet file cannot be added to: until all answers
are there its rows lie in `TABLE.rows.csv`.
"""

import csv
import io
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import filelock
import pandas as pd

from facemask_ensemble.data.input_images import Item
from facemask_ensemble.errors import InputError
from facemask_ensemble.files import write_atomically
from facemask_ensemble.prediction.columnar import to_csv, to_parquet

PARQUET = ".parquet"
SUFFIXES = (".csv", PARQUET)
PASS = 100_000  # rows in memory at a time
BLOCK = 1 << 16
ADVICE = "give again=true to start again, or another output=FILE"


class AnswerTable:
    """Answers in `file`, a `.csv` or `.parquet`, of the given columns; `rows` is the file that they are added to.

    `counts` are columns of whole numbers beside those that every table has.
    """

    def __init__(self, file: Path, columns: Sequence[str], counts: Sequence[str] = ()) -> None:
        self.file, self.columns, self._counts = file, list(columns), counts
        self.rows = file if file.suffix != PARQUET else file.with_name(f"{file.name}.rows.csv")
        self.about = file.with_name(f"{file.name}.json")
        self._lock = filelock.FileLock(file.with_name(f".{file.name}.lock"), timeout=0)

    def open(self, belongs: Mapping[str, Any], again: bool, *, replace: bool = False) -> None:
        """Prepare the file for more rows: those of the same command stay, a half-written last one is cut.

        Args:
            belongs: what the answers depend on, as JSON can hold it.
            again: start again, whatever the file holds.
            replace: start again if the file is finished.

        Raises:
            InputError: it holds something else, or another command is writing it.
        """
        self._take()
        if again or (replace and self._about().get("finished")):
            for file in (self.about, self.rows, self.file):
                file.unlink(missing_ok=True)
        if self.rows.exists() or self.file.exists():
            self._refuse_other(belongs)
            if self.rows.exists():
                _cut(self.rows)
            else:
                to_csv(self.file, self.rows)
        write_atomically(json.dumps(dict(belongs), indent=2), self.about)  # not finished any more
        if not self.rows.exists() or not self.rows.stat().st_size:
            self.rows.write_text(_line(self.columns), encoding="utf-8")

    def close(self) -> None:
        """Let others write it."""
        self._lock.release()

    def skip(self, items: Iterator[Item]) -> int:
        """Pass over the images that have their row, and count them.

        Raises:
            InputError: the rows are not those of the first images.
        """
        done = 0
        with self.rows.open(encoding="utf-8", newline="") as rows:
            reader = csv.reader(rows)
            if next(reader) != self.columns:
                raise InputError(f"output={self.file}: has different columns; {ADVICE}")
            for row in reader:
                item = next(items, None)
                if item is None or item.name != row[0]:
                    now = f"is now {item.name}" if item else "is now missing"
                    raise InputError(f"output={self.file}: the input has changed, image {done + 1} was {row[0]} and "
                                     f"{now}; {ADVICE}")  # fmt: skip
                done += 1
        return done

    def append(self, rows: pd.DataFrame) -> None:
        """Add rows, in one go."""
        content = io.StringIO()
        rows.to_csv(content, index=False, header=False, lineterminator="\n")
        with self.rows.open("ab") as file:
            file.write(content.getvalue().encode("utf-8", "backslashreplace"))

    def passes(self, columns: list[str] | None = None) -> Iterator[pd.DataFrame]:
        """Go through the rows, so many at a time, all as text."""
        yield from pd.read_csv(self.rows, usecols=columns, dtype=str, keep_default_na=False, chunksize=PASS)

    def finish(self) -> None:
        """Bring the rows into their final file."""
        if self.file.suffix == PARQUET:
            to_parquet(self.rows, self.file, self.columns, self._counts)
            self.rows.unlink()
        write_atomically(json.dumps(self._about() | {"finished": True}, indent=2), self.about)

    def _take(self) -> None:
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()
        except filelock.Timeout:
            raise InputError(f"output={self.file}: another command is writing it; give another output") from None
        except OSError as error:
            raise InputError(f"output={self.file}: cannot be written ({error.strerror}); give another output") from None

    def _about(self) -> dict[str, Any]:
        """Read what it belongs to; nothing where that cannot be read."""
        try:
            about = json.loads(self.about.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return about if isinstance(about, dict) else {}

    def _refuse_other(self, belongs: Mapping[str, Any]) -> None:
        before = self._about()
        other = [key for key in belongs if before.get(key) != belongs[key]] if before else ["origin"]
        if other:
            raise InputError(f"output={self.file}: was written with different {', '.join(other)}; {ADVICE}")


def summary(table: AnswerTable, members: Sequence[str], quarantine: Path) -> dict[str, Any]:
    """Go through a table once, and write the images that cannot be read to a file of path and reason.

    Returns:
        `images`, `unreadable`, `predictions` (how often each, most frequent first), `asked` (answers of members),
        and `first`, path and reason of the first image that cannot be read, or None.
    """
    counts: Counter[Any] = Counter()
    images = unreadable = asked = 0
    first = None
    columns = [f"vote_{member}" for member in members]
    with quarantine.open("w", encoding="utf-8", newline="") as file:
        file.write(_line(["path", "reason"]))
        for rows in table.passes():
            bad = rows[rows["reason"] != ""]
            bad[["path", "reason"]].to_csv(file, index=False, header=False, lineterminator="\n")
            counts.update(rows.loc[rows["reason"] == "", "prediction"].value_counts().to_dict())
            asked += int((rows[columns] != "").to_numpy().sum())
            images, unreadable = images + len(rows), unreadable + len(bad)
            first = first or next(iter(bad[["path", "reason"]].itertuples(index=False, name=None)), None)
    predictions = dict(counts.most_common())
    return dict(images=images, unreadable=unreadable, predictions=predictions, asked=asked, first=first)


def _line(names: Sequence[str]) -> str:
    content = io.StringIO()
    csv.writer(content, lineterminator="\n").writerow(names)
    return content.getvalue()


def _cut(file: Path) -> None:
    """Cut a file after its last line break: no field contains one, so the rest is an incomplete row."""
    with file.open("r+b") as rows:
        size = end = rows.seek(0, io.SEEK_END)
        while end:
            start = max(0, end - BLOCK)
            rows.seek(start)
            found = rows.read(end - start).rfind(b"\n")
            if found >= 0:
                end = start + found + 1
                break
            end = start
        if end < size:
            rows.truncate(end)
