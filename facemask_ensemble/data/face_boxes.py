"""The face boxes of a dataset, of the kind `masked`, `bare`, or neither."""

from collections.abc import Sequence
from pathlib import Path

from facemask_ensemble.data.boxes import Box
from facemask_ensemble.data.sources.annotated import annotated_photos
from facemask_ensemble.data.voc import AnnotationError, boxes_of, read_tree, size_of
from facemask_ensemble.errors import InputError
from facemask_ensemble.scenes.folder import read_truth

KINDS = {
    "unmasked": {"with_mask": "masked", "without_mask": "bare", "mask_weared_incorrect": "bare"},
    "masked": {"with_mask": "masked", "without_mask": "bare", "mask_weared_incorrect": "masked"},
    "drop": {"with_mask": "masked", "without_mask": "bare"},
}


def drawn_faces(folder: str | Path) -> dict[str, list[Box]]:
    """Read the faces of a folder of drawn scenes.

    Raises:
        InputError: the folder holds no scenes.
    """
    truth = read_truth(Path(folder))
    if truth is None:
        raise InputError(
            f"{folder} has no drawn scenes, so there are no face boxes; give the folder of the training images"
        )
    size = truth["settings"]["size"]
    return {
        path: [
            Box(_shares(face["box"], size, size), "masked" if face["masked"] else "bare") for face in record["faces"]
        ]
        for path, record in truth["images"].items()
    }


def annotated_faces(root: str | Path | None, worn_incorrectly: str = "unmasked") -> dict[str, list[Box]]:
    """Read the faces of `images/` from `annotations/*.xml` (Pascal VOC); skip images without a valid one.

    Args:
        root: the folder of both.
        worn_incorrectly: a mask worn incorrectly counts as `unmasked` or `masked`; with `drop` as neither.
    """
    if worn_incorrectly not in KINDS:
        raise InputError(f"dataset.worn_incorrectly={worn_incorrectly}: must be one of {', '.join(KINDS)}")
    _, photos, _ = annotated_photos(root, "street_masks")
    found = {}
    for photo in photos:
        try:
            tree = read_tree(photo.annotation)
            width, height = size_of(tree)
            boxes = boxes_of(tree)
        except AnnotationError:
            continue  # the dataset left its image out, and said why
        kinds = KINDS[worn_incorrectly]
        found[photo.path] = [Box(_shares(box, width, height), kinds.get(state)) for box, state in boxes]
    return found


def _shares(box: Sequence[float], width: int, height: int) -> tuple[float, float, float, float]:
    left, top, right, bottom = box
    return left / width, top / height, right / width, bottom / height
