import numpy as np
import pytest
from scipy.ndimage import binary_opening, label

from facemask_ensemble.errors import InputError

CORNERS = {
    "white on black": ([0, 0, 0], [255, 255, 255]),
    "black on white": ([255, 255, 255], [0, 0, 0]),
    "red on a green as bright": ([0, 130, 0], [255, 0, 0]),
    "grey on grey": ([90, 90, 90], [150, 150, 150]),
}


def marked(background, marker, side=96):
    """Draw a marker of 12x12 pixels in each corner."""
    image = np.full((side, side, 3), background, np.uint8)
    for row in (0, side - 12):
        for column in (0, side - 12):
            image[row : row + 12, column : column + 12] = marker
    return image


def markers_seen(image, least=12):
    """Count the patches of 3x3 pixels or more that stand out by at least so many levels: a halo is thinner."""
    away = np.abs(image - np.median(image, axis=(0, 1))).max(axis=-1)
    return label(binary_opening(away >= least, np.ones((3, 3))))[1]


@pytest.mark.parametrize("case", CORNERS)
@pytest.mark.parametrize("operations", [1, 2, 3])
def test_a_marker_in_each_corner_is_seen_after_every_draw_at_full_magnitude(case, operations):
    from facemask_ensemble.data.augmentation import RandAugment

    images = np.repeat(marked(*CORNERS[case])[None], 150, axis=0)
    changed = RandAugment(operations=operations, magnitude=1, seed=1)(images, training=True).numpy()
    assert [markers_seen(one) for one in changed] == [4] * 150


def test_keras_own_rand_augment_loses_markers():
    import keras

    images = np.repeat(marked(*CORNERS["white on black"])[None], 50, axis=0).astype("float32")
    changed = np.asarray(keras.layers.RandAugment(factor=1.0, seed=1)(images, training=True))
    assert min(markers_seen(one) for one in changed) < 4


def test_images_of_a_batch_get_different_operations():
    from facemask_ensemble.data.augmentation import RandAugment

    image = np.random.default_rng(0).integers(0, 256, (1, 24, 24, 3)).astype("uint8")
    changed = RandAugment(seed=1)(np.repeat(image, 40, axis=0), training=True).numpy()
    assert changed.shape == (40, 24, 24, 3) and changed.dtype == np.float32
    assert changed.min() >= 0 and changed.max() <= 255
    assert len({one.tobytes() for one in changed}) > 35


def test_each_image_gets_as_many_different_operations_as_set():
    import tensorflow as tf

    from facemask_ensemble.data.augmentation import RandAugment

    def add(amount):
        return lambda pixels, training: pixels + amount

    for count in (1, 2, 9):
        augment = RandAugment(operations=count, seed=3)
        augment.layers = [add(2.0**power) for power in range(9)]
        sums = augment(tf.zeros((500, 2, 2, 3)), training=True).numpy()[:, 0, 0, 0].astype(int)
        # Each operation adds a power of two of its own: the binary digits name the operations.
        assert {bin(number).count("1") for number in sums} == {count}
        assert np.bitwise_or.reduce(sums) == 2**9 - 1


def test_a_change_goes_to_the_image_it_was_drawn_for():
    import tensorflow as tf

    from facemask_ensemble.data.augmentation import RandAugment

    augment = RandAugment(operations=1, seed=3)
    augment.layers = [lambda pixels, training: pixels] * 9
    images = tf.reshape(tf.range(200.0), (200, 1, 1, 1)) * tf.ones((1, 4, 4, 3))
    np.testing.assert_array_equal(augment(images, training=True), images)


def test_the_same_seed_draws_the_same():
    from facemask_ensemble.data.augmentation import RandAugment

    pixels = np.random.default_rng(0).integers(0, 256, (30, 16, 16, 3)).astype("uint8")
    first, second, other = (RandAugment(seed=seed)(pixels, training=True).numpy() for seed in (5, 5, 6))
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, other)


def test_nothing_changes_outside_training():
    from facemask_ensemble.data.augmentation import RandAugment

    pixels = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3)).astype("uint8")
    np.testing.assert_array_equal(RandAugment()(pixels), pixels)


def test_equalized_levels_are_those_worked_out_by_hand():
    from facemask_ensemble.data.augmentation.colour import equalized

    # Counted up to levels 10, 20, 90: 3, 4, 8 pixels; less the darkest's 3, in fifths: 0, 1, 5.
    grey = np.float32([[10, 10, 10, 20], [90, 90, 90, 90]])
    images = np.repeat(np.stack([grey, np.full_like(grey, 70)])[..., None], 3, axis=-1)
    expected = np.float32([[0, 0, 0, 51], [255, 255, 255, 255]])
    first, second = equalized(images).numpy()
    np.testing.assert_allclose(first, np.repeat(expected[..., None], 3, axis=-1), atol=0.02)
    np.testing.assert_allclose(second, 70, atol=1e-3)


def test_equalization_looks_at_each_image_alone_and_keeps_its_tints():
    from facemask_ensemble.data.augmentation.colour import Equalization

    rng = np.random.default_rng(0)
    dark, bright = rng.integers(60, 90, (16, 16, 3)), rng.integers(150, 190, (16, 16, 3))
    both = Equalization()(np.float32([dark, bright]), training=True).numpy()
    alone = [Equalization()(np.float32([one]), training=True).numpy()[0] for one in (dark, bright)]
    np.testing.assert_allclose(both, alone, atol=1e-3)
    inside = (both[0] > 0).all(axis=-1) & (both[0] < 255).all(axis=-1)
    np.testing.assert_allclose(np.diff(both[0][inside]), np.diff(dark[inside]), atol=1e-3)


def test_sharpness_leaves_no_dark_rim():
    from facemask_ensemble.data.augmentation.colour import Sharpness

    flat = np.full((50, 12, 12, 3), 200, np.float32)
    np.testing.assert_allclose(Sharpness(1)(flat, training=True), flat, atol=1e-2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"magnitude": 1.5}, r"magnitude=1\.5: must be from 0 to 1, such as 0\.5"),
        ({"magnitude": float("nan")}, "magnitude=nan"),
        ({"operations": 0}, r"operations=0: must be from 1 to 9, such as 2"),
        ({"operations": 10}, "operations=10"),
        ({"operations": 1.5}, r"operations=1\.5"),
    ],
)
def test_impossible_settings_are_refused(arguments, message):
    from facemask_ensemble.data.augmentation import RandAugment

    with pytest.raises(InputError, match=message):
        RandAugment(**arguments)
