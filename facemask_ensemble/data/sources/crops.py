"""Cutting faces out of photographs, and keeping them as files."""

import hashlib
import io
import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
from PIL import Image

from facemask_ensemble.data.decoding import TURNS, ImageError, decode
from facemask_ensemble.data.listing import LeftOut
from facemask_ensemble.data.parallel import in_threads
from facemask_ensemble.data.perceptual_hash import SIDE, looks
from facemask_ensemble.data.sources.annotated import Photo
from facemask_ensemble.data.voc import STATES, AnnotationError, Box, boxes_of, read_tree, size_of
from facemask_ensemble.errors import InputError

FACE_CLASSES = ("mask", "no_mask", "wrong_mask")  # in the order of the annotations' STATES
RECORD = "faces.json"
ORIENTATION = 0x0112  # the EXIF tag
CUTTING = 1  # raise it when the same photographs and settings would give other faces


class Crops(TypedDict):
    """What was cut: a record a face, a record a photograph, and `path` and `reason` of what was left out."""

    faces: list[dict[str, Any]]
    photos: list[dict[str, Any]]
    left_out: LeftOut


def cut_faces(photos: Sequence[Photo], folder: Path, margin: float, smallest: int) -> tuple[Path, Crops]:
    """Write every face as `CLASS/PHOTO-NUMBER.png`, all or nothing; the same faces are not cut twice.

    Returns:
        The folder of the faces, below the given one, and their record.
    """
    place = folder / _state(photos, margin, smallest)
    crops = _read(place)
    if crops is None:
        crops = _cut(photos, place, margin, smallest)
    return place, crops


def _state(photos: Sequence[Photo], margin: float, smallest: int) -> str:
    """Name the settings and the state of the files, by size and time of change."""
    digest = hashlib.sha256(json.dumps([CUTTING, float(margin), smallest]).encode())
    for photo in photos:
        for file in (photo.file, photo.annotation):
            about = os.stat(file)
            digest.update(json.dumps([str(file), about.st_size, about.st_mtime_ns]).encode())
    return digest.hexdigest()[:16]


def _read(place: Path) -> Crops | None:
    """Read the record of a folder from which no face is missing."""
    try:
        crops: Crops = json.loads((place / RECORD).read_text(encoding="utf-8"))
        there = {f"{name}/{file}" for name in FACE_CLASSES for file in os.listdir(place / name)}
    except (OSError, ValueError):
        return None
    return crops if {face["path"] for face in crops["faces"]} <= there else None


def _cut(photos: Sequence[Photo], place: Path, margin: float, smallest: int) -> Crops:
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=f".{place.name}-", dir=place.parent))
        try:
            for name in FACE_CLASSES:
                (fresh / name).mkdir()
            work = partial(_cut_photo, folder=fresh, margin=margin, smallest=smallest)
            crops: Crops = {"faces": [], "photos": [], "left_out": []}
            for part in in_threads(work, photos, "Cutting out faces"):
                crops["faces"] += part["faces"]
                crops["photos"] += part["photos"]
                crops["left_out"] += part["left_out"]
            (fresh / RECORD).write_text(json.dumps(crops), encoding="utf-8")
            return _move(fresh, place, crops)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    except OSError as error:
        raise InputError(
            f"faces cannot be written to {place} ({error.strerror}); free space there, or give another output_dir"
        ) from None


def _move(fresh: Path, place: Path, crops: Crops) -> Crops:
    """Put the finished folder in its place; another process may have been faster with the same faces."""
    if place.exists() and _read(place) is None:
        if not (place / RECORD).is_file():
            raise InputError(f"{place} has files that are not cut-out faces; move the folder away")
        shutil.rmtree(place)  # of these very faces, some are lost
    fresh.chmod(0o755)
    try:
        fresh.rename(place)
    except OSError:
        if _read(place) is None:
            raise
    return crops


def _cut_photo(photo: Photo, folder: Path, margin: float, smallest: int) -> Crops:
    """Write the faces of one photograph; with what is wrong with it, it gives none."""
    crops: Crops = {"faces": [], "photos": [], "left_out": []}
    try:
        tree = read_tree(photo.annotation)
        boxes = boxes_of(tree)
        if not boxes:
            raise AnnotationError("annotation has no face")
        data = photo.file.read_bytes()
        image = _matching(data, size_of(tree))
    except (AnnotationError, ImageError) as error:
        return {**crops, "left_out": [(photo.path, str(error))]}
    except OSError as error:
        return {**crops, "left_out": [(photo.path, f"cannot be opened: {error.strerror}")]}
    for number, (box, state) in enumerate(boxes, start=1):
        left, top, right, bottom = box
        if min(right - left, bottom - top) < smallest:
            reason = f"{right - left}x{bottom - top} pixels, less than dataset.smallest_face={smallest}"
            crops["left_out"].append((f"{photo.path}, face {number}", reason))
            continue
        label = STATES.index(state)
        path = f"{FACE_CLASSES[label]}/{photo.name}-{number:03d}.png"
        image.crop(_widened(box, margin, image.size)).save(folder / path)
        crops["faces"].append({"path": path, "label": label, "photo": photo.path})
    crops["photos"].append({"path": photo.path, "size": size_of(tree), **_look(data, image)})
    return crops


def _widened(box: Box, margin: float, size: tuple[int, int]) -> Box:
    """Add a share of the box's width and height on every side, as far as the image reaches."""
    left, top, right, bottom = box
    across, down = round(margin * (right - left)), round(margin * (bottom - top))
    return max(left - across, 0), max(top - down, 0), min(right + across, size[0]), min(bottom + down, size[1])


def _matching(data: bytes, size: tuple[int, int]) -> Image.Image:
    """Decode a photograph upright, and refuse one that the boxes may not be of."""
    image = decode(data)
    if image.size != size:
        raise ImageError(
            f"{image.width}x{image.height} pixels, but its annotation says {size[0]}x{size[1]}: annotate it again"
        )
    with Image.open(io.BytesIO(data)) as stored:
        # A quarter turn of an oblong image shows in its size; any other turn leaves open which way the boxes lie.
        if stored.size == size and stored.getexif().get(ORIENTATION) in TURNS:
            raise ImageError("its EXIF orientation turns it, and its boxes may not fit: save it upright")
    return image


def _look(data: bytes, image: Image.Image) -> dict[str, str]:
    (look,), (mirrored,) = looks(np.asarray(image.resize((SIDE, SIDE), Image.Resampling.LANCZOS))[None])
    return {"sha256": hashlib.sha256(data).hexdigest(), "look": look, "mirrored": mirrored}
