import io
import re

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter, label, zoom

from facemask_ensemble.data.corruption import KINDS, LEVELS, STRENGTHS, corrupt
from facemask_ensemble.errors import InputError
from facemask_ensemble.scenes import draw_scene

CASES = [(kind, strength) for kind in KINDS for strength in STRENGTHS]


@pytest.fixture(scope="module")
def scene():
    """A drawn scene with people, uint8 (192, 256, 3)."""
    return draw_scene(seed=1, index=2, size=256).pixels[32:224]


def harm(image, kind, strength, seed=3):
    return float(np.abs(corrupt(image, kind, strength, seed).astype(float) - image).mean())


def test_there_are_seven_kinds_of_three_strengths():
    assert KINDS == ("blur", "noise", "dark", "jpeg", "small", "rotated", "occluded")
    assert STRENGTHS == (1, 2, 3)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("side", [32, 64, 192])
def test_a_stronger_corruption_harms_more(scene, kind, side):
    image = np.asarray(Image.fromarray(scene).resize((side * 4 // 3, side), Image.Resampling.BOX))
    for seed in range(5):
        harms = [harm(image, kind, strength, seed) for strength in STRENGTHS]
        assert 0 < harms[0] < harms[1] < harms[2]


@pytest.mark.parametrize(("kind", "strength"), CASES)
@pytest.mark.parametrize("shape", [(48, 64, 3), (100, 31, 3), (1, 1, 3), (2, 90, 3)])
def test_shape_and_dtype_are_kept_and_the_image_is_left_as_it_was(kind, strength, shape):
    image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    before = image.copy()
    worse = corrupt(image, kind, strength, 0)
    assert (worse.shape, worse.dtype) == (shape, np.uint8)
    assert worse.flags.writeable
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize(("kind", "strength"), CASES)
def test_the_same_seed_gives_the_same_image(scene, kind, strength):
    np.testing.assert_array_equal(corrupt(scene, kind, strength, 7), corrupt(scene, kind, strength, 7))


@pytest.mark.parametrize("kind", ["noise", "rotated", "occluded"])
def test_what_is_drawn_differs_from_seed_to_seed(scene, kind):
    assert len({corrupt(scene, kind, 2, seed).tobytes() for seed in range(9)}) > 1


@pytest.mark.parametrize(("kind", "bound"), [(kind, 2.2) for kind in KINDS[:3]] + [("rotated", 1.2), ("occluded", 1.2)])
def test_a_small_and_a_large_copy_suffer_much_alike(scene, kind, bound):
    """Both are looked at with 64 pixels of height, at the strongest."""
    large = np.asarray(Image.fromarray(scene).resize((1024, 768), Image.Resampling.BICUBIC))
    harms = []
    for size in (1024, 768), (86, 64):
        copy = Image.fromarray(large).resize(size, Image.Resampling.BOX)
        worse = Image.fromarray(corrupt(np.asarray(copy), kind, 3, 1))
        seen = [np.asarray(one.resize((86, 64), Image.Resampling.BOX), float) for one in (copy, worse)]
        harms.append(np.abs(seen[0] - seen[1]).mean())
    assert 1 / bound < harms[0] / harms[1] < bound


def test_blur_is_a_gaussian_of_a_share_of_the_shorter_side():
    image = np.zeros((250, 300, 3), np.uint8)
    image[:, 100:200] = 255
    expected = gaussian_filter(image[100, :, 0].astype(float), 0.014 * 250)
    np.testing.assert_allclose(corrupt(image, "blur", 3, 0)[100, :, 0], expected, atol=4)


@pytest.mark.parametrize("strength", STRENGTHS)
def test_noise_has_the_deviation_and_the_grain_of_the_table(strength):
    grey = np.full((192, 384, 3), 128, np.uint8)
    noise = corrupt(grey, "noise", strength, 0).astype(float) - 128
    np.testing.assert_array_equal(noise, zoom(noise[::2, ::2], (2, 2, 1), order=0))
    deviation = LEVELS["noise"][strength - 1]
    assert noise.std() == pytest.approx(deviation, rel=0.03)
    assert abs(noise.mean()) < deviation / 30


def test_dark_leaves_the_share_of_the_light():
    image = np.array([[[0, 100, 200]]], np.uint8)
    # 0.35 of 0, 100, 200
    assert corrupt(image, "dark", 2, 0).tolist() == [[[0, 35, 70]]]


def test_jpeg_is_what_saving_at_that_quality_leaves(scene):
    image = scene[:150]
    saved = io.BytesIO()
    Image.fromarray(image).save(saved, "JPEG", quality=18)
    np.testing.assert_array_equal(corrupt(image, "jpeg", 2, 0), np.asarray(Image.open(saved)))


def test_small_leaves_no_detail_finer_than_its_pixels():
    """Stripes of a pixel each turn to grey at half the size."""
    stripes = np.zeros((64, 80, 3), np.uint8)
    stripes[:, ::2] = 200
    assert set(np.unique(corrupt(stripes, "small", 2, 0))) == {100}


@pytest.mark.parametrize("strength", STRENGTHS)
@pytest.mark.parametrize("shape", [(96, 96), (60, 120), (120, 50)])
def test_a_rotated_image_is_all_within_the_frame_and_no_corner_is_black(strength, shape):
    """Of nine white dots on grey, in the corners, on the borders and in the middle, all are seen."""
    height, width = shape
    image = np.full((*shape, 3), 90, np.uint8)
    for row in (2, height // 2, height - 7):
        for column in (2, width // 2, width - 7):
            image[row : row + 5, column : column + 5] = 255
    worse = corrupt(image, "rotated", strength, 0)
    assert label(worse[..., 0] > 150)[1] == 9
    assert worse.min() >= 90


def test_a_rotation_has_the_angle_of_the_table_to_either_side():
    image = np.zeros((200, 200, 3), np.uint8)
    image[:, 90:110] = 255
    image[:, :90] = 60
    angles = []
    for seed in range(8):
        middle = [np.flatnonzero(row > 150).mean() for row in corrupt(image, "rotated", 2, seed)[60:140, :, 0]]
        angles.append(np.degrees(np.arctan(np.polyfit(np.arange(80), middle, 1)[0])))
    assert np.abs(angles) == pytest.approx(16, abs=0.3)
    assert min(angles) < 0 < max(angles)


@pytest.mark.parametrize("strength", STRENGTHS)
def test_occluded_covers_four_grey_rectangles_and_nothing_else(strength):
    image = np.zeros((100, 200, 3), np.uint8)
    share = LEVELS["occluded"][strength - 1]
    covered = [(corrupt(image, "occluded", strength, seed)[..., 0]) for seed in range(30)]
    assert {value for one in covered for value in np.unique(one)} == {0, 128}
    most = 4 * round(share * 100) * round(share * 200)
    assert max((one == 128).sum() for one in covered) == most
    assert all((one == 128).sum() > most / 4 for one in covered)


def test_a_stronger_noise_is_the_same_noise():
    grey = np.full((50, 50, 3), 128, np.uint8)
    weak, strong = (corrupt(grey, "noise", strength, 4).astype(float) - 128 for strength in (1, 2))
    np.testing.assert_allclose(strong, 2 * weak, atol=1.5)


@pytest.mark.parametrize(
    ("kind", "strength", "rule"),
    [
        ("fog", 1, "must be one of blur, noise, dark, jpeg, small, rotated, occluded"),
        ("blur", 0, "strength=0: must be 1, 2 or 3"),
        ("blur", 4, "strength=4: must be 1, 2 or 3"),
    ],
)
def test_an_unknown_kind_or_strength_is_refused(scene, kind, strength, rule):
    with pytest.raises(InputError, match=re.escape(rule)):
        corrupt(scene, kind, strength, 0)


@pytest.mark.parametrize(
    "image",
    [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((4, 4, 4), np.uint8), np.zeros((0, 4, 3), "u1")],
)
def test_what_is_no_image_is_refused(image):
    with pytest.raises(InputError, match=re.escape(f"received {image.dtype} of {image.shape}")):
        corrupt(image, "blur", 1, 0)
