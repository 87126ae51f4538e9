"""The boxes of a dataset's images: heatmaps are judged by them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from facemask_ensemble.settings.task import ANY


class Box(NamedTuple):
    """A box: left, top, right and bottom in shares of the image's width and height, and the kind of what it holds.

    `kind` is one of the task's `boxes.kinds`, or None for a box that is of none of them.
    """

    corners: tuple[float, float, float, float]
    kind: str | None = None


Boxes = Mapping[str, Sequence[Box]]  # by path, as in the manifest
Regions = Mapping[str, NDArray[np.bool_]]  # by kind, and by ANY: the pixels in such boxes, bool (n, h, w)


def regions_of(images: Sequence[Sequence[Box]], kinds: Iterable[str], height: int, width: int) -> Regions:
    """Mark the pixels that every image's boxes touch, on images squeezed to (height, width)."""
    marked = {kind: np.zeros((len(images), height, width), bool) for kind in (*kinds, ANY)}
    for place, boxes in enumerate(images):
        for (left, top, right, bottom), kind in boxes:
            rows = slice(int(top * height), max(int(top * height) + 1, int(np.ceil(bottom * height))))
            columns = slice(int(left * width), max(int(left * width) + 1, int(np.ceil(right * width))))
            for name in (name for name in marked if name in (kind, ANY)):
                marked[name][place, rows, columns] = True
    return marked
