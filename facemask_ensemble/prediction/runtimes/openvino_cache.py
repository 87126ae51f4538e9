"""The folder of a member's conversions: `openvino/` beside its file, or the user's cache if that is read-only."""

import hashlib
import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import filelock

from facemask_ensemble.errors import InputError
from facemask_ensemble.files import write_atomically

FOLDER = "openvino"
DIGITS = 20  # of a file's sha256
PART = ".part"


@dataclass(frozen=True)
class Place:
    """The conversions of one `.keras` file: their folder, and the beginning of the file's sha256, which names them."""

    folder: Path
    key: str

    @classmethod
    def of(cls, file: Path) -> "Place":
        """Find the place of a file's conversions.

        Raises:
            InputError: neither of the folders can be written.
        """
        folder = _folder(file)
        return cls(folder, _content(file, folder / f"{file.stem}.json")[:DIGITS])

    @property
    def compiled(self) -> Path:
        """Give the folder in which OpenVINO keeps what it has compiled."""
        return self.folder / "compiled"

    def network(self, kind: str) -> Path:
        """Give the file of the converted network: `float32`, or `int8`."""
        return self.folder / f"{self.key}-{kind}" / "network.xml"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the folder for conversions, and remove unfinished files of other commands."""
        with filelock.FileLock(self.folder / ".lock"):
            for part in self.folder.glob(f"*{PART}"):
                shutil.rmtree(part, ignore_errors=True)
            yield

    @contextmanager
    def writing(self, kind: str) -> Iterator[Path]:
        """Give a temporary file for a network; at the end the network is complete or absent."""
        final = self.network(kind)
        part = final.parent.with_name(f"{final.parent.name}.{uuid.uuid4().hex[:8]}{PART}")
        part.mkdir()
        try:
            yield part / final.name
            shutil.rmtree(final.parent, ignore_errors=True)
            part.rename(final.parent)
        finally:
            shutil.rmtree(part, ignore_errors=True)

    def recall(self, precision: str) -> dict[str, Any] | None:
        """Read the record of a conversion; None if it is missing or damaged."""
        try:
            known = json.loads(self._record(precision).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return known if isinstance(known, dict) else None

    def note(self, precision: str, measured: dict[str, Any]) -> None:
        """Save the record of a conversion."""
        write_atomically(json.dumps(measured, indent=2), self._record(precision))

    def _record(self, precision: str) -> Path:
        return self.folder / f"{self.key}-{precision}.json"


def _folder(file: Path) -> Path:
    """Choose the first folder that can be written."""
    path = file.absolute().parent
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "facemask_ensemble" / FOLDER
    mine = cache / hashlib.sha256(str(path).encode()).hexdigest()[:DIGITS]
    for folder in (path / FOLDER, mine):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                return folder
        except OSError as error:
            reason = error.strerror
    raise InputError(
        f"runtime=openvino: the conversion of {file.name} cannot be saved in {path / FOLDER} or {cache} ({reason}); "
        "set XDG_CACHE_HOME to a writable folder, or give runtime=keras"
    )


def _content(file: Path, stamp: Path) -> str:
    """Give a file's sha256; a file with the same size and modification time is not read again."""
    seen = file.stat()
    now = {"bytes": seen.st_size, "modified_ns": seen.st_mtime_ns}
    try:
        known = json.loads(stamp.read_text(encoding="utf-8"))
        if all(known[key] == value for key, value in now.items()):
            return str(known["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    with file.open("rb") as content:
        sha256 = hashlib.file_digest(content, "sha256").hexdigest()
    write_atomically(json.dumps(now | {"sha256": sha256}), stamp)
    return sha256
