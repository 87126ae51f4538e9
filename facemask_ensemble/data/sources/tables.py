"""A table of images and labels: CSV or Parquet."""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path

import pandas as pd

from facemask_ensemble.data.listing import (
    LeftOut,
    Listing,
    existing_folder,
    make_listing,
    no_text,
    refuse_empty_class,
    trouble_with,
)
from facemask_ensemble.data.sources.class_layout import SPLIT_FOLDERS
from facemask_ensemble.data.sources.table_cells import place, read_table
from facemask_ensemble.errors import InputError


def table(
    table: str | Path | None,
    root: str | Path | None = None,
    classes: Sequence[str | int] | None = None,
    columns: Mapping[str, str] | None = None,
) -> Listing:
    """List the images that a table names, with their labels and perhaps a split and a group.

    Args:
        table: a CSV or Parquet file. Labels are texts or whole numbers, splits the names that folders of a split may
            have, or "".
        root: the folder that the paths are relative to; None for the folder of the table. Absolute paths must
            be below it.
        classes: names in label order, or in the order of the numbers 0, 1 … that are the labels; None for the labels
            themselves, sorted.
        columns: the names of the columns `path`, `label`, `split` and `group`, where they are others.
    """
    file = _existing_table(table)
    top = Path(os.path.normpath(existing_folder(file.parent if root is None else root, "table")))
    found = read_table(file, dict(columns or {}))
    found["path"] = [_below(path, top, place(file, row)) for row, path in enumerate(found["path"])]
    found["split"] = [_split(name, place(file, row)) for row, name in enumerate(found["split"])]
    names, label_of = _classes(set(found["label"]), classes, file)
    found, quarantine = _once(found)
    real = cache(os.path.realpath)  # many images, few folders
    missing = {path: why for path in found["path"] if (why := _closed(path, top, file.name, real))}
    quarantine += missing.items()
    kept = found[~found["path"].isin(missing)]
    rows = kept.assign(label=kept["label"].map(label_of)).to_dict("records")
    refuse_empty_class(top, names, rows, quarantine, f"correct {file.name}, or give the folder that its paths begin in")
    return make_listing(top, names, rows, quarantine)


def _existing_table(table: str | Path | None) -> Path:
    if table is None or not str(table).strip():
        raise InputError("dataset.table=null: dataset=table needs a file; give dataset.table=FILE.csv or FILE.parquet")
    file = Path(table).expanduser().absolute()
    if not os.path.isfile(file):
        raise InputError(
            f"dataset.table={table} does not exist; give a .csv or .parquet file with the columns path and label"
        )
    return file


def _below(path: str, top: Path, where: str) -> str:
    """Write a path relative to the root, which may be reached over links."""
    whole = Path(os.path.normpath(top / path))
    real = Path(os.path.realpath(top))
    for folder, file in ((top, whole), (real, whole), (real, Path(os.path.realpath(whole.parent), whole.name))):
        if folder in file.parents:
            return file.relative_to(folder).as_posix()
    raise InputError(f"{where}: {path} is outside dataset.root={top}; give the folder that holds all the images")


def _split(name: str, where: str) -> str:
    if name and name.lower() not in SPLIT_FOLDERS:
        known = ", ".join(SPLIT_FOLDERS)
        raise InputError(f"{where}: unknown split {name!r}: use one of {known}, or leave it empty")
    return SPLIT_FOLDERS[name.lower()] if name else ""


def _classes(found: set[str], classes: Sequence[str | int] | None, file: Path) -> tuple[list[str], dict[str, int]]:
    """Name the classes in label order, and give every label of the table its place among them."""
    numbers = all(re.fullmatch(r"-?[0-9]+", label) for label in found)
    if classes is None:
        names = sorted(found, key=int) if numbers else sorted(found)
        if len(names) < 2:
            raise InputError(f"{file.name} has one class, {names[0]!r}: give images of at least two")
        return names, {name: label for label, name in enumerate(names)}
    names = [] if isinstance(classes, str) else [str(name) for name in classes]
    if len(names) < 2 or len(set(names)) < len(names):
        raise InputError(f"dataset.classes={classes}: give a list of at least two different names, such as [no,yes]")
    strangers = found - set(names)
    if strangers and numbers and all(0 <= int(label) < len(names) for label in found):
        return names, {label: int(label) for label in found}
    if strangers:
        raise InputError(
            f"{file.name} has the label {min(strangers)!r}, which is not in dataset.classes={names}: add it there, "
            "or correct the table"
        )
    return names, {name: label for label, name in enumerate(names)}


def _once(rows: pd.DataFrame) -> tuple[pd.DataFrame, LeftOut]:
    """Keep one row of an image that is named several times; leave it out if its rows differ."""
    alike = rows.drop_duplicates()
    torn = alike[alike["path"].duplicated(keep=False)]
    left_out = []
    for path, named in torn.groupby("path"):
        column = next(column for column in ("label", "split", "group") if named[column].nunique() > 1)
        values = " and ".join(repr(value) for value in named[column].unique())
        left_out.append((str(path), f"named several times, with the {column}s {values}: correct the table"))
    return alike[~alike["path"].isin(torn["path"])], left_out


def _closed(path: str, top: Path, table: str, real: Callable[[Path], str]) -> str:
    """Say why an image that the table names cannot be opened, "" if it can."""
    if why := no_text(path):
        return why
    file = top / path
    if not os.path.lexists(file):
        return f"named in {table}, but missing"
    if Path(real(top)) not in Path(real(file.parent), file.name).parents:
        return "behind a symbolic link that leaves dataset.root: replace the link by a copy"
    return "a folder, not an image" if os.path.isdir(file) else trouble_with(file, top)
