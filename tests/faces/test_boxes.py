"""Boxes worked out by hand, and crops that are of the clean image."""

import numpy as np
import pytest
from PIL import Image

from facemask_ensemble.data.sources.crops import _widened
from facemask_ensemble.faces.boxes import Box, clipped, cut, find_boxes, scaled, shrunk

FIFTH = (0.2, 0.2, 0.2, 0.2)


def test_a_box_is_scaled_by_its_corners_so_that_neighbours_still_meet():
    left, right = Box(3, 5, 4, 3, 0.9), Box(7, 5, 6, 3)
    assert scaled(left, 1.5, 2) == Box(4, 10, 6, 6, 0.9)  # 4.5 and 10.5 round to the even 4 and 10
    assert scaled(right, 1.5, 2) == Box(10, 10, 10, 6)  # 10.5 and 19.5 to 10 and 20
    assert scaled(left, 1.5, 2).corners[2] == scaled(right, 1.5, 2).left


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        (Box(2, 3, 4, 5), Box(2, 3, 4, 5)),
        (Box(-2, -1, 5, 4), Box(0, 0, 3, 3)),
        (Box(8, 6, 5, 9, 0.5), Box(8, 6, 2, 2, 0.5)),
        (Box(10, 2, 3, 3), None),
        (Box(-4, 2, 4, 3), None),
        (Box(2, 2, 0, 3), None),
    ],
)
def test_a_box_is_cut_to_an_image_of_ten_by_eight(box, expected):
    assert clipped(box, 10, 8) == expected


def test_a_face_is_cut_with_a_fifth_of_its_sides_around_it_as_far_as_the_image_reaches():
    image = np.arange(20 * 30 * 3, dtype=np.uint16).reshape(20, 30, 3).astype(np.uint8)
    np.testing.assert_array_equal(cut(image, Box(10, 5, 10, 5), FIFTH), image[4:11, 8:22])
    np.testing.assert_array_equal(cut(image, Box(0, 15, 10, 5), FIFTH), image[14:20, 0:12])
    np.testing.assert_array_equal(cut(image, Box(25, 0, 5, 5), FIFTH), image[0:6, 24:30])
    np.testing.assert_array_equal(cut(image, Box(10, 5, 10, 5), (0, 0, 0, 0)), image[5:10, 10:20])


def test_every_side_of_a_box_has_its_own_margin():
    image = np.arange(20 * 30 * 3, dtype=np.uint16).reshape(20, 30, 3).astype(np.uint8)
    np.testing.assert_array_equal(cut(image, Box(10, 5, 10, 5), (0.1, 0, 0.3, 0.4)), image[5:12, 9:23])


def test_faces_are_cut_as_those_that_members_learned_from():
    image = np.random.default_rng(0).integers(0, 256, (50, 60, 3), np.uint8)
    for box in (Box(3, 4, 11, 17), Box(40, 30, 19, 19)):
        learned = Image.fromarray(image).crop(_widened(box.corners, 0.2, (60, 50)))
        np.testing.assert_array_equal(cut(image, box, FIFTH), np.asarray(learned))


def test_a_cut_face_does_not_change_with_what_is_drawn_later():
    image = np.zeros((20, 20, 3), np.uint8)
    face = cut(image, Box(5, 5, 5, 5), FIFTH)
    image[:] = 255
    assert not face.any()


def test_a_large_image_is_searched_small_and_its_boxes_come_back_in_its_own_pixels(patches):
    image = patches(400, 200, (120, 40, 80, 60, (210, 20, 30)))
    searched = []

    def find(small):
        searched.append(small.shape)
        return [Box(30, 10, 20, 15, 0.7), Box(-3, 40, 10, 30), Box(200, 0, 5, 5)]

    assert find_boxes(find, image, 100) == [Box(0, 160, 28, 40), Box(120, 40, 80, 60, 0.7)]
    assert find_boxes(find, image, None)[-1] == Box(200, 0, 5, 5)
    assert searched == [(50, 100, 3), (200, 400, 3)]


def test_an_image_keeps_its_proportions_and_a_small_one_its_pixels():
    image = np.random.default_rng(0).integers(0, 256, (30, 90, 3), np.uint8)
    assert shrunk(image, 45).shape == (15, 45, 3)
    assert shrunk(image, 90) is image
    assert shrunk(np.zeros((1, 900, 3), np.uint8), 90).shape == (1, 90, 3)
