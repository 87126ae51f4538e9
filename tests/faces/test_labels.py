"""Places of labels worked out by hand: a label of 20x10 at a box, 2 pixels apart, in a frame of 100x100."""

import pytest

from facemask_ensemble.faces.labels import free_area

FRAME = (0, 0, 100, 100)


@pytest.mark.parametrize(
    ("box", "taken", "boxes", "expected"),
    [
        ((40, 40, 60, 60), [], [], (38, 28, 58, 38)),  # above
        ((40, 40, 60, 60), [(30, 20, 50, 30)], [], (38, 62, 58, 72)),  # below, since another label is above
        ((40, 40, 60, 60), [], [(45, 10, 55, 36)], (38, 62, 58, 72)),  # below, since a face is above
        ((40, 40, 60, 60), [(30, 20, 41, 70)], [], (42, 28, 62, 38)),  # above, to the right
        ((40, 0, 60, 20), [], [(40, 0, 60, 20)], (38, 22, 58, 32)),  # no room above
        ((-5, 40, 15, 60), [], [], (0, 28, 20, 38)),  # pushed in from the left
        ((90, 40, 99, 60), [], [], (79, 28, 99, 38)),  # and from the right
        ((40, 40, 60, 60), [(0, 0, 100, 100)], [], None),
    ],
)
def test_a_label_goes_where_it_hides_neither_a_label_nor_a_face(box, taken, boxes, expected):
    assert free_area(box, (20, 10), 2, FRAME, taken, boxes) == expected
