import json

import numpy as np
import pytest

from facemask_ensemble.errors import InputError
from facemask_ensemble.explanation.curves import Curves, areas, blur, curves
from facemask_ensemble.explanation.faithfulness import summarise
from facemask_ensemble.explanation.heatmaps import Heatmaps

SIZE, STEPS = 16, 8
QUARTER = np.zeros((SIZE, SIZE), np.float32)
QUARTER[: SIZE // 2, : SIZE // 2] = 1


def chequered(count=1):
    """Draw black and white pixels in turn: blurred, none of them is black or white."""
    board = (255 * (np.indices((SIZE, SIZE)).sum(axis=0) % 2)).astype(np.uint8)
    return np.repeat(np.repeat(board[..., None], 3, axis=2)[None], count, axis=0)


def untouched_quarter(pixels):
    """Answer class 0 with the share of the upper left quarter that is not blurred."""
    kept = np.isin(pixels[:, : SIZE // 2, : SIZE // 2, 0], (0, 255)).mean(axis=(1, 2))
    return np.stack([kept, 1 - kept], axis=1)


def maps_of(*maps, reasons=None):
    return Heatmaps(np.stack(maps), list(reasons or [None] * len(maps)))


def test_the_right_map_takes_the_answer_away_in_two_of_eight_steps_and_the_reverse_one_in_the_last_two():
    maps = {"right": maps_of(QUARTER), "reverse": maps_of(1 - QUARTER)}
    found = curves(untouched_quarter, chequered(), np.array([0]), maps, steps=STEPS)
    assert found["right"].deletion.tolist() == [[1, 0.5, 0, 0, 0, 0, 0, 0, 0]]
    assert found["right"].insertion.tolist() == [[0, 0.5, 1, 1, 1, 1, 1, 1, 1]]
    assert found["reverse"].deletion.tolist() == [[1, 1, 1, 1, 1, 1, 1, 0.5, 0]]
    assert found["reverse"].insertion.tolist() == [[0, 0, 0, 0, 0, 0, 0, 0.5, 1]]
    assert [areas(curve).tolist() for curve in found["right"]] == [[0.125], [0.875]]
    assert [areas(curve).tolist() for curve in found["reverse"]] == [[0.875], [0.125]]


def test_each_image_is_judged_by_its_own_class():
    found = curves(untouched_quarter, chequered(2), np.array([0, 1]), {"right": maps_of(QUARTER, QUARTER)})["right"]
    np.testing.assert_array_equal(found.deletion[1], 1 - found.deletion[0])
    np.testing.assert_array_equal(found.insertion[1], 1 - found.insertion[0])


def test_the_hottest_pixels_go_first_and_come_first():
    order = np.random.default_rng(0).permutation(SIZE**2)
    heat = (1 - order / SIZE**2).reshape(SIZE, SIZE).astype(np.float32)
    asked = []
    curves(
        lambda pixels: asked.extend(pixels) or untouched_quarter(pixels),
        chequered(),
        np.array([0]),
        {"heat": maps_of(heat)},
        steps=4,
    )
    whole, blurred, *between = asked
    np.testing.assert_array_equal(whole, chequered()[0])
    np.testing.assert_array_equal(blurred, blur(whole))
    for place, (start, end) in enumerate([(whole, blurred)] * 3 + [(blurred, whole)] * 3):
        gone = (order < SIZE**2 * (place % 3 + 1) / 4).reshape(SIZE, SIZE, 1)
        np.testing.assert_array_equal(between[place], np.where(gone, end, start))


def test_the_blurred_copy_keeps_the_light_and_loses_what_is_in_it():
    blurred = blur(chequered()[0]).astype(int)
    assert blurred.min() > 100 and blurred.max() < 155
    np.testing.assert_array_equal(blur(np.full((8, 12, 3), 70, np.uint8)), np.full((8, 12, 3), 70))


def test_both_ends_are_asked_once_for_all_maps_and_never_more_than_a_batch():
    sizes = []

    def predict(pixels):
        sizes.append(len(pixels))
        return untouched_quarter(pixels)

    maps = {name: maps_of(QUARTER, QUARTER, QUARTER) for name in ("one", "two")}
    found = curves(predict, chequered(3), np.zeros(3, int), maps, steps=STEPS, batch_size=10)
    assert sum(sizes) == 3 * (2 + 2 * 2 * (STEPS - 1))
    assert max(sizes) == 10
    whole = curves(untouched_quarter, chequered(3), np.zeros(3, int), maps, steps=STEPS, batch_size=1000)
    np.testing.assert_array_equal(found["two"], whole["two"])


def test_an_image_without_a_map_is_not_asked_about_and_stays_nan():
    sizes = []
    maps = maps_of(QUARTER, np.zeros_like(QUARTER), reasons=[None, "zero"])
    found = curves(
        lambda pixels: sizes.append(len(pixels)) or untouched_quarter(pixels),
        chequered(2),
        np.zeros(2, int),
        {"some": maps},
        steps=STEPS,
    )["some"]
    assert sum(sizes) == 2 * 2 + 2 * (STEPS - 1)
    assert np.isfinite(found.deletion[0]).all()
    assert np.isnan(found.deletion[1]).all() and np.isnan(found.insertion[1]).all()


def test_pixels_of_one_value_are_taken_in_an_order_that_is_fixed_random_and_the_images_own():
    asked = []
    flat = maps_of(*np.ones((2, SIZE, SIZE), np.float32))
    for seed in (0, 0, 1):
        curves(
            lambda pixels: asked.append(pixels) or untouched_quarter(pixels),
            chequered(2),
            np.zeros(2, int),
            {"flat": flat},
            steps=2,
            seed=seed,
        )
    one, same, other = ((batch != chequered()[0]).any(axis=3) for batch in asked)
    # Of each image: itself, its blurred copy, half taken away, half brought back.
    halves = one[[2, 6]]
    assert halves.sum(axis=(1, 2)).tolist() == [SIZE**2 / 2] * 2
    assert (halves[0] != halves[1]).any()
    assert all(0 < half[: SIZE // 2].sum() < SIZE**2 / 2 for half in halves)
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


def test_no_images_have_no_curves():
    empty = maps_of(QUARTER)
    empty = Heatmaps(empty.maps[:0], [])
    found = curves(untouched_quarter, chequered(0), np.zeros(0, int), {"none": empty})["none"]
    assert (found.deletion.shape, found.insertion.shape) == ((0, 9), (0, 9))


def flat_curves(deletion, insertion):
    """Give curves of constant height, so that this is their area."""
    heights = (np.repeat(np.asarray(one, float)[:, None], 3, axis=1) for one in (deletion, insertion))
    return Curves(*heights)


def test_areas_and_differences_are_means_over_the_images():
    found = {
        "good": flat_curves([0.1] * 6 + [0.3] * 6, [0.8] * 12),
        "random": flat_curves([0.5] * 12, [0.5] * 12),
    }
    summary = summarise(found, ["random"], draws=500)
    assert (summary["images"], summary["steps"]) == (12, 2)
    good = summary["methods"]["good"]
    assert (good["images"], good["without_map"]) == (12, 0)
    assert good["deletion"]["mean"] == pytest.approx(0.2)
    assert good["insertion_less_deletion"]["mean"] == pytest.approx(0.6)
    assert good["deletion_curve"] == pytest.approx([0.2] * 3)
    against = good["against"]["random"]
    assert against["deletion"]["mean"] == pytest.approx(-0.3)
    assert -0.4 <= against["deletion"]["low"] < -0.3 < against["deletion"]["high"] < 0
    assert list(against["insertion"].values()) == pytest.approx([0.3] * 3, abs=1e-6)
    assert summary["controls"]["random"]["insertion"]["mean"] == 0.5
    assert "against" not in summary["controls"]["random"]


def test_intervals_equal_a_plain_bootstrap():
    rng = np.random.default_rng(1)
    own, control = rng.random((2, 30)), rng.random((2, 30))
    summary = summarise({"own": flat_curves(*own), "centre": flat_curves(*control)}, ["centre"], draws=300, seed=4)
    generator = np.random.default_rng(4)
    drawn = [generator.integers(30, size=30) for _ in range(300)]
    for values, estimate in [
        (own[0], summary["methods"]["own"]["deletion"]),
        (own[1] - own[0], summary["methods"]["own"]["insertion_less_deletion"]),
        (own[1] - control[1], summary["methods"]["own"]["against"]["centre"]["insertion"]),
        (control[0], summary["controls"]["centre"]["deletion"]),
    ]:
        low, high = np.quantile([values[one].mean() for one in drawn], [0.025, 0.975])
        assert (estimate["low"], estimate["high"]) == pytest.approx((low, high), abs=1e-6)
        assert estimate["mean"] == pytest.approx(values.mean())


def test_images_without_a_map_are_counted_and_left_out_of_the_means_and_of_the_pairs():
    some = flat_curves([0.2] * 10 + [np.nan] * 5, [0.7] * 10 + [np.nan] * 5)
    summary = summarise({"some": some, "random": flat_curves([0.5] * 10 + [1] * 5, [0.5] * 15)}, ["random"], draws=50)
    entry = summary["methods"]["some"]
    assert (entry["images"], entry["without_map"]) == (10, 5)
    assert entry["deletion"]["mean"] == pytest.approx(0.2)
    assert entry["against"]["random"]["images"] == 10
    assert entry["against"]["random"]["deletion"]["mean"] == pytest.approx(-0.3)
    assert summary["controls"]["random"]["deletion"]["mean"] == pytest.approx(2 / 3)


def test_few_images_have_no_interval_and_none_no_mean():
    few = flat_curves([0.2] * 9 + [np.nan], [0.7] * 9 + [np.nan])
    never = flat_curves([np.nan] * 10, [np.nan] * 10)
    random = flat_curves([0.5] * 10, [0.5] * 10)
    summary = summarise({"few": few, "never": never, "random": random}, ["random"], draws=50)
    assert summary["methods"]["few"]["insertion"] == {"mean": pytest.approx(0.7), "low": None, "high": None}
    assert summary["methods"]["never"]["insertion"] == {"mean": None, "low": None, "high": None}
    assert summary["methods"]["never"]["against"]["random"]["images"] == 0
    assert summary["methods"]["never"]["deletion_curve"] is None
    assert "NaN" not in json.dumps(summary)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"pixels": chequered().astype(float)}, r"pixels are uint8 \(n, h, w, 3\), received float64"),
        ({"classes": np.zeros(2, int)}, r"each of 1 images, received int64 \(2,\)"),
        ({"classes": np.zeros(1)}, "received float64"),
        ({"maps": {"cam": maps_of(QUARTER[1:])}}, r"maps of 'cam' .* received \(1, 15, 16\) and 1 reasons"),
        ({"maps": {"cam": maps_of(QUARTER, reasons=[None, None])}}, "and 2 reasons"),
        ({"maps": {"cam": maps_of(QUARTER * np.nan)}}, "maps of 'cam' are finite"),
        ({"steps": 1}, "curves need 2 steps and batches of 1, received 1 and 32"),
        ({"batch_size": 0}, "received 8 and 0"),
        ({"predict": lambda pixels: np.ones(len(pixels))}, r"finite probabilities \(k, classes\), received \(16,\)"),
        ({"predict": lambda pixels: np.full((len(pixels), 2), np.nan)}, "for 16 images, 32 not finite"),
    ],
)
def test_what_does_not_fit_is_refused(changed, message):
    given = {"predict": untouched_quarter, "pixels": chequered(), "classes": np.zeros(1, int)}
    given |= {"maps": {"cam": maps_of(QUARTER)}} | changed
    with pytest.raises(InputError, match=message):
        curves(**given)


def test_curves_of_different_images_and_unknown_controls_are_refused():
    short, long = flat_curves([0.1] * 3, [0.1] * 3), flat_curves([0.1] * 4, [0.1] * 4)
    with pytest.raises(InputError, match=r"received shapes \[\(3, 3\), \(4, 3\)\]"):
        summarise({"one": short, "random": long}, ["random"])
    with pytest.raises(InputError, match="among the curves one, received random"):
        summarise({"one": short}, ["random"])
