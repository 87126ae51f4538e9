"""Checking every file once: can it be read, what are its contents, what does it look like."""

import hashlib
import os
from pathlib import Path

import imagehash
import numpy as np
import pandas as pd
from PIL import Image, ImageOps

from facemask_ensemble.data.decoding import PictureError, decode
from facemask_ensemble.data.manifest import write_atomically
from facemask_ensemble.data.pixels import in_threads

IDENTITY = ["path", "size", "mtime_ns"]
FINDINGS = ["sha256", "width", "height", "look", "mirrored", "reason"]
INDEX = "checked-1.csv"  # raise the number when a finding changes its meaning
HASH_SIDE = 32  # imagehash.phash keeps the 8x8 lowest frequencies of this many pixels a side
PLAIN = 4.0  # below this spread of grey levels a hash is of noise, and says nothing about a picture


def check(root: Path, rows: pd.DataFrame, folder: Path) -> pd.DataFrame:
    """Add what is found in every file; files seen before, unchanged, are not read again.

    Args:
        root: the folder that the paths are relative to.
        rows: at least `path`, `size` and `mtime_ns`, as `stat_files` gives them.
        folder: where the index of findings is remembered.

    Returns:
        The rows with `sha256`, `width`, `height`, `look` and `mirrored` (perceptual hashes of the picture and of its
        mirror image, 16 hexadecimal digits, "" for a plain picture) and `reason`, "" unless it cannot be read.
    """
    known = _load_index(folder / INDEX)
    table = rows.merge(known, on=IDENTITY, how="left")
    new = table["reason"].isna().to_numpy()
    if new.any():
        files = [root / path for path in table.loc[new, "path"]]
        found = pd.DataFrame(list(in_threads(inspect, files, "Checking pictures")), columns=FINDINGS)
        fresh = pd.concat([table.loc[new, IDENTITY].reset_index(drop=True), found], axis=1)
        known = pd.concat([known, fresh], ignore_index=True)
        write_atomically(known.drop_duplicates(IDENTITY, keep="last").to_csv(index=False), folder / INDEX)
        table = rows.merge(known.drop_duplicates(IDENTITY, keep="last"), on=IDENTITY, how="left")
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


def inspect(file: Path) -> tuple[str, int, int, str, str, str]:
    """Read one file and find its `FINDINGS`."""
    try:
        data = file.read_bytes()
        picture = decode(data)
    except PictureError as error:
        return "", 0, 0, "", "", str(error)
    except OSError as error:
        return "", 0, 0, "", "", f"cannot be opened: {error.strerror}"
    return hashlib.sha256(data).hexdigest(), picture.width, picture.height, *looks(picture), ""


def looks(picture: Image.Image) -> tuple[str, str]:
    """Hash how a picture and its mirror image look, 64 bits each as hexadecimal; "" for a plain picture."""
    small = picture.convert("L").resize((HASH_SIDE, HASH_SIDE), Image.Resampling.LANCZOS)
    if np.asarray(small).std() < PLAIN:
        return "", ""
    return str(imagehash.phash(small)), str(imagehash.phash(ImageOps.mirror(small)))


def _load_index(file: Path) -> pd.DataFrame:
    text = dict.fromkeys(["path", "sha256", "look", "mirrored", "reason"], str)
    if not file.exists():
        return pd.DataFrame(columns=IDENTITY + FINDINGS).astype({"size": np.int64, "mtime_ns": np.int64})
    return pd.read_csv(file, dtype=text, keep_default_na=False)
