import numpy as np
import pytest

from facemask_ensemble.errors import InputError
from facemask_ensemble.explanation.control_maps import centre_map, edge_maps, random_maps


def test_the_centre_map_is_a_gaussian_of_a_quarter_of_each_side():
    drawn = centre_map(5, 9)
    assert (drawn.dtype, drawn.shape) == (np.float32, (5, 9))
    assert drawn[2, 4] == drawn.max() == 1
    # The standard deviations are 1.25 rows and 2.25 columns.
    assert drawn[3, 4] == pytest.approx(np.exp(-0.5 / 1.25**2))
    assert drawn[2, 7] == pytest.approx(np.exp(-0.5 * (3 / 2.25) ** 2))
    assert drawn[0, 0] == pytest.approx(np.exp(-0.5 * (2 / 1.25) ** 2 - 0.5 * (4 / 2.25) ** 2))


def test_between_the_middle_pixels_of_an_even_side_the_peak_is_still_one():
    drawn = centre_map(4, 6)
    assert drawn[1:3, 2:4].tolist() == [[1, 1], [1, 1]]
    np.testing.assert_array_equal(drawn, drawn[::-1, ::-1])


def test_random_maps_reach_from_zero_to_one_and_differ_from_image_to_image():
    drawn = random_maps(6, 20, 30, seed=3)
    assert (drawn.dtype, drawn.shape) == (np.float32, (6, 20, 30))
    np.testing.assert_array_equal(drawn.min(axis=(1, 2)), np.zeros(6))
    np.testing.assert_array_equal(drawn.max(axis=(1, 2)), np.ones(6))
    together = np.corrcoef(drawn.reshape(6, -1)) - np.eye(6)
    assert np.abs(together).max() < 0.8


def test_the_same_seed_draws_the_same_noise_and_more_maps_begin_with_the_same_ones():
    np.testing.assert_array_equal(random_maps(5, 16, 16, seed=1)[:3], random_maps(3, 16, 16, seed=1))
    assert not np.allclose(random_maps(3, 16, 16, seed=1), random_maps(3, 16, 16, seed=2))


def test_noise_is_as_coarse_as_its_grid():
    drawn = random_maps(200, 56, 56, seed=0, grid=(7, 7))

    def alike(lag):
        first, second = drawn[:, 16:40, 8 : 48 - lag], drawn[:, 16:40, 8 + lag : 48]
        return np.corrcoef(first.ravel(), second.ravel())[0, 1]

    assert alike(1) > 0.95
    assert abs(alike(24)) < 0.1  # three cells on


def test_no_maps_are_an_empty_array():
    assert random_maps(0, 8, 9).shape == (0, 8, 9)
    assert edge_maps(np.zeros((0, 8, 9, 3), np.uint8)).shape == (0, 8, 9)


def test_edges_lie_on_both_sides_of_a_step_and_nowhere_else():
    pixels = np.zeros((1, 6, 8, 3), np.uint8)
    pixels[:, :, 4:] = 90
    expected = np.zeros((1, 6, 8), np.float32)
    expected[:, :, 3:5] = 1
    np.testing.assert_allclose(edge_maps(pixels), expected, atol=1e-6)


def test_edges_equal_the_operator_of_sobel_image_by_image():
    pixels = np.random.default_rng(0).integers(0, 256, (2, 5, 6, 3)).astype(np.uint8)
    for drawn, image in zip(edge_maps(pixels), pixels, strict=True):
        grey = 0.299 * image[..., 0] + 0.587 * image[..., 1] + 0.114 * image[..., 2]
        padded = np.pad(grey, 1, mode="symmetric")
        right = padded[:, 2:] - padded[:, :-2]
        down = padded[2:] - padded[:-2]
        across = right[:-2] + 2 * right[1:-1] + right[2:]
        along = down[:, :-2] + 2 * down[:, 1:-1] + down[:, 2:]
        strength = np.sqrt(across**2 + along**2)
        np.testing.assert_allclose(drawn, strength / strength.max(), rtol=1e-5)


def test_an_image_of_one_colour_has_no_edges():
    assert not edge_maps(np.full((1, 6, 8, 3), 117, np.uint8)).any()


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: centre_map(1, 8), r"an image has at least 2x2 cells.*received 1x8"),
        (lambda: random_maps(2, 8, 1), r"an image has at least 2x2 cells.*received 8x1"),
        (lambda: random_maps(2, 8, 8, grid=(1, 1)), r"the grid of the noise has at least 2x2 cells.*received 1x1"),
        (lambda: edge_maps(np.zeros((1, 8, 8, 3))), r"uint8 \(n, h, w, 3\), received float64"),
        (lambda: edge_maps(np.zeros((8, 8, 3), np.uint8)), r"received uint8 \(8, 8, 3\)"),
    ],
)
def test_what_has_no_places_or_is_no_image_is_refused(draw, message):
    with pytest.raises(InputError, match=message):
        draw()


def test_colours_of_one_luminance_have_no_edges():
    # 0.299 red + 0.587 green + 0.114 blue is the same for both; in float64 it differs in the last digits.
    pixels = np.full((1, 6, 8, 3), (100, 120, 130), np.uint8)
    pixels[:, :, 4:] = (92, 140, 48)
    assert not edge_maps(pixels).any()
