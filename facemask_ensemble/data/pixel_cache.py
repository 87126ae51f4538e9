"""Pixels of many images: read from their files once, kept on disk, read back where asked for."""

import errno
import hashlib
import os
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from facemask_ensemble.data.parallel import with_progress
from facemask_ensemble.errors import InputError

READER_VERSION = 2  # raise it when the same file would give other pixels: cached arrays are then read again


class StoredPixels:
    """Images in a file of one array, uint8 (n, h, w, 3); reading some of them leaves no others in memory.

    A memory map would do the same, but for the memory: every page it has touched counts as the process's own.
    """

    def __init__(self, file: Path) -> None:
        self._file = file.open("rb", buffering=0)
        np.lib.format.read_magic(self._file)
        self.shape, _, self.dtype = np.lib.format.read_array_header_1_0(self._file)
        self._start, self._bytes = self._file.tell(), int(np.prod(self.shape[1:]))

    def __len__(self) -> int:
        """Count the images."""
        return int(self.shape[0])

    def __getitem__(self, index: int | slice | np.ndarray | Sequence[int]) -> np.ndarray:
        """Read one image (h, w, 3), or several (m, h, w, 3)."""
        places = np.atleast_1d(np.arange(len(self))[index])
        images = np.empty((len(places), *self.shape[1:]), np.uint8)
        for image, place in zip(images, places.tolist(), strict=True):
            os.preadv(self._file.fileno(), [image.reshape(-1)], self._start + place * self._bytes)
        return images[0] if isinstance(index, int | np.integer) else images

    def __array__(self, dtype: np.dtype | None = None, copy: bool | None = None) -> np.ndarray:
        """Read them all."""
        return np.asarray(self[:], dtype)


def load_pixels(
    manifest_root: Path, paths: Sequence[str], size: int, cache: Path | None = None, keys: Sequence[str] | None = None
) -> np.ndarray | StoredPixels:
    """Read images as uint8 (n, size, size, 3); with a cache folder, once and then never again.

    Args:
        manifest_root: the folder that the paths are relative to.
        paths: posix paths of the images.
        size: the side of the square, in pixels.
        cache: a folder for arrays read before.
        keys: the sha256 of every file, as in a manifest; computed when not given.
    """
    files = [manifest_root / path for path in paths]
    if cache is None or not files:
        pixels, done = np.empty((len(files), size, size, 3), np.uint8), 0
        for batch in _batches(files, size):
            pixels[done : done + len(batch)] = batch
            done += len(batch)
        return pixels
    remembered = cache / f"pixels-{size}px-{_cache_key(files, size, keys)}.npy"
    if not remembered.exists():
        _remember(files, size, remembered)
    return StoredPixels(remembered)


def _batches(files: Sequence[Path], size: int) -> Iterator[np.ndarray]:
    if files:
        from facemask_ensemble.data.reader import BATCH, stream_pixels  # TensorFlow, which not every command needs

        yield from with_progress(stream_pixels(files, size), -(-len(files) // BATCH), "Reading images")


def _cache_key(files: Sequence[Path], size: int, keys: Sequence[str] | None) -> str:
    if keys is None:
        keys = [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
    return hashlib.sha256("\n".join([f"{READER_VERSION} {size}", *keys]).encode()).hexdigest()[:20]


def _remember(files: Sequence[Path], size: int, target: Path) -> None:
    """Write the array under a temporary name, then rename it: other processes see a complete file or none."""
    header = {"descr": "|u1", "fortran_order": False, "shape": (len(files), size, size, 3)}
    unfinished = target.with_name(f"{target.stem}.{uuid.uuid4().hex[:8]}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with unfinished.open("wb") as part:
            np.lib.format.write_array_header_1_0(part, header)
            _reserve(part.fileno(), part.tell() + len(files) * size * size * 3)
            for batch in _batches(files, size):
                part.write(batch.data)
        unfinished.replace(target)
    except OSError as error:
        needed = len(files) * size * size * 3 / 1e6
        raise InputError(
            f"{target.parent} cannot hold {needed:.0f} MB of pixels ({error.strerror}): "
            "free that much or set output_dir to another disk"
        ) from None
    finally:
        unfinished.unlink(missing_ok=True)


def _reserve(file: int, length: int) -> None:
    """Reserve the whole file: writing is faster, and a full disk shows before the work starts."""
    if hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(file, 0, length)
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):  # not every file system can
                raise
