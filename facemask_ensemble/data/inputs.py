"""Images to answer for, one after another: from a folder, a glob, a list, an archive or standard input.

Nothing here keeps more than a folder's names or an archive's index in memory, and nothing is unpacked to disk.
"""

import glob
import os
import stat
import sys
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import chain
from pathlib import Path

from facemask_ensemble.data.archives import ARCHIVES, open_archive
from facemask_ensemble.data.decoding import SUFFIXES, ImageError
from facemask_ensemble.data.input_images import InputImages, Item, limited, written
from facemask_ensemble.data.listing import is_image
from facemask_ensemble.errors import InputError

LIST = ".txt"
STDIN = "-"


def open_input(given: str) -> InputImages:
    """Look at what an input names: an image, a folder, a glob, a `.txt` of paths, an archive, or `-`.

    Raises:
        InputError: it does not exist, has no image, or is a damaged archive.
    """
    if given == STDIN:
        return InputImages(STDIN, lambda: _listed(sys.stdin.buffer), lambda: None)
    path = Path(given).expanduser()
    key = str(path.absolute())
    if path.is_file() and path.name.lower().endswith(ARCHIVES):
        found = open_archive(path, key)
    elif path.is_file() and path.suffix.lower() == LIST:
        found = InputImages(key, lambda: _read_list(path), lambda: sum(1 for _ in _read_list(path)))
    elif path.is_file():
        found = InputImages(key, lambda: iter([_file(str(path))]), lambda: 1)
    elif path.is_dir():
        found = InputImages(key, lambda: map(_file, _below(path)), lambda: sum(1 for _ in _below(path)))
    else:
        names = [name for name in sorted(map(Path, glob.iglob(str(path), recursive=True))) if name.is_file()]
        found = InputImages(key, lambda: map(_file, map(str, names)), lambda: len(names))
    if next(found.items(), None) is None:
        raise InputError(
            f"input={given}: {_nothing(path)}; give images ({', '.join(sorted(SUFFIXES))}), a {LIST} with a path a "
            f"line, an archive ({', '.join(ARCHIVES)}), or - for paths on standard input"
        )
    return found


def _nothing(path: Path) -> str:
    if path.is_dir():
        return "a folder without an image"
    return "there is no image in it" if path.is_file() else "no such image, folder or glob"


def _file(path: str) -> Item:
    return Item(written(path), partial(_read_file, path))


def _read_file(path: str) -> bytes:
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # a pipe would keep everything waiting
            raise ImageError("not a file")
        with open(path, "rb") as file:
            return limited(file)
    except OSError as error:
        raise ImageError(f"cannot be opened: {error.strerror}") from None
    except ValueError as error:  # a NUL in a list's line
        raise ImageError(str(error)) from None


def _below(folder: Path) -> Iterator[str]:
    """Walk through a folder in order; hidden files are passed over, links to folders not followed."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise InputError(f"{folder} cannot be opened ({error.strerror}); change its permissions") from None
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _below(folder / entry.name)
        elif is_image(Path(entry.name)) and not entry.is_dir():
            yield str(folder / entry.name)


def _read_list(path: Path) -> Iterator[Item]:
    with path.open("rb") as lines:
        yield from _listed(lines)


def _listed(lines: Iterable[bytes]) -> Iterator[Item]:
    """Take a path from every line that is not empty; they are relative to the working folder."""
    lines = iter(lines)
    first = next(lines, b"").removeprefix(b"\xef\xbb\xbf")  # Windows editors write this at the start of a text
    for line in chain([first], lines):
        if line.strip():
            yield _file(str(Path(os.fsdecode(line.rstrip(b"\r\n"))).expanduser()))
