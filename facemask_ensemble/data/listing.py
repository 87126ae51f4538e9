"""A listing: labelled pictures as a source names them, and how sources look into folders."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from facemask_ensemble.data.decoding import SUFFIXES
from facemask_ensemble.errors import InputError


def _no_rejects() -> pd.DataFrame:
    return pd.DataFrame(columns=["path", "reason"], dtype=str)


@dataclass(frozen=True)
class Listing:
    """Labelled pictures as a source names them, not yet opened.

    `rows` has `path` (posix, relative to `root`), `label` (an index into `class_names`) and may have `group` (pictures
    to keep on one side of a split, "" for none) and `split` (train, validation, test, or "" to be drawn). `rejected`
    has `path` and `reason`.
    """

    root: Path
    class_names: tuple[str, ...]
    rows: pd.DataFrame
    rejected: pd.DataFrame = field(default_factory=_no_rejects)


def existing_folder(root: str | Path | None, name: str) -> Path:
    """Give the absolute folder of a source, or refuse a missing one."""
    if root is None or not str(root).strip():
        raise InputError(f"dataset.root=null, but dataset={name} reads a folder: add dataset.root=PATH")
    folder = Path(root).expanduser().absolute()
    if not folder.is_dir():
        what = "is not a folder" if folder.exists() else "does not exist"
        raise InputError(f"dataset.root={root} {what}: give the folder that holds the pictures")
    return folder


def visible(folder: Path) -> list[Path]:
    """List what lies in a folder, in order of names, without what is hidden."""
    return sorted((entry for entry in folder.iterdir() if not entry.name.startswith(".")), key=lambda entry: entry.name)


def files_below(folder: Path) -> list[Path]:
    """List the files below a folder, in order, without hidden files and folders."""
    found = (path for path in folder.rglob("*") if path.is_file())
    seen = (path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts))
    return sorted(seen, key=lambda path: path.as_posix())


def is_picture(path: Path) -> bool:
    """Tell by its suffix whether a file should be a picture."""
    return path.suffix.lower() in SUFFIXES


def make_listing(root: Path, class_names: Sequence[str], rows: list[dict], rejected: list[tuple[str, str]]) -> Listing:
    """Put a source's finds into a Listing; a file whose name is not valid text is rejected."""
    garbled = {row["path"] for row in rows if {unicodedata.category(sign) for sign in row["path"]} & {"Cc", "Cs"}}
    rejected = rejected + [(ascii(path), "its name holds bytes that are not text: rename it") for path in garbled]
    kept = [{"group": "", "split": "", **row} for row in rows if row["path"] not in garbled]
    table = pd.DataFrame(kept, columns=["path", "label", "group", "split"])
    names = pd.DataFrame(sorted(rejected), columns=["path", "reason"], dtype=str)
    return Listing(root, tuple(class_names), table, names)
