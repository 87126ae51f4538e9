"""Street photographs: the boxes around the faces say who wears a mask."""

from collections.abc import Sequence
from pathlib import Path

from facemask_ensemble.data.listing import Listing, make_listing, refuse_empty_class
from facemask_ensemble.data.sources.annotated import annotated_photos, series_name
from facemask_ensemble.data.voc import MASK_CLASSES, AnnotationError, boxes_of, label_of, read_tree, size_of
from facemask_ensemble.errors import InputError


def street_masks(
    root: str | Path | None, worn_incorrectly: str = "unmasked", series_sizes: Sequence[Sequence[int]] = ()
) -> Listing:
    """List `images/` with the label that the face boxes in `annotations/*.xml` (Pascal VOC) give: none, all or some.

    Args:
        root: the folder of both.
        worn_incorrectly: a mask worn incorrectly counts as `unmasked` or `masked`; `drop` leaves out every image
            whose label would be another one, counted the other way.
        series_sizes: widths and heights; images of such a size are one series and stay on one side of a split.
    """
    if worn_incorrectly not in ("unmasked", "masked", "drop"):
        raise InputError(f"dataset.worn_incorrectly={worn_incorrectly}: must be one of unmasked, masked, drop")
    top, photos, quarantine = annotated_photos(root, "street_masks")
    rows = []
    for photo in photos:
        try:
            tree = read_tree(photo.annotation)
            label = label_of([state for _, state in boxes_of(tree)], worn_incorrectly)
            rows.append({"path": photo.path, "label": label, "group": series_name(size_of(tree), series_sizes)})
        except AnnotationError as error:
            quarantine.append((photo.path, str(error)))
    advice = (
        "add images of that class, or sort the images into class folders (dataset=folders)"
        if rows
        else "give the folder as it was published"
    )
    refuse_empty_class(top, MASK_CLASSES, rows, quarantine, advice)
    return make_listing(top, MASK_CLASSES, rows, quarantine)
