import numpy as np
import pytest
from matplotlib import colormaps

from facemask_ensemble.errors import InputError
from facemask_ensemble.explanation.overlay import COLORMAP, enlarge, overlay


def image(height=6, width=8, value=100):
    return np.full((height, width, 3), value, np.uint8)


def test_where_the_map_is_zero_a_grey_image_is_left_as_it_is():
    grey = np.repeat(np.random.default_rng(0).integers(0, 256, (6, 8, 1)), 3, axis=2).astype(np.uint8)
    np.testing.assert_array_equal(overlay(grey, np.zeros((6, 8))), grey)


def test_where_the_map_is_zero_a_coloured_image_loses_most_of_its_colour():
    red = np.zeros((2, 2, 3), np.uint8)
    red[..., 0] = 200
    # Its grey is 0.299 * 200 = 59.8; of 200 and 0, 35 % stay: 70 + 38.87 and 0 + 38.87.
    assert overlay(red, np.zeros((2, 2)))[0, 0].tolist() == [109, 39, 39]


def test_the_highest_value_is_drawn_in_the_last_colour_with_the_image_shining_through():
    # The last colour is (0.940015, 0.975158, 0.131326); 0.7 of it and 0.3 of the image.
    assert overlay(image(value=0), np.ones((6, 8)))[0, 0].tolist() == [168, 174, 23]
    assert overlay(image(value=100), np.ones((6, 8)))[0, 0].tolist() == [198, 204, 53]


def test_the_image_shows_the_less_the_higher_the_map():
    heat = np.linspace(0, 1, 8)[None].repeat(6, axis=0)
    difference = overlay(image(value=255), heat).astype(int) - overlay(image(value=0), heat)
    assert (np.diff(difference[0, :, 0]) < 0).all()
    assert difference[0, 0].tolist() == [255] * 3


def test_the_colours_grow_lighter_with_the_value_so_that_hue_is_not_needed():
    lightness = colormaps[COLORMAP](np.linspace(0, 1, 50))[:, :3] @ [0.299, 0.587, 0.114]
    assert (np.diff(lightness) > 0).all()


def test_a_small_map_covers_the_whole_image():
    heat = np.array([[0, 0], [0, 1.0]])
    drawn = overlay(image(40, 60), heat).astype(int)
    changed = np.abs(drawn - 100).sum(axis=-1)
    assert drawn.shape == (40, 60, 3)
    assert (changed[:10, :15] <= 3).all()
    assert (changed[30:, 45:] > 100).all()


def test_enlarging_stays_within_the_lowest_and_highest_value():
    heat = np.random.default_rng(0).random((3, 4)).astype(np.float32)
    large = enlarge(heat, 50, 31)
    assert (large.shape, large.dtype) == ((50, 31), np.float32)
    assert heat.min() <= large.min() and large.max() <= heat.max()


def test_enlarging_puts_a_cell_over_the_part_of_the_image_it_was_computed_from():
    heat = np.zeros((4, 4))
    heat[1, 2] = 1
    large = enlarge(heat, 40, 80)
    rows, columns = np.nonzero(large > 0.99)
    assert (rows.mean(), columns.mean()) == pytest.approx((14.5, 49.5), abs=1)


def test_the_arguments_are_left_as_they_are():
    pixels, heat = image(), np.eye(6, 8)
    overlay(pixels, heat)
    assert (pixels == 100).all() and (heat == np.eye(6, 8)).all()


@pytest.mark.parametrize(
    ("pixels", "heatmap", "message"),
    [
        (image().astype(float), np.zeros((6, 8)), r"uint8 \(h, w, 3\), received float64"),
        (image()[None], np.zeros((6, 8)), r"received uint8 \(1, 6, 8, 3\)"),
        (image()[..., :1], np.zeros((6, 8)), r"received uint8 \(6, 8, 1\)"),
        (image()[:0], np.zeros((6, 8)), r"received uint8 \(0, 8, 3\)"),
        (image(), np.zeros((1, 6, 8)), r"\(rows, columns\), received shape \(1, 6, 8\)"),
        (image(), np.zeros((0, 8)), r"received shape \(0, 8\)"),
        (image(), np.full((6, 8), 1.5), r"0\.\.1, received 1\.5\.\.1\.5: divide"),
        (image(), np.full((6, 8), -0.5), r"received -0\.5"),
        (image(), np.full((6, 8), np.nan), "received nan"),
    ],
)
def test_what_is_no_image_or_no_heatmap_is_refused(pixels, heatmap, message):
    with pytest.raises(InputError, match=message):
        overlay(pixels, heatmap)
