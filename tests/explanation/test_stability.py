import json

import numpy as np
import pytest
import scipy.stats

from facemask_ensemble.errors import InputError
from facemask_ensemble.explanation.control_maps import centre_map
from facemask_ensemble.explanation.heatmaps import Heatmaps
from facemask_ensemble.explanation.stability import shift, stability


def noise(count=2, height=24, width=48):
    return np.random.default_rng(0).integers(0, 256, (count, height, width, 3)).astype(np.uint8)


def always_first(pixels):
    return np.tile([0.9, 0.1], (len(pixels), 1))


def brightness(model, pixels, classes):
    """Draw what moves with the image."""
    return Heatmaps((pixels.mean(axis=3) / 255).astype(np.float32), [None] * len(pixels))


def middle(model, pixels, classes):
    """Draw what never moves."""
    return Heatmaps(np.repeat(centre_map(*pixels.shape[1:3])[None], len(pixels), axis=0), [None] * len(pixels))


def measured(explain, pixels, predict=always_first, **options):
    classes = np.zeros(len(pixels), int)
    maps = {"method": explain(None, pixels, classes)}
    return stability(None, predict, pixels, classes, {"method": explain}, maps, **options)["method"]


def test_images_are_moved_and_repeat_their_edge():
    row = np.array([1, 2, 3, 4], np.uint8)
    pixels = np.repeat(row[None, None, :, None], 3, axis=3)
    assert shift(pixels, 0, 1)[0, 0, :, 0].tolist() == [1, 1, 2, 3]
    assert shift(pixels, 0, -2)[0, 0, :, 0].tolist() == [3, 4, 4, 4]
    upright = pixels.transpose(0, 2, 1, 3)
    assert shift(upright, 1, 0)[0, :, 0, 0].tolist() == [1, 1, 2, 3]
    assert shift(upright, -1, 0)[0, :, 0, 0].tolist() == [2, 3, 4, 4]


def test_a_map_that_moves_with_the_image_is_wholly_stable():
    found = measured(brightness, noise())
    assert found == {
        "shift": [1, 2],
        "images": 2,
        "without_map": 0,
        "shifted": 8,
        "answer_changed": 0,
        "map_lost": 0,
        "rank_correlation": pytest.approx(1),
        "overlap": pytest.approx(1),
    }
    json.dumps(found, allow_nan=False)


def test_a_map_that_stays_where_it_is_is_compared_where_both_lie_after_shifting_back():
    found = measured(middle, noise(1), share=1 / 6)
    rows, columns = found["shift"]
    assert (rows, columns) == (4, 8)
    bell = centre_map(24, 48)
    pairs = [(bell[:-4], bell[4:]), (bell[:, :-8], bell[:, 8:])]  # the other two directions are these turned round
    ranks = [scipy.stats.spearmanr(one.ravel(), other.ravel())[0] for one, other in pairs]
    shared = [np.minimum(one / one.sum(), other / other.sum()).sum() for one, other in pairs]
    assert found["overlap"] == pytest.approx(np.mean(shared), abs=1e-5)
    # Ranks are taken over at most 32 columns, so that those of 48 or 40 differ a little.
    assert found["rank_correlation"] == pytest.approx(np.mean(ranks), abs=0.02)
    assert found["rank_correlation"] < measured(middle, noise(1))["rank_correlation"] < 1


def test_a_shifted_image_with_another_answer_is_counted_and_not_compared():
    pixels = noise(2)
    pixels[0, 0] = 255  # a bright first row, that moving up takes away

    def by_first_row(pixels):
        bright = (pixels[:, 0] == 255).all(axis=(1, 2))
        return np.stack([bright, ~bright], axis=1).astype(float)

    asked = []

    def explain(model, pixels, classes):
        asked.append(len(pixels))
        return brightness(model, pixels, classes)

    found = measured(explain, pixels, by_first_row)
    assert asked == [2, 1, 2, 2, 2]  # as it is, then up, down, left, right
    assert (found["shifted"], found["answer_changed"], found["images"]) == (8, 1, 2)
    assert found["rank_correlation"] == pytest.approx(1)


def test_a_lost_map_counts_as_zero_and_is_counted():
    calls = []

    def explain(model, pixels, classes):
        calls.append(len(pixels))
        found = brightness(model, pixels, classes)
        lost = len(calls) == 2
        return Heatmaps(found.maps * (not lost), ["zero" if lost else None] * len(pixels))

    found = measured(explain, noise(2))
    assert found["map_lost"] == 2
    assert found["rank_correlation"] == pytest.approx(0.75)
    assert found["overlap"] == pytest.approx(0.75)


def test_images_without_a_map_are_left_out():
    def explain(model, pixels, classes):
        found = brightness(model, pixels, classes)
        return Heatmaps(found.maps, ["zero", None][: len(pixels)] if len(pixels) == 2 else found.reasons)

    found = measured(explain, noise(2))
    assert (found["images"], found["without_map"], found["shifted"]) == (1, 1, 4)
    assert found["rank_correlation"] == pytest.approx(1)


def test_where_nothing_can_be_compared_nothing_is_known():
    turns = iter(range(100))
    found = measured(brightness, noise(2), lambda pixels: np.eye(2)[[min(next(turns), 1)] * len(pixels)])
    assert (found["images"], found["answer_changed"]) == (0, 8)
    assert (found["rank_correlation"], found["overlap"]) == (None, None)


def test_never_more_than_a_batch_is_answered_at_once():
    sizes = []
    measured(brightness, noise(5), lambda pixels: sizes.append(len(pixels)) or always_first(pixels), batch_size=2)
    assert sizes == [2, 2, 1] * 5


def test_a_small_image_is_moved_by_a_pixel():
    assert measured(brightness, noise(1, 8, 8))["shift"] == [1, 1]


@pytest.mark.parametrize(("share", "count"), [(0, 1), (0.3, 1), (-0.1, 1), (1 / 24, 0)])
def test_shifts_that_leave_too_little_and_no_images_are_refused(share, count):
    with pytest.raises(InputError, match=f"between 0 and a quarter, received {share}"):
        measured(brightness, noise(count), share=share)


def test_of_a_map_whose_peak_is_shifted_out_of_sight_rounding_alone_is_not_compared():
    """The peak lies in the first column, the rest is rounding, alike before and after."""
    rounding = np.random.default_rng(0).random((1, 24, 48)).astype(np.float32) * 1e-8

    def corner(model, pixels, classes):
        maps = np.repeat(rounding, len(pixels), axis=0)
        maps[:, 0, 0] = 1
        return Heatmaps(maps, [None] * len(pixels))

    found = measured(corner, noise(1))
    # Shifted up or left the peak is out of sight in one of the two maps; shifted down or right, in the other one.
    assert (found["rank_correlation"], found["overlap"]) == (0, 0)
