"""A table of requests made into images: bytes, arrays of pixels, or paths below a folder that may be read."""

import io
import os
import stat
from collections.abc import Mapping
from functools import partial
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from facemask_ensemble.data.decoding import ImageError
from facemask_ensemble.data.input_images import Item
from facemask_ensemble.errors import InputError
from facemask_ensemble.serving.uploads import Limits, printable, upload, within

COLUMNS = ("image", "path", "pixels")
NOTHING = "no image: give its bytes as `image`, its `pixels`, or a `path`"
NO_PATHS = "this server opens no paths; send the image's bytes"
OUTSIDE = "not a path below the server's image folder"
ABSENT = "no such file below the server's image folder"
SHAPE = "pixels are whole numbers from 0 to 255 of shape (height, width, 3)"


def requested(row: Mapping[str, Any], root: Path | None, limits: Limits) -> Item:
    """Make an item of a row with `image` (bytes), `pixels` (h, w, 3) or `path`; the first that is there counts.

    Beside bytes or pixels a path is a name, and nothing is opened. What is wrong with a row is told when the item is
    read, as a ImageError.

    Args:
        row: by column.
        root: the folder below which a path is opened; None to open none.
        limits: of a file.
    """
    image, path, pixels = (row.get(name) for name in COLUMNS)
    name = path if isinstance(path, str) else ""
    if isinstance(image, bytes | bytearray | memoryview):
        return upload(name, bytes(image), limits)
    if isinstance(pixels, list | np.ndarray):
        data = partial(_bitmap, pixels, limits)
        return Item(upload(name, b"", limits).name, lambda: within(data(), limits))
    if name:
        return Item(printable(name), lambda: within(read_below(root, name, limits), limits))
    return Item(upload(name, b"", limits).name, _refuse)


def read_below(root: Path | None, path: str, limits: Limits) -> bytes:
    """Read a file by its path below a folder, no more of it than the limits and one byte.

    Raises:
        ImageError: it is not below the folder, by its name or by a link, or is no file; what lies elsewhere is not
            told.
    """
    if root is None:
        raise ImageError(NO_PATHS)
    parts = PurePosixPath(path.replace("\\", "/")).parts
    if "\0" in path or ".." in parts or PureWindowsPath(path).anchor:
        raise ImageError(OUTSIDE)
    try:
        home = root.resolve(strict=True)
        file = (home / path).resolve(strict=True)
        if not file.is_relative_to(home):
            raise ImageError(ABSENT)
        descriptor = os.open(file, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
        with open(descriptor, "rb") as content:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):  # a pipe would keep everything waiting
                raise ImageError(ABSENT)
            return content.read(int(limits.megabytes * 1e6) + 1)
    except (OSError, ValueError, RuntimeError):  # RuntimeError: a loop of links
        raise ImageError(ABSENT) from None


def rows_of(table: Any) -> list[dict[str, Any]]:
    """Give the rows of a table, or of what can be one: an array (n, h, w, 3), a list of files' contents.

    Raises:
        InputError: a table has none of the columns that an image may be in.
    """
    if isinstance(table, np.ndarray):
        return [{"pixels": pixels} for pixels in table]
    if isinstance(table, pd.DataFrame):
        if not set(COLUMNS) & set(table.columns):
            raise InputError(f"the table has none of the columns {', '.join(COLUMNS)}: give an image in one of them")
        return [{str(key): value for key, value in row.items()} for row in table.to_dict("records")]
    return [row if isinstance(row, Mapping) else {"image": row} for row in table]  # type: ignore[misc]


def _bitmap(pixels: Any, limits: Limits) -> bytes:
    """Write pixels as an image file, so that they are read like every other image."""
    try:
        array = np.asarray(pixels)
    except ValueError:  # rows of different lengths
        raise ImageError(SHAPE) from None
    if array.dtype == object and array.ndim == 1:  # as a column of a data frame may hold them
        array = np.array(array.tolist())
    fits = array.ndim == 3 and array.shape[2] == 3 and array.size and np.issubdtype(array.dtype, np.integer)
    if not fits or array.min() < 0 or array.max() > 255:
        raise ImageError(SHAPE)
    if array.shape[0] * array.shape[1] > limits.megapixels * 1e6:
        raise ImageError(f"more than {limits.megapixels:g} million pixels")
    content = io.BytesIO()
    Image.fromarray(array.astype(np.uint8)).save(content, "BMP")
    return content.getvalue()


def _refuse() -> bytes:
    raise ImageError(NOTHING)
