"""Single faces, cut out of photographs with a box around each."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from facemask_ensemble.data.duplicates import group_copies
from facemask_ensemble.data.listing import Listing, make_listing, refuse_empty_class
from facemask_ensemble.data.sources.annotated import annotated_photos, series_name
from facemask_ensemble.data.sources.crops import FACE_CLASSES, Crops, cut_faces
from facemask_ensemble.errors import InputError


def face_crops(
    root: str | Path | None,
    folder: str | Path,
    margin: float = 0.2,
    smallest_face: int = 16,
    series_sizes: Sequence[Sequence[int]] = (),
    near_duplicates: int | None = None,
) -> Listing:
    """Cut the boxes of `annotations/*.xml` (Pascal VOC) out of `images/`, once, and list the faces.

    Args:
        root: the folder of both.
        folder: keeps the faces as PNG files, in a folder of its own for every state of the photographs, their
            annotations and the settings. Those of earlier states may be deleted.
        margin: share of a box's width and height that is added on every side, as far as the image reaches.
        smallest_face: pixels of a box's shorter side below which a face is left out.
        series_sizes: widths and heights; faces of images of such a size stay on one side of a split.
        near_duplicates: bits of 64 by which photographs of one scene may differ; their faces stay together, as those
            of one photograph do.
    """
    if not isinstance(margin, int | float) or isinstance(margin, bool) or not 0 <= margin <= 10:
        raise InputError(f"dataset.margin={margin}: must be a share of a box from 0 to 10, such as 0.2")
    if not isinstance(smallest_face, int) or isinstance(smallest_face, bool) or smallest_face < 1:
        raise InputError(f"dataset.smallest_face={smallest_face}: must be a whole number of pixels, at least 1")
    top, photos, quarantine = annotated_photos(root, "face_crops")
    place, crops = cut_faces(photos, Path(folder).absolute(), margin, smallest_face)
    quarantine += [(path, reason) for path, reason in crops["left_out"]]
    advice = "add photographs of that class, or lower dataset.smallest_face"
    refuse_empty_class(top, FACE_CLASSES, crops["faces"], quarantine, advice)
    group = _groups(crops, series_sizes, near_duplicates)
    rows = [{"path": face["path"], "label": face["label"], "group": group[face["photo"]]} for face in crops["faces"]]
    return make_listing(place, FACE_CLASSES, rows, quarantine)


def _groups(crops: Crops, series_sizes: Sequence[Sequence[int]], near_duplicates: int | None) -> dict[str, str]:
    """Name the group of every photograph: its series, its near copies, or itself."""
    photos = pd.DataFrame(crops["photos"], columns=["path", "size", "sha256", "look", "mirrored"])
    photos["group"] = [series_name(tuple(size), series_sizes) for size in photos["size"]]
    shared = group_copies(photos, near_duplicates)
    return dict(zip(photos["path"], shared.where(shared != "", photos["path"]), strict=True))
