import numpy as np
import pytest
from scipy.ndimage import label

from facemask_ensemble.errors import InputError


@pytest.fixture(scope="module")
def frame():
    from facemask_ensemble.data.augmentation import frame

    return frame


def where_it_lands(transforms, points):
    """Map points (x, y) of the old image to the new one, for every transform: (n, points, 2)."""
    bottom = np.tile([0.0, 0.0, 1.0], (len(transforms), 1))
    matrices = np.concatenate([np.asarray(transforms, np.float64)[:, :6], bottom], axis=1).reshape(-1, 3, 3)
    there = np.linalg.inv(matrices) @ np.concatenate([np.array(points, float), np.ones((len(points), 1))], axis=1).T
    return there[:, :2].transpose(0, 2, 1)


def random_transforms(frame, height, width, count=500, max_angle=np.pi / 4, min_scale=0.6):
    turn, size, across, down = np.random.default_rng(3).random((4, count), np.float32)
    return frame.inside_frame((2 * turn - 1) * max_angle, size, 2 * across - 1, 2 * down - 1, height, width, min_scale)


def dotted(height, width, every=16):
    """Draw 3x3 dots in the corners and along the borders, and count them."""
    image = np.zeros((height, width, 3), np.uint8)
    rows, columns = range(0, height - 2, every), range(0, width - 2, every)
    spots = {(row, column) for row in rows for column in columns if row in (0, rows[-1]) or column in (0, columns[-1])}
    for row, column in spots:
        image[row : row + 3, column : column + 3] = 255
    assert image[0, 0, 0] == image[-1, -1, 0] == image[0, -1, 0] == image[-1, 0, 0] == 255
    return image, len(spots)


def test_a_shrunk_and_shifted_image_has_the_transform_worked_out_by_hand(frame):
    half = frame.inside_frame(*np.float32([[0], [0], [-1], [1]]), height=3, width=5, min_scale=0.5)
    # Scale 0.5 frees 2.5 columns and 1.5 rows: the middle goes from (2, 1) to (0.75, 1.75), x = 2 x' + 0.5.
    np.testing.assert_allclose(half, [[2, 0, 0.5, 0, 2, -2.5, 0, 0]], atol=1e-6)


@pytest.mark.parametrize("across", [-1.0, 0.0, 1.0])
def test_a_square_turned_by_30_degrees_just_touches_the_four_sides(frame, across):
    transform = frame.inside_frame(*np.float32([[np.pi / 6], [1], [across], [across]]), 100, 100, 0.2)
    corners = where_it_lands(transform, [(-0.5, -0.5), (99.5, -0.5), (99.5, 99.5), (-0.5, 99.5)])[0]
    # The scale is 1 / (cos 30 + sin 30) = 0.7320508, so a corner cuts each side at 1 / (1 + tan 30) = 0.6339746 of it.
    expected = [(100 * (1 - 0.6339746), 0), (100, 100 * (1 - 0.6339746)), (63.39746, 100), (0, 63.39746)]
    np.testing.assert_allclose(corners + 0.5, expected, atol=1e-3)


@pytest.mark.parametrize(("height", "width"), [(64, 64), (48, 96), (97, 31)])
def test_every_corner_of_the_image_and_of_a_face_stays_inside(frame, height, width):
    face = [(width - 9.5, 3.5), (width - 0.5, 3.5), (width - 0.5, 14.5), (width - 9.5, 14.5)]
    edges = [(-0.5, -0.5), (width - 0.5, -0.5), (width - 0.5, height - 0.5), (-0.5, height - 0.5)]
    landed = where_it_lands(random_transforms(frame, height, width), edges + face) + 0.5
    assert landed.min() > -1e-3
    assert (landed <= np.array([width, height]) + 1e-3).all()


def test_the_scale_is_drawn_between_the_smallest_and_what_the_angle_allows(frame):
    sides = np.diff(where_it_lands(random_transforms(frame, 50, 50), [(0, 0), (1, 0)]), axis=1)[:, 0]
    scales, angles = np.hypot(*sides.T), np.arctan2(*sides.T[::-1])
    largest = 1 / (np.cos(angles) + np.abs(np.sin(angles)))
    assert (scales <= largest + 1e-5).all()
    assert (scales >= 0.6 - 1e-5).all()
    assert np.degrees(angles).min() < -43 and np.degrees(angles).max() > 43
    assert np.ptp(scales[np.abs(angles) < 0.2]) > 0.2


@pytest.mark.parametrize(("height", "width"), [(67, 67), (51, 99)])
def test_dots_in_the_corners_and_along_the_borders_are_all_seen_after_hundreds_of_draws(frame, height, width):
    image, count = dotted(height, width)
    layer = frame.InsideFrame(max_rotation=20, min_scale=0.7, seed=1)
    moved = np.asarray(layer(np.repeat(image[None], 300, axis=0), training=True))
    assert [label(one[..., 0] > 90)[1] for one in moved] == [count] * 300


def test_not_even_half_a_pixel_is_cut_at_any_side(frame):
    columns, rows = np.meshgrid(np.arange(90), np.arange(60))
    place = np.stack([columns, rows, rows], axis=-1).astype(np.float32)
    layer = frame.InsideFrame(max_rotation=0, min_scale=0.7, seed=1)
    moved = np.asarray(layer(np.repeat(place[None], 300, axis=0), training=True))
    # Flush with a side, the outermost new pixel is centred on 0.5 / 0.7 - 0.5 = 0.2143 of the old ones.
    first, last = moved.min(axis=(1, 2))[:, :2], moved.max(axis=(1, 2))[:, :2]
    assert first.max() < 0.215
    assert (last > np.array([89, 59]) - 0.215).all()


