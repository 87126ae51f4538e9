"""Where the label of a box may be written."""

from collections.abc import Sequence

Area = tuple[float, float, float, float]  # left, top, right, bottom


def free_area(
    box: Area, label: tuple[float, float], gap: float, frame: Area, taken: Sequence[Area], boxes: Sequence[Area]
) -> Area | None:
    """Find a place for a box's label that no other label has, and where it hides as few boxes as can be.

    Args:
        box: what is labelled.
        label: its label's width and height.
        gap: between the two.
        frame: what the label has to lie in, as far as it fits.
        taken: the places of other labels.
        boxes: all boxes.
    """
    areas = [_inside(area, frame) for area in _around(box, label, gap)]
    free = [area for area in areas if not any(_meet(area, other) for other in taken)]
    return min(free, key=lambda area: sum(_meet(area, other) for other in boxes), default=None)


def _around(box: Area, label: tuple[float, float], gap: float) -> list[Area]:
    """List where a label may be, the best first: above its box, below, then inside."""
    (left, upper, right, lower), (wide, high) = box, label
    corners = [
        (left - gap, upper - gap - high),
        (left - gap, lower + gap),
        (right + gap - wide, upper - gap - high),
        (right + gap - wide, lower + gap),
        (left + gap, upper + gap),
        (left + gap, lower - gap - high),
    ]
    return [(x, y, x + wide, y + high) for x, y in corners]


def _inside(area: Area, frame: Area) -> Area:
    left, upper, right, lower = area
    across = max(0.0, frame[0] - left) or min(0.0, frame[2] - 1 - right)
    down = max(0.0, frame[1] - upper) or min(0.0, frame[3] - 1 - lower)
    return left + across, upper + down, right + across, lower + down


def _meet(one: Area, other: Area) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
