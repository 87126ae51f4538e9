"""Checking every file once: can it be read, what are its contents, what does it look like."""

import hashlib
import io
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from facemask_ensemble.data.decoding import PictureError, examine
from facemask_ensemble.data.looks import SIDE, looks
from facemask_ensemble.data.manifest import write_atomically
from facemask_ensemble.data.pixels import in_threads

IDENTITY = ["path", "size", "mtime_ns"]
TEXTS = ["sha256", "format", "odd", "look", "mirrored", "reason"]
NUMBERS = ["width", "height", "red", "green", "blue"]
INDEX = "checked-2.parquet"  # raise the number when a finding changes its meaning
AT_A_TIME = 2048  # thumbnails hashed together
NOTHING = np.zeros((SIDE, SIDE, 3), np.uint8)


def check(root: Path, rows: pd.DataFrame, folder: Path) -> pd.DataFrame:
    """Add what is found in every file; files seen before, unchanged, are not read again.

    Args:
        root: the folder that the paths are relative to.
        rows: at least `path`, `size` and `mtime_ns`, as `stat_files` gives them.
        folder: where the index of findings is remembered.

    Returns:
        The rows with `sha256`, `width` and `height` (upright, pixels), `format`, `odd` (what was odd and what was done
        about it), `red`, `green` and `blue` (mean colour, 0..255), `look` and `mirrored` (perceptual hashes of the
        picture and of its mirror image, 16 hexadecimal digits, "" for a plain picture) and `reason`, "" unless it
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
    rows: list[dict] = []
    thumbnails: list[np.ndarray] = []
    for finding, thumbnail in in_threads(_inspect, files, "Checking pictures"):
        rows.append(finding)
        thumbnails.append(thumbnail)
        if len(thumbnails) == AT_A_TIME:
            _add_looks(rows, thumbnails)
    _add_looks(rows, thumbnails)
    return pd.DataFrame(rows, columns=[*TEXTS, *NUMBERS])


def _inspect(file: Path) -> tuple[dict, np.ndarray]:
    try:
        data = file.read_bytes()
        # A JPEG at an eighth of its size is read through to its end all the same: a cut one does not pass.
        picture = examine(data, at_least=2 * SIDE, suffix=file.suffix)
    except PictureError as error:
        return _unreadable(str(error))
    except OSError as error:
        return _unreadable(f"cannot be opened: {error.strerror}")
    small = np.asarray(picture.image.resize((SIDE, SIDE), Image.Resampling.LANCZOS))
    red, green, blue = small.mean(axis=(0, 1)).round(2).tolist()
    about = {"sha256": hashlib.sha256(data).hexdigest(), "format": picture.format, "odd": picture.odd, "reason": ""}
    size = {"width": picture.width, "height": picture.height}
    return {**about, **size, "red": red, "green": green, "blue": blue}, small


def _unreadable(reason: str) -> tuple[dict, np.ndarray]:
    return {**dict.fromkeys(TEXTS, ""), **dict.fromkeys(NUMBERS, 0), "reason": reason}, NOTHING


def _add_looks(rows: list[dict], thumbnails: list[np.ndarray]) -> None:
    """Hash the thumbnails, which belong to the last rows, and forget them."""
    if thumbnails:
        last = rows[-len(thumbnails) :]
        for row, look, mirrored in zip(last, *looks(np.stack(thumbnails)), strict=True):
            row |= {"look": look, "mirrored": mirrored}
        thumbnails.clear()


def _load_index(file: Path) -> pd.DataFrame:
    if file.exists():
        return pd.read_parquet(file)
    empty = dict.fromkeys(["path", *TEXTS], "") | dict.fromkeys(["size", "mtime_ns", *NUMBERS], 0)
    return pd.DataFrame([empty])[[*IDENTITY, *TEXTS, *NUMBERS]].iloc[:0]


def _save_index(known: pd.DataFrame, file: Path) -> None:
    content = io.BytesIO()
    known.to_parquet(content, index=False)
    write_atomically(content.getvalue(), file)
