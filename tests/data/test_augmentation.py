import keras
import numpy as np
import pytest
import tensorflow as tf
from hydra.utils import instantiate
from omegaconf import OmegaConf
from scipy.ndimage import label

from facemask_ensemble.config import CONF_DIR
from facemask_ensemble.data.augmentation import InsideFrame, augment, inside_frame
from facemask_ensemble.errors import InputError


def layers_of(name):
    return [instantiate(layer) for layer in OmegaConf.load(f"{CONF_DIR}/augmentation/{name}.yaml").layers]


def where_it_lands(transforms, points):
    """Map points (x, y) of the old picture to the new one, for every transform: (n, points, 2)."""
    bottom = np.tile([0.0, 0.0, 1.0], (len(transforms), 1))
    matrices = np.concatenate([np.asarray(transforms, np.float64)[:, :6], bottom], axis=1).reshape(-1, 3, 3)
    there = np.linalg.inv(matrices) @ np.concatenate([np.array(points, float), np.ones((len(points), 1))], axis=1).T
    return there[:, :2].transpose(0, 2, 1)


def random_transforms(height, width, count=500, max_angle=np.pi / 4, min_scale=0.6):
    turn, size, across, down = tf.constant(np.random.default_rng(3).random((4, count)), tf.float32)
    return inside_frame((2 * turn - 1) * max_angle, size, 2 * across - 1, 2 * down - 1, height, width, min_scale)


def dotted(height, width, every=16):
    """Draw 3x3 dots in the corners and along the borders, and count them."""
    picture = np.zeros((height, width, 3), np.uint8)
    rows, columns = range(0, height - 2, every), range(0, width - 2, every)
    spots = {(row, column) for row in rows for column in columns if row in (0, rows[-1]) or column in (0, columns[-1])}
    for row, column in spots:
        picture[row : row + 3, column : column + 3] = 255
    assert picture[0, 0, 0] == picture[-1, -1, 0] == picture[0, -1, 0] == picture[-1, 0, 0] == 255
    return picture, len(spots)


def test_a_shrunk_and_shifted_picture_has_the_transform_worked_out_by_hand():
    half = inside_frame(*(tf.constant([value]) for value in (0.0, 0.0, -1.0, 1.0)), height=3, width=5, min_scale=0.5)
    # Scale 0.5 frees 2.5 columns and 1.5 rows: the middle goes from (2, 1) to (0.75, 1.75), x = 2 x' + 0.5.
    np.testing.assert_allclose(half, [[2, 0, 0.5, 0, 2, -2.5, 0, 0]], atol=1e-6)


@pytest.mark.parametrize("across", [-1.0, 0.0, 1.0])
def test_a_square_turned_by_30_degrees_just_touches_the_four_sides(across):
    angle = tf.constant([np.pi / 6])
    transform = inside_frame(
        tf.cast(angle, tf.float32), *(tf.constant([v]) for v in (1.0, across, across)), 100, 100, 0.2
    )
    corners = where_it_lands(transform, [(-0.5, -0.5), (99.5, -0.5), (99.5, 99.5), (-0.5, 99.5)])[0]
    # The scale is 1 / (cos 30 + sin 30) = 0.7320508, so a corner cuts each side at 1 / (1 + tan 30) = 0.6339746 of it.
    expected = [(100 * (1 - 0.6339746), 0), (100, 100 * (1 - 0.6339746)), (63.39746, 100), (0, 63.39746)]
    np.testing.assert_allclose(corners + 0.5, expected, atol=1e-3)


@pytest.mark.parametrize(("height", "width"), [(64, 64), (48, 96), (97, 31)])
def test_every_corner_of_the_picture_and_of_a_face_stays_inside(height, width):
    face = [(width - 9.5, 3.5), (width - 0.5, 3.5), (width - 0.5, 14.5), (width - 9.5, 14.5)]
    frame = [(-0.5, -0.5), (width - 0.5, -0.5), (width - 0.5, height - 0.5), (-0.5, height - 0.5)]
    landed = where_it_lands(random_transforms(height, width), frame + face) + 0.5
    assert landed.min() > -1e-3
    assert (landed <= np.array([width, height]) + 1e-3).all()


def test_the_scale_is_drawn_between_the_smallest_and_what_the_angle_allows():
    sides = np.diff(where_it_lands(random_transforms(50, 50), [(0, 0), (1, 0)]), axis=1)[:, 0]
    scales, angles = np.hypot(*sides.T), np.arctan2(*sides.T[::-1])
    largest = 1 / (np.cos(angles) + np.abs(np.sin(angles)))
    assert (scales <= largest + 1e-5).all()
    assert (scales >= 0.6 - 1e-5).all()
    assert np.degrees(angles).min() < -43 and np.degrees(angles).max() > 43
    assert np.ptp(scales[np.abs(angles) < 0.2]) > 0.2


@pytest.mark.parametrize(("height", "width"), [(67, 67), (51, 99)])
def test_dots_in_the_corners_and_along_the_borders_are_all_seen_after_hundreds_of_draws(height, width):
    picture, count = dotted(height, width)
    layer = InsideFrame(max_rotation=20, min_scale=0.7, seed=1)
    moved = np.asarray(layer(np.repeat(picture[None], 300, axis=0), training=True))
    assert [label(one[..., 0] > 90)[1] for one in moved] == [count] * 300


