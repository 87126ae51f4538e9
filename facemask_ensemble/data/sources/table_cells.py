"""The cells of a table of images, read as texts."""

import warnings
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import pyarrow

from facemask_ensemble.errors import InputError

COLUMNS = ("path", "label", "split", "group")
NEEDED = ("path", "label")


def read_table(file: Path, names: Mapping[str, str]) -> pd.DataFrame:
    """Read the columns `path`, `label`, `split` and `group` of a CSV or Parquet file as texts.

    Args:
        file: ends in .csv or .parquet.
        names: of columns that have another name in the file.

    Returns:
        All four, "" where the file has nothing.

    Raises:
        InputError: it cannot be read, lacks a column, or has no path or no label in a row.
    """
    unknown = sorted(set(names) - set(COLUMNS))
    if unknown:
        raise InputError(f"dataset.columns.{unknown[0]}: there is no such column; the columns are {', '.join(COLUMNS)}")
    whole = _read(file)
    found = {}
    for column in COLUMNS:
        name = names.get(column) or column
        if name in whole:
            found[column] = whole[name].map(_path if column == "path" else _text)
        elif column in NEEDED or name != column:
            there = ", ".join(map(str, whole.columns)) or "none"
            raise InputError(f"{file} has no column {name!r} (it has {there}): set dataset.columns.{column}=NAME")
    if whole.empty:
        raise InputError(f"{file} has no rows; add a row for every image")
    table = pd.DataFrame(found, columns=list(COLUMNS)).fillna("").reset_index(drop=True)
    for column in NEEDED:
        empty = table.index[table[column] == ""]
        if len(empty):
            where = place(file, int(empty[0]))
            raise InputError(f"{where} has no {column} (such rows: {len(empty)}); fill it in, or delete those rows")
    return table


def place(file: Path, row: int) -> str:
    """Name a row, counted from 0, as a user finds it: with the header as the first line of a CSV."""
    return f"{file.name} line {row + 2}" if file.suffix.lower() == ".csv" else f"{file.name} row {row}"


def _read(file: Path) -> pd.DataFrame:
    suffix = file.suffix.lower()
    if suffix not in (".csv", ".parquet"):
        raise InputError(f"dataset.table={file} is neither .csv nor .parquet: save it as one of them")
    try:
        if suffix == ".parquet":
            return pd.read_parquet(file)
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # rows longer than the header would be cut
            return pd.read_csv(file, dtype=str, keep_default_na=False, index_col=False, encoding="utf-8-sig")
    except (pd.errors.ParserWarning, pyarrow.ArrowException, ValueError, OSError) as error:
        why = " ".join(str(error).split())[:200]
        raise InputError(f"{file} cannot be read as a table ({why}); save it again, a CSV as UTF-8") from None


def _path(cell: object) -> str:
    return cell if isinstance(cell, str) and cell.strip() else _text(cell)


def _text(cell: object) -> str:
    """Write a cell as text; 1.0, a whole number in a column that has gaps, is 1."""
    if cell is None or cell is pd.NA or cell != cell:
        return ""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell).strip()
