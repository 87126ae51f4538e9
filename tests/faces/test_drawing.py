"""What is drawn on an image: around faces, in colours and lines that differ, with the answer above."""

import numpy as np
import pytest

from facemask_ensemble.faces.answers import Face
from facemask_ensemble.faces.boxes import Box
from facemask_ensemble.faces.drawing import STYLES, draw_faces, strip_height

BLUE, ORANGE, GREY = (0, 114, 178), (230, 159, 0), (200, 200, 200)


def face(left, top, width, height, worn=True, confidence=0.9):
    return Face(Box(left, top, width, height), "", worn, confidence, {})


def coloured(image, colour):
    return (image == np.array(colour)).all(axis=-1)


@pytest.mark.parametrize(("worn", "colour"), [(True, BLUE), (False, ORANGE), (None, GREY)])
def test_a_faces_outline_lies_on_its_box_below_the_strip(worn, colour):
    clean = np.full((200, 300, 3), 90, np.uint8)
    drawn = draw_faces(clean, [face(100, 80, 60, 50, worn, None if worn is None else 0.9)])
    top = strip_height(300, 200)
    assert drawn.shape == (200 + top, 300, 3)
    outline = coloured(drawn, colour)
    for row, column in ((80, 101), (129, 101), (80, 158), (129, 158)):
        assert outline[top + row, column]
    assert not outline[top + 90 : top + 120, 110:150].any()
    assert (clean == 90).all()


def test_with_a_mask_the_line_is_whole_without_it_is_dashed():
    clean = np.full((200, 300, 3), 90, np.uint8)
    top = strip_height(300, 200)
    sides = [
        coloured(draw_faces(clean, [face(100, 60, 100, 100, worn)]), colour)[top + 75 : top + 145, 199]
        for worn, colour in ((True, BLUE), (False, ORANGE))
    ]
    assert sides[0].all()
    changes = np.flatnonzero(np.diff(sides[1].astype(int)))
    assert len(changes) >= 6


def test_in_grey_an_answers_letters_still_stand_out_from_its_ground():
    def luminance(colour):
        from PIL import ImageColor

        channels = np.array(ImageColor.getrgb(colour)) / 255
        linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
        return linear @ [0.2126, 0.7152, 0.0722]

    for style in STYLES.values():
        light, dark = sorted((luminance(style.colour), luminance(style.ink)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5  # WCAG 2.2, contrast of text
    assert len({style.word for style in STYLES.values()}) == len({style.dash for style in STYLES.values()}) == 3


def test_labels_of_faces_side_by_side_do_not_cover_one_another():
    clean = np.full((200, 400, 3), 90, np.uint8)
    one = coloured(draw_faces(clean, [face(150, 80, 40, 50)]), BLUE).sum()
    two = draw_faces(clean, [face(150, 80, 40, 50), face(195, 80, 40, 50)])
    assert coloured(two, BLUE).sum() > 1.9 * one


def test_a_label_stays_inside_the_image():
    clean = np.full((120, 160, 3), 90, np.uint8)
    top = strip_height(160, 120)
    for box in ((0, 0, 30, 30), (130, 0, 30, 30), (0, 90, 30, 30), (130, 90, 30, 30), (0, 0, 160, 120)):
        drawn = draw_faces(clean, [face(*box, confidence=1.0)])
        assert (drawn[top:].min(axis=-1) > 180).sum() > 20  # its letters
        assert not coloured(drawn, BLUE)[:top].any()


def test_the_strip_has_the_answer_on_its_left_and_the_note_on_its_right():
    clean = np.full((200, 400, 3), 90, np.uint8)
    top = strip_height(400, 200)
    plain, noted = draw_faces(clean, []), draw_faces(clean, [], "12.3 fps")
    assert (plain[top:] == clean).all()
    changed = np.flatnonzero((plain != noted).any(axis=(0, 2)))
    assert changed.min() > 200
    assert (plain[:top, :200] > 200).any()


@pytest.mark.parametrize("size", [(640, 480), (641, 479), (1, 1), (17, 5), (1920, 1080)])
def test_a_drawn_frame_has_an_even_height(size):
    width, height = size
    drawn = draw_faces(np.zeros((height, width, 3), np.uint8), [], "9.9 fps")
    assert drawn.shape[0] % 2 == 0
    assert drawn.shape == (height + strip_height(width, height), width, 3)