def test_not_even_half_a_pixel_is_cut_at_any_side():
    columns, rows = np.meshgrid(np.arange(90), np.arange(60))
    place = np.stack([columns, rows, rows], axis=-1).astype(np.float32)
    layer = InsideFrame(max_rotation=0, min_scale=0.7, seed=1)
    moved = np.asarray(layer(np.repeat(place[None], 300, axis=0), training=True))
    # Flush with a side, the outermost new pixel is centred on 0.5 / 0.7 - 0.5 = 0.2143 of the old ones.
    first, last = moved.min(axis=(1, 2))[:, :2], moved.max(axis=(1, 2))[:, :2]
    assert first.max() < 0.215
    assert (last > np.array([89, 59]) - 0.215).all()


def test_what_is_near_an_edge_is_seen_once_and_not_mirrored_in_the_margin():
    picture = np.zeros((64, 64, 3), np.float32)
    picture[4:8, 56:60] = 255
    moved = np.asarray(InsideFrame(min_scale=0.5, seed=1)(np.repeat(picture[None], 200, axis=0), training=True))
    assert {label(one[..., 0] > 90)[1] for one in moved} == {1}


def test_pictures_of_a_batch_are_moved_each_in_its_own_way():
    picture, _ = dotted(67, 67)
    moved = np.asarray(InsideFrame(seed=0)(np.repeat(picture[None], 50, axis=0), training=True))
    assert len({one.tobytes() for one in moved}) == 50


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_dtype_shape_and_range_are_kept(dtype):
    pixels = np.random.default_rng(0).integers(40, 200, (8, 30, 20, 3)).astype(dtype)
    moved = np.asarray(InsideFrame()(pixels, training=True))
    assert (moved.dtype, moved.shape) == (pixels.dtype, pixels.shape)
    assert moved.min() >= 39 and moved.max() <= 200


def test_nothing_moves_outside_training():
    pixels = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3)).astype("float32")
    np.testing.assert_array_equal(InsideFrame()(pixels, training=False), pixels)
    np.testing.assert_array_equal(InsideFrame()(pixels), pixels)


def test_no_rotation_and_full_scale_leave_the_picture():
    pixels = np.random.default_rng(0).integers(0, 256, (4, 16, 24, 3)).astype("float32")
    np.testing.assert_allclose(InsideFrame(0, 1)(pixels, training=True), pixels, atol=1e-2)


def test_the_same_seed_draws_the_same():
    pixels = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3)).astype("float32")
    first, second, other = (np.asarray(InsideFrame(seed=seed)(pixels, training=True)) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"max_rotation": 90}, "max_rotation is 0..45 degrees, received 90"),
        ({"max_rotation": -1}, "received -1"),
        ({"min_scale": 0}, "min_scale is above 0 and at most 1, received 0"),
        ({"min_scale": 1.2}, r"received 1\.2"),
    ],
)
def test_impossible_settings_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        InsideFrame(**arguments)


def test_no_layers_are_no_function():
    assert augment(layers_of("none")) is None


def test_flip_gives_the_picture_or_its_mirror_image_and_both():
    pixels = np.random.default_rng(0).integers(0, 256, (1, 8, 8, 3)).astype("uint8")
    batches = tf.data.Dataset.from_tensors(np.repeat(pixels, 40, axis=0)).map(augment(layers_of("flip")))
    same = [np.array_equal(one, pixels[0]) for one in next(iter(batches)).numpy()]
    mirrored = [np.array_equal(one, pixels[0, :, ::-1]) for one in next(iter(batches)).numpy()]
    assert 5 < sum(same) < 35
    assert 5 < sum(mirrored) < 35


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_standard_gives_float32_in_0_to_255_whatever_the_precision_of_the_network(policy):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        function = augment(layers_of("standard"))
    finally:
        keras.config.set_dtype_policy(before)
    pixels = np.random.default_rng(0).integers(0, 256, (6, 32, 24, 3)).astype("uint8")
    batches = tf.data.Dataset.from_tensors(pixels).repeat(2).map(function)
    assert batches.element_spec == tf.TensorSpec((6, 32, 24, 3), tf.float32)
    first, second = (batch.numpy() for batch in batches)
    assert 0 <= first.min() < 20 and 235 < first.max() <= 255
    assert not np.array_equal(first, second)


def test_standard_keeps_every_dot_in_sight():
    picture, count = dotted(67, 67)
    batches = tf.data.Dataset.from_tensors(np.repeat(picture[None], 100, axis=0)).map(augment(layers_of("standard")))
    seen = [label(one.mean(axis=-1) > one.mean() + 40)[1] for one in next(iter(batches)).numpy()]
    assert seen == [count] * 100


def test_batches_of_unknown_size_are_taken():
    pixels = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3)).astype("uint8")
    batches = tf.data.Dataset.from_tensor_slices(pixels).batch(4).map(augment(layers_of("standard")))
    assert [len(batch) for batch in batches] == [4, 1]


def test_a_layer_in_half_precision_is_refused():
    with pytest.raises(InputError, match="'coarse' computes in bfloat16.*add `dtype: float32`"):
        augment([keras.layers.RandomFlip("horizontal", dtype="mixed_bfloat16", name="coarse")])
