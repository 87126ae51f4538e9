"""One folder per class, in the shape that Keras's readers list: our pixels as PNG, or links to the user's files."""

import hashlib
import os
import shutil
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from facemask_ensemble.data.decoding import TURNS
from facemask_ensemble.data.manifest import Manifest
from facemask_ensemble.data.parallel import in_threads
from facemask_ensemble.data.pixel_cache import READER_VERSION, StoredPixels
from facemask_ensemble.errors import InputError

# Both readers decode by content, but the legacy one passes over files named .gif.
SUFFIXES = {"JPEG": ".jpg", "MPO": ".jpg", "PNG": ".png", "BMP": ".bmp", "GIF": ".png"}


def normalised(manifest: Manifest, split: str, pixels: np.ndarray | StoredPixels, folder: Path) -> Path:
    """Write a split's pixels as lossless images, the first time; return their folder.

    Args:
        manifest: of the dataset.
        split: train, validation or test.
        pixels: of that split as our reader gives them, uint8 (n, size, size, 3).
        folder: of all data; `normalised/KEY/SPLIT/LABEL/` receives the images.

    Raises:
        InputError: the disk is full.
    """
    target = folder / "normalised" / _key(READER_VERSION, pixels.shape[1], manifest.fingerprint) / split
    if target.is_dir():
        return target

    def save(index: int, file: Path) -> None:
        Image.fromarray(pixels[index]).save(file, compress_level=1)

    return _fill(target, _names(manifest, split, [".png"] * len(pixels)), len(manifest.class_names), save)


def originals(manifest: Manifest, split: str, folder: Path) -> Path:
    """Link to the original files of a split, the first time; return the folder of the links.

    Where links cannot be made, on some file systems and on Windows, the files are copied.

    Raises:
        InputError: Keras's readers would read a file wrongly, or the disk is full.
    """
    files = [Path(os.path.abspath(manifest.root / path)) for path in manifest.split(split)["path"]]
    target = folder / "originals" / _key(manifest.fingerprint, *files) / split
    if target.is_dir():
        return target
    suffixes = list(in_threads(_suffix, files, "Checking the original files"))

    def save(index: int, file: Path) -> None:
        try:
            file.symlink_to(files[index])
        except OSError:  # a file system without links, or a user who may make none
            shutil.copyfile(files[index], file)

    return _fill(target, _names(manifest, split, suffixes), len(manifest.class_names), save)


def label_folders(classes: int) -> list[str]:
    """Name the folders of the classes, in the order of their labels."""
    return [f"{label:03}" for label in range(classes)]


def _key(*parts: object) -> str:
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()[:20]


def _names(manifest: Manifest, split: str, suffixes: Sequence[str]) -> list[Path]:
    rows, folders = manifest.split(split), label_folders(len(manifest.class_names))
    columns = zip(rows["label"].tolist(), rows["sha256"].tolist(), suffixes, strict=True)
    return [
        Path(folders[label], f"{number:06}_{sha256[:12]}{suffix}")
        for number, (label, sha256, suffix) in enumerate(columns)
    ]


def _fill(target: Path, names: Sequence[Path], classes: int, save: Callable[[int, Path], None]) -> Path:
    """Fill a folder under a temporary name, then rename it: other processes see a complete folder or none."""
    part = target.with_name(f"{target.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        for label in label_folders(classes):
            (part / label).mkdir(parents=True)
        for _ in in_threads(lambda index: save(index, part / names[index]), range(len(names)), "Writing class folders"):
            pass
        part.rename(target)
    except OSError as error:
        if not target.is_dir():  # if it is, another process was first
            raise InputError(
                f"{target.parent} cannot hold {len(names)} images ({error.strerror or error}): free some space or "
                "set output_dir to another disk"
            ) from None
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return target


def _suffix(file: Path) -> str:
    """Choose the suffix of a file by its content; refuse a file that Keras's readers would read wrongly."""
    with file.open("rb") as opened:
        head = opened.read(34)
    with Image.open(file) as image:
        why = _why_not(image, head)
        if why is None:
            return SUFFIXES[str(image.format)]
    raise InputError(f"{file} is {why}, which Keras's readers read wrongly; give loader.resize=ours")


def _why_not(image: Image.Image, head: bytes) -> str | None:
    if image.format not in SUFFIXES:
        return f"a {image.format} by its content"
    if image.mode == "CMYK":
        return "in CMYK colours"
    if image.getexif().get(0x0112) in TURNS:
        return "EXIF-rotated"
    if image.format == "PNG" and head[24] == 16:
        return "a PNG of 16 bits"
    if image.format == "BMP" and int.from_bytes(head[28:30], "little") != 24:
        return "a BMP without 24 bits a pixel"
    if image.has_transparency_data and image.convert("RGBA").getchannel("A").getextrema()[0] != 255:
        return "partly transparent"
    return None
