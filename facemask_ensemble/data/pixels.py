"""Reading pictures: the one path by which training, evaluation and prediction see pixels."""

import hashlib
import os
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image
from rich.console import Console
from rich.progress import Progress

from facemask_ensemble.data.decoding import PictureError, decode
from facemask_ensemble.errors import InputError

READER_VERSION = 1  # raise it when the same file would give other pixels: remembered arrays are then read anew
PATIENCE = 2.0  # seconds before a progress bar appears
Item = TypeVar("Item")
Result = TypeVar("Result")


def read_pixels(path: Path, size: int) -> np.ndarray:
    """Read a picture as uint8 (size, size, 3), the whole of it squeezed into the square.

    The aspect is not kept: a crop could cut away the one face that decides between `all` and `some`, and bars would
    waste pixels of faces that are small already. A JPEG is decoded at no less than twice the size, then resampled.
    """
    try:
        image = decode(path.read_bytes(), at_least=2 * size)
    except PictureError as error:
        raise InputError(f"{path} cannot be read as a picture ({error}): replace it or leave it out") from None
    except OSError as error:
        raise InputError(f"{path} cannot be opened ({error.strerror}): check the path and its permissions") from None
    return np.asarray(image.resize((size, size), Image.Resampling.BICUBIC))


def in_threads(work: Callable[[Item], Result], items: Sequence[Item], title: str) -> Iterator[Result]:
    """Yield the results in order; show a progress bar on a terminal when it takes more than two seconds."""
    start, shown = time.monotonic(), False
    console = Console(stderr=True)
    bar = Progress(console=console, transient=True, disable=not sys.stderr.isatty())
    task = bar.add_task(title, total=len(items))
    pool = ThreadPoolExecutor(max_workers=os.cpu_count())
    try:
        for result in pool.map(work, items):
            yield result
            bar.advance(task)
            if not shown and time.monotonic() - start > PATIENCE:
                bar.start()
                shown = True
    finally:
        pool.shutdown(cancel_futures=True)
        bar.stop()


def load_pixels(
    manifest_root: Path, paths: Sequence[str], size: int, cache: Path | None = None, keys: Sequence[str] | None = None
) -> np.ndarray:
    """Read pictures as uint8 (n, size, size, 3); with a cache folder, once and then never again.

    Args:
        manifest_root: the folder that the paths are relative to.
        paths: posix paths of the pictures.
        size: the side of the square, in pixels.
        cache: a folder for arrays read before, opened as a read-only memory map.
        keys: the sha256 of every file, as in a manifest; computed when not given.
    """
    files = [manifest_root / path for path in paths]
    if cache is None or not files:
        pixels = np.empty((len(files), size, size, 3), np.uint8)
        for index, picture in enumerate(in_threads(lambda file: read_pixels(file, size), files, "Reading pictures")):
            pixels[index] = picture
        return pixels
    remembered = cache / f"pixels-{size}px-{_cache_key(files, size, keys)}.npy"
    if not remembered.exists():
        _remember(files, size, remembered)
    return np.load(remembered, mmap_mode="r")


def _cache_key(files: Sequence[Path], size: int, keys: Sequence[str] | None) -> str:
    if keys is None:
        keys = [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
    return hashlib.sha256("\n".join([f"{READER_VERSION} {size}", *keys]).encode()).hexdigest()[:20]


def _remember(files: Sequence[Path], size: int, target: Path) -> None:
    """Write the array to a file of its own name, then rename: other processes see all of it or none."""
    header = {"descr": "|u1", "fortran_order": False, "shape": (len(files), size, size, 3)}
    pictures = in_threads(lambda file: read_pixels(file, size), files, "Reading pictures")
    unfinished = target.with_name(f"{target.stem}.{uuid.uuid4().hex[:8]}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # Written, not memory-mapped: on a full disk a write raises an error where a map kills the process.
        with unfinished.open("wb") as part:
            np.lib.format.write_array_header_1_0(part, header)
            for picture in pictures:
                part.write(picture.tobytes())
        unfinished.replace(target)
    except OSError as error:
        needed = len(files) * size * size * 3 / 1e6
        raise InputError(
            f"{target.parent} cannot hold {needed:.0f} MB of pixels ({error.strerror}): "
            "free that much or set output_dir to another disk"
        ) from None
    finally:
        unfinished.unlink(missing_ok=True)
