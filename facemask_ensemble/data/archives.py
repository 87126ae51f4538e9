"""Images in an archive, read without being unpacked to disk."""

import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path, PurePosixPath

from facemask_ensemble.data.decoding import SUFFIXES, ImageError
from facemask_ensemble.data.input_images import InputImages, Item, limited, written
from facemask_ensemble.errors import InputError

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz")
BROKEN = (zlib.error, lzma.LZMAError, EOFError, OSError)
TAR_DAMAGE = (tarfile.TarError, *BROKEN)
# What `zipfile` raises for a password is a RuntimeError, for a compression that it does not know a NotImplementedError.
ZIP_DAMAGE = (zipfile.BadZipFile, NotImplementedError, RuntimeError, *BROKEN)


def open_archive(path: Path, key: str) -> InputImages:
    """List the images in an archive; skip hidden files and files whose name is not that of an image.

    Raises:
        InputError: it is damaged.
    """
    try:
        if path.suffix.lower() != ".zip":
            tarfile.open(path).close()
            return InputImages(key, lambda: _in_tar(path), lambda: None)
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, NotImplementedError, *TAR_DAMAGE) as error:
        raise _broken(path, error) from None
    inside = [info for info in archive.infolist() if not info.is_dir() and _wanted(info.filename)]

    def item(info: zipfile.ZipInfo) -> Item:
        return Item(written(f"{path}/{info.filename}"), partial(_unzip, archive, info))

    return InputImages(key, lambda: map(item, inside), lambda: len(inside))


def _wanted(name: str) -> bool:
    path = PurePosixPath(name)
    return path.suffix.lower() in SUFFIXES and not any(
        part.startswith(".") or part == "__MACOSX" for part in path.parts if part not in (".", "..")
    )


def _unzip(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    try:
        with archive.open(info) as file:
            return limited(file)
    except ZIP_DAMAGE as error:
        raise ImageError(f"cannot be unpacked: {error}") from None


def _in_tar(path: Path) -> Iterator[Item]:
    """Go through an archive that can only be read from its beginning to its end."""
    try:
        with tarfile.open(path, "r|*") as archive:
            while (info := archive.next()) is not None:
                archive.members = []  # type: ignore[attr-defined]  # it would remember them all
                if not info.isdir() and _wanted(info.name):
                    yield _taken(written(f"{path}/{info.name}"), archive, info)
    except TAR_DAMAGE as error:
        raise _broken(path, error) from None


def _taken(name: str, archive: tarfile.TarFile, info: tarfile.TarInfo) -> Item:
    """Read a member now: a stream cannot go back to it."""
    file = archive.extractfile(info) if info.isreg() else None
    try:
        if file is None:
            raise ImageError("not a file")
        data = limited(file)
    except ImageError as error:
        return Item(name, partial(_refuse, str(error)))
    return Item(name, lambda: data, held=len(data))


def _refuse(reason: str) -> bytes:
    raise ImageError(reason)


def _broken(path: Path, error: BaseException) -> InputError:
    return InputError(
        f"input={path}: the archive is damaged ({error or type(error).__name__}); create or download it again"
    )
