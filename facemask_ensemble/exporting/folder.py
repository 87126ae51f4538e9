"""The folder of an export: it is complete, with `export.json`, or it does not exist."""

import hashlib
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from facemask_ensemble.errors import InputError

RECORD = "export.json"


def refuse_taken(path: Path, again: bool) -> None:
    """Refuse a folder with files; an earlier export is replaced on request.

    Raises:
        InputError: naming the place.
    """
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return
    if not (path.is_dir() and (path / RECORD).is_file()):
        raise InputError(f"output={path}: the folder has files that are not an export; give another output=FOLDER")
    if not again:
        raise InputError(
            f"output={path}: already holds an export; give again=true to replace it, or another output=FOLDER"
        )


@contextmanager
def new_folder(path: Path, again: bool) -> Iterator[Path]:
    """Give a temporary folder that becomes `path` on success and is removed otherwise.

    Raises:
        InputError: something lies there, or the place cannot be written.
    """
    refuse_taken(path, again)
    own = uuid.uuid4().hex[:8]
    part, old = path.with_name(f".{path.name}.{own}.part"), path.with_name(f".{path.name}.{own}.old")
    try:
        part.mkdir(parents=True)
    except OSError as error:
        raise InputError(f"output={path}: cannot be written ({error.strerror}); give another output=FOLDER") from None
    try:
        yield part
        if path.exists():
            path.rename(old)
        part.rename(path)
    finally:
        shutil.rmtree(part, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def digests(path: Path, folder: Path) -> dict[str, str]:
    """Give the sha256 of every file of what was written at `path`, by its name below `folder`.

    A network of OpenVINO has its weights beside it, in a file of the same name.
    """
    weights = path.with_suffix(".bin")
    files = sorted(path.rglob("*")) if path.is_dir() else [path, *([weights] if weights.exists() else [])]
    found = {}
    for file in files:
        if file.is_file():
            with file.open("rb") as content:
                found[str(file.relative_to(folder))] = hashlib.file_digest(content, "sha256").hexdigest()
    return found
