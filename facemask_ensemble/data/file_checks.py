"""Checking every file once: can it be read, what are its contents, what does it look like."""

import io
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from facemask_ensemble.data.file_inspection import FINDINGS, Finding, inspect_file
from facemask_ensemble.data.parallel import in_processes, in_threads
from facemask_ensemble.data.perceptual_hash import SIDE, looks
from facemask_ensemble.files import write_atomically

IDENTITY = ["path", "size", "mtime_ns"]
COLOURS = ["red", "green", "blue"]
TEXTS = ["sha256", "format", "odd", "look", "mirrored", "reason"]
NUMBERS = ["width", "height", *COLOURS]
INDEX = "checked-2.parquet"  # raise the number when a finding changes its meaning
AT_A_TIME = 2048  # thumbnails hashed together
MANY = 4000  # files from which on it pays to start processes


def check(root: Path, rows: pd.DataFrame, folder: Path) -> pd.DataFrame:
    """Add what is found in every file; files seen before, unchanged, are not read again.

    Args:
        root: the folder that the paths are relative to.
        rows: at least `path`, `size` and `mtime_ns`, as `stat_files` gives them.
        folder: where the index of findings is remembered.

    Returns:
        The rows with `sha256`, `width` and `height` (upright, pixels), `format`, `odd` (what was odd and what was done
        about it), `red`, `green` and `blue` (mean colour, 0..255), `look` and `mirrored` (perceptual hashes of the
        image and of its mirror image, 16 hexadecimal digits, "" for a plain image) and `reason`, "" unless it
        cannot be read; then the other findings are "" and 0.
    """
    known = _load_index(folder / INDEX)
    table = rows.merge(known, on=IDENTITY, how="left")
    new = table["reason"].isna().to_numpy()
    if new.any():
        found = inspect([root / path for path in table.loc[new, "path"]])
        fresh = pd.concat([table.loc[new, IDENTITY].reset_index(drop=True), found], axis=1)
        known = pd.concat([known, fresh], ignore_index=True).drop_duplicates(IDENTITY, keep="last")
        _save_index(known, folder / INDEX)
        table = rows.merge(known, on=IDENTITY, how="left")
    return table.astype({"width": int, "height": int})


def stat_files(root: Path, paths: pd.Series) -> pd.DataFrame:
    """Look up every file's size and time of change, -1 where there is no such file."""
    found = []
    for path in paths:
        try:
            entry = os.stat(root / path)
            found.append((entry.st_size, entry.st_mtime_ns))
        except OSError:
            found.append((-1, -1))
    return pd.DataFrame(found, columns=["size", "mtime_ns"], index=paths.index, dtype=np.int64)


def inspect(files: Sequence[Path]) -> pd.DataFrame:
    """Read files, all cores at it, and give the findings of each as a row."""
    spread = in_processes if len(files) >= MANY else in_threads
    findings: list[Finding] = []
    tables: list[pd.DataFrame] = []
    thumbnails: list[np.ndarray] = []
    for finding, thumbnail in spread(inspect_file, files, "Checking images"):
        findings.append(finding)
        thumbnails.append(thumbnail)
        if len(thumbnails) == AT_A_TIME:
            tables.append(_seen(thumbnails))
            thumbnails = []
    seen = pd.concat([*tables, _seen(thumbnails)], ignore_index=True)
    return pd.concat([pd.DataFrame(findings, columns=FINDINGS), seen], axis=1)


def _seen(thumbnails: Sequence[np.ndarray]) -> pd.DataFrame:
    """Give mean colours and hashes, for many images at a time."""
    small = np.stack(thumbnails) if thumbnails else np.empty((0, SIDE, SIDE, 3), np.uint8)
    colours = small.mean(axis=(1, 2)).round(2)
    look, mirrored = looks(small)
    return pd.DataFrame(colours, columns=COLOURS).assign(look=look, mirrored=mirrored)


def _load_index(file: Path) -> pd.DataFrame:
    if file.exists():
        return pd.read_parquet(file)
    empty = dict.fromkeys(["path", *TEXTS], "") | dict.fromkeys(["size", "mtime_ns", *NUMBERS], 0)
    return pd.DataFrame([empty])[[*IDENTITY, *TEXTS, *NUMBERS]].iloc[:0]


def _save_index(known: pd.DataFrame, file: Path) -> None:
    content = io.BytesIO()
    known.to_parquet(content, index=False)
    write_atomically(content.getvalue(), file)
