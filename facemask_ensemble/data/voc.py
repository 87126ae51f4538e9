"""Pascal VOC annotations of masked faces, and the label they give an image."""

from pathlib import Path
from xml.etree import ElementTree

Box = tuple[int, int, int, int]
STATES = ("with_mask", "without_mask", "mask_weared_incorrect")
MASK_CLASSES = ("none", "all", "some")  # in the order of the competition
NONE, ALL, SOME = 0, 1, 2


class AnnotationError(ValueError):
    """Say in a few words why an annotation gives no label."""


def street_mask_boxes(annotation: Path) -> list[tuple[Box, str]]:
    """Read every face's box (left, top, right, bottom), cut to the image, and the state of its mask."""
    return boxes_of(read_tree(annotation))


def read_tree(annotation: Path) -> ElementTree.Element:
    """Parse an annotation file."""
    try:
        return ElementTree.parse(annotation).getroot()
    except (ElementTree.ParseError, LookupError, ValueError) as error:  # an encoding may be unknown, or wrong
        raise AnnotationError(f"annotation is not XML: {error}") from None
    except OSError as error:
        raise AnnotationError(f"annotation cannot be opened: {error.strerror}") from None


def size_of(tree: ElementTree.Element) -> tuple[int, int]:
    """Read the image's width and height in pixels."""
    return _number(tree, "size/width"), _number(tree, "size/height")


def boxes_of(tree: ElementTree.Element) -> list[tuple[Box, str]]:
    """Read the boxes of a parsed annotation."""
    size = size_of(tree)
    return [_box(face, *size) for face in tree.iter("object")]


def _box(face: ElementTree.Element, width: int, height: int) -> tuple[Box, str]:
    state = (face.findtext("name") or "").strip()
    if state not in STATES:
        raise AnnotationError(f"unknown mask state {state!r}")
    left, top, right, bottom = (_number(face, f"bndbox/{side}") for side in ("xmin", "ymin", "xmax", "ymax"))
    # VOC counts pixels from 1 as often as from 0: one pixel past the edge is a habit, more is another image's box.
    if min(left, top) < -1 or right > width + 1 or bottom > height + 1 or left >= right or top >= bottom:
        raise AnnotationError(f"box {(left, top, right, bottom)} does not fit an image of {width}x{height}")
    return (max(left, 0), max(top, 0), min(right, width), min(bottom, height)), state


def _number(tree: ElementTree.Element, tag: str) -> int:
    text = tree.findtext(tag) or ""
    try:
        return round(float(text))
    except (ValueError, OverflowError):
        raise AnnotationError(f"annotation has no number in <{tag}>") from None


def label_of(states: list[str], worn_incorrectly: str) -> int:
    """Derive none, all or some from the faces' states.

    Args:
        states: one state a face.
        worn_incorrectly: count such a face as `unmasked` or `masked`; `drop` refuses an image whose label hangs on it.
    """
    if not states:
        raise AnnotationError("annotation has no face")
    if worn_incorrectly == "drop":
        label = label_of(states, "masked")
        if label != label_of(states, "unmasked"):
            raise AnnotationError("its label depends on a mask worn incorrectly")
        return label
    worn = {"with_mask", "mask_weared_incorrect"} if worn_incorrectly == "masked" else {"with_mask"}
    masked = [state in worn for state in states]
    return ALL if all(masked) else SOME if any(masked) else NONE
