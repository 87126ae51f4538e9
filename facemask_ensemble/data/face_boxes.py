"""Where the faces of a dataset are, by the boxes that came with its images: what explanations are judged by."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from facemask_ensemble.data.sources.annotated import annotated_photos
from facemask_ensemble.data.voc import AnnotationError, boxes_of, read_tree, size_of
from facemask_ensemble.errors import InputError
from facemask_ensemble.scenes.folder import read_truth

MASKED = {
    "unmasked": {"with_mask": True, "without_mask": False, "mask_weared_incorrect": False},
    "masked": {"with_mask": True, "without_mask": False, "mask_weared_incorrect": True},
    "drop": {"with_mask": True, "without_mask": False},
}


class Face(NamedTuple):
    """A face: left, top, right and bottom in shares of the image's width and height, and whether a mask is worn.

    `masked` is None where a mask worn incorrectly counts as neither.
    """

    box: tuple[float, float, float, float]
    masked: bool | None


Faces = Mapping[str, Sequence[Face]]  # by path, as in the manifest


class Regions(NamedTuple):
    """Pixels of masked faces, of bare ones, and of faces of any kind, each bool (n, h, w)."""

    masked: NDArray[np.bool_]
    bare: NDArray[np.bool_]
    faces: NDArray[np.bool_]


def drawn_faces(folder: str | Path) -> dict[str, list[Face]]:
    """Read the faces of a folder of drawn scenes.

    Raises:
        InputError: the folder holds no scenes.
    """
    truth = read_truth(Path(folder))
    if truth is None:
        raise InputError(f"{folder} holds no drawn scenes, and so no face boxes: name the folder that was trained on")
    size = truth["settings"]["size"]
    return {
        path: [Face(_shares(face["box"], size, size), bool(face["masked"])) for face in record["faces"]]
        for path, record in truth["images"].items()
    }


def annotated_faces(root: str | Path | None, worn_incorrectly: str = "unmasked") -> dict[str, list[Face]]:
    """Read the faces of `images/` from `annotations/*.xml` (Pascal VOC); an image without a sound one has no entry.

    Args:
        root: the folder of both.
        worn_incorrectly: a mask worn incorrectly counts as `unmasked` or `masked`; with `drop` as neither.
    """
    if worn_incorrectly not in MASKED:
        raise InputError(f"dataset.worn_incorrectly={worn_incorrectly} is not known: choose {', '.join(MASKED)}")
    _, photos, _ = annotated_photos(root, "street_masks")
    found = {}
    for photo in photos:
        try:
            tree = read_tree(photo.annotation)
            width, height = size_of(tree)
            boxes = boxes_of(tree)
        except AnnotationError:
            continue  # the dataset left its image out, and said why
        masked = MASKED[worn_incorrectly]
        found[photo.path] = [Face(_shares(box, width, height), masked.get(state)) for box, state in boxes]
    return found


def regions_of(images: Sequence[Sequence[Face]], height: int, width: int) -> Regions:
    """Mark the pixels that every image's boxes touch, on images squeezed to (height, width)."""
    marked = np.zeros((3, len(images), height, width), bool)
    for place, faces in enumerate(images):
        for (left, top, right, bottom), masked in faces:
            rows = slice(int(top * height), max(int(top * height) + 1, int(np.ceil(bottom * height))))
            columns = slice(int(left * width), max(int(left * width) + 1, int(np.ceil(right * width))))
            kinds = [2] if masked is None else [0 if masked else 1, 2]
            marked[kinds, place, rows, columns] = True
    return Regions(*marked)


def _shares(box: Sequence[float], width: int, height: int) -> tuple[float, float, float, float]:
    left, top, right, bottom = box
    return left / width, top / height, right / width, bottom / height