def test_what_is_near_an_edge_is_seen_once_and_not_mirrored_in_the_margin(frame):
    image = np.zeros((64, 64, 3), np.float32)
    image[4:8, 56:60] = 255
    moved = np.asarray(frame.InsideFrame(min_scale=0.5, seed=1)(np.repeat(image[None], 200, axis=0), training=True))
    assert {label(one[..., 0] > 90)[1] for one in moved} == {1}


def test_images_of_a_batch_are_moved_each_in_its_own_way(frame):
    image, _ = dotted(67, 67)
    moved = np.asarray(frame.InsideFrame(seed=0)(np.repeat(image[None], 50, axis=0), training=True))
    assert len({one.tobytes() for one in moved}) == 50


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_dtype_shape_and_range_are_kept(frame, dtype):
    pixels = np.random.default_rng(0).integers(40, 200, (8, 30, 20, 3)).astype(dtype)
    moved = np.asarray(frame.InsideFrame()(pixels, training=True))
    assert (moved.dtype, moved.shape) == (pixels.dtype, pixels.shape)
    assert moved.min() >= 39 and moved.max() <= 200


def test_nothing_moves_outside_training(frame):
    pixels = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3)).astype("float32")
    np.testing.assert_array_equal(frame.InsideFrame()(pixels, training=False), pixels)
    np.testing.assert_array_equal(frame.InsideFrame()(pixels), pixels)


def test_no_rotation_and_full_scale_leave_the_image(frame):
    pixels = np.random.default_rng(0).integers(0, 256, (4, 16, 24, 3)).astype("float32")
    np.testing.assert_allclose(frame.InsideFrame(0, 1)(pixels, training=True), pixels, atol=1e-2)


def test_the_same_seed_draws_the_same(frame):
    pixels = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3)).astype("float32")
    first, second, other = (np.asarray(frame.InsideFrame(seed=seed)(pixels, training=True)) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"max_rotation": 90}, "max_rotation=90: must be from 0 to 45 degrees"),
        ({"max_rotation": -1}, "max_rotation=-1"),
        ({"min_scale": 0}, "min_scale=0: must be above 0 and at most 1"),
        ({"min_scale": 1.2}, r"min_scale=1\.2"),
    ],
)
def test_impossible_settings_are_refused(frame, arguments, message):
    with pytest.raises(InputError, match=message):
        frame.InsideFrame(**arguments)


def test_a_crop_has_the_transform_worked_out_by_hand(frame):
    # Half of 0.5..1 is 0.75 of 8 columns and 4 rows. To hold the middle 0.5 it begins at 0..0.25 of a side: at the left
    # end, column 0, and at the lower, row 1. The first pixel's middle is 0.75 * 0.5 - 0.5 = -0.125 after that edge.
    transform = frame.crop_around(*np.float32([[0.5], [0], [1]]), height=4, width=8, keep=0.5)
    np.testing.assert_allclose(transform, [[0.75, 0, -0.125, 0, 0.75, 1 - 0.125, 0, 0]], atol=1e-6)


@pytest.mark.parametrize(("height", "width"), [(64, 64), (48, 96)])
@pytest.mark.parametrize("keep", [0.3, 0.72, 1.0])
def test_the_middle_stays_in_every_crop_and_nothing_beyond_the_image_comes_in(frame, height, width, keep):
    transforms = frame.crop_around(*np.random.default_rng(3).random((3, 500), np.float32), height, width, keep)
    side = np.array([width, height])
    first, last = side * (1 - keep) / 2 - 0.5, side * (1 + keep) / 2 - 0.5
    landed = where_it_lands(transforms, [first, last, (-0.5, -0.5), side - 0.5]) + 0.5
    assert landed[:, 0].min() > -1e-3 and (landed[:, 1] < side + 1e-3).all()
    assert landed[:, 2].max() < 1e-3 and (landed[:, 3] > side - 1e-3).all()


def test_crops_are_of_every_size_and_touch_the_middle_from_every_side(frame):
    transforms = frame.crop_around(*np.random.default_rng(3).random((3, 2000), np.float32), 100, 100, 0.5)
    sizes = np.asarray(transforms)[:, 0]
    assert sizes.min() < 0.51 and sizes.max() > 0.99
    landed = where_it_lands(transforms, [(24.5, 24.5), (74.5, 74.5)]) + 0.5
    assert landed[:, 0].min() < 1 and landed[:, 1].max() > 99


def test_a_face_in_a_crop_with_the_usual_margin_is_never_cut(frame):
    image = np.zeros((140, 140, 3), np.uint8)  # the face's box takes 100 of 140: its four corners are marked
    for row in (20, 117):
        for column in (20, 117):
            image[row : row + 3, column : column + 3] = 255
    moved = np.asarray(frame.CropAround(keep=0.72, seed=1)(np.repeat(image[None], 300, axis=0), training=True))
    assert [label(one[..., 0] > 90)[1] for one in moved] == [4] * 300
    assert (moved.dtype, moved.shape[1:]) == (image.dtype, image.shape)


def test_what_is_kept_whole_is_not_cropped(frame):
    pixels = np.random.default_rng(0).integers(0, 256, (4, 16, 24, 3)).astype("float32")
    np.testing.assert_allclose(frame.CropAround(keep=1)(pixels, training=True), pixels, atol=1e-2)
    np.testing.assert_array_equal(frame.CropAround(keep=0.5)(pixels), pixels)


@pytest.mark.parametrize("keep", [0, -0.5, 1.01, float("nan")])
def test_a_share_to_keep_that_cannot_be_is_refused(frame, keep):
    with pytest.raises(InputError, match=f"keep={keep}: must be a share above 0 and at most 1"):
        frame.CropAround(keep=keep)
