import json

import numpy as np
import pytest
import sklearn.metrics
from scipy.special import softmax
from scipy.stats import binned_statistic, binomtest

from facemask_ensemble.errors import InputError
from facemask_ensemble.evaluation.calibration import (
    apply_temperature,
    brier_score,
    calibrate,
    expected_calibration_error,
    fit_temperature,
    log_loss,
    reliability,
)


def planted(images: int, sharpness: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Draw labels from softmax(z), and report softmax(sharpness * z)."""
    generator = np.random.default_rng(seed)
    logits = 2 * generator.standard_normal((images, 3))
    labels = np.array([generator.choice(3, p=row) for row in softmax(logits, axis=1)])
    return softmax(sharpness * logits, axis=1), labels


OVERCONFIDENT = planted(4000, 2)


def test_log_loss_is_scikit_learns():
    probs, labels = OVERCONFIDENT
    assert log_loss(probs, labels) == pytest.approx(sklearn.metrics.log_loss(labels, probs))


def test_log_loss_of_a_zero_for_the_right_class_is_finite():
    assert log_loss(np.array([[1, 0]], "float32"), np.array([1])) == pytest.approx(-np.log(1e-12))


def test_brier_score_is_the_one_worked_out_by_hand():
    # Sure and right: 0. Half and half: 0.25 + 0.25. Sure and wrong: 1 + 1.
    probs, labels = np.array([[1, 0, 0], [0.5, 0.5, 0], [0, 0, 1]]), np.array([0, 0, 0])
    assert brier_score(probs, labels) == pytest.approx((0 + 0.5 + 2) / 3)


def test_brier_score_is_scikit_learns():
    probs, labels = OVERCONFIDENT
    expected = sklearn.metrics.brier_score_loss(labels, probs, labels=[0, 1, 2], scale_by_half=False)
    assert brier_score(probs, labels) == pytest.approx(expected)


# Confidences of 0.55, 0.65 and 0.75 lie in (0.5, 0.75], 0.95 and 1 in (0.75, 1]; the second and the last are wrong.
HAND = np.array([[0.55, 0.45], [0.35, 0.65], [0.75, 0.25], [0.05, 0.95], [1, 0]]), np.array([0, 0, 0, 1, 1])


def test_expected_calibration_error_is_the_one_worked_out_by_hand():
    # Bin (0.5, 0.75]: confidence 0.65, accuracy 2/3. Bin (0.75, 1]: confidence 0.975, accuracy 1/2.
    assert expected_calibration_error(*HAND, bins=4) == pytest.approx(3 / 5 * (2 / 3 - 0.65) + 2 / 5 * (0.975 - 0.5))


@pytest.mark.parametrize("bins", [1, 10, 15])
def test_expected_calibration_error_is_the_one_from_scipys_bins(bins):
    probs, labels = OVERCONFIDENT
    confidence, right = probs.max(axis=1), probs.argmax(axis=1) == labels
    gaps = binned_statistic(confidence, confidence - right, "sum", bins, range=(0, 1)).statistic
    assert expected_calibration_error(probs, labels, bins) == pytest.approx(np.abs(gaps).sum() / len(labels))


def test_reliability_is_the_one_worked_out_by_hand():
    low, high = reliability(*HAND, bins=4)
    assert (low["low"], low["high"], low["images"]) == (0.5, 0.75, 3)
    assert (low["confidence"], low["accuracy"]) == pytest.approx((0.65, 2 / 3))
    assert (high["low"], high["high"], high["images"]) == (0.75, 1, 2)
    assert (high["confidence"], high["accuracy"]) == pytest.approx((0.975, 0.5))
    expected = binomtest(2, 3).proportion_ci(method="wilson")
    assert low["interval"] == pytest.approx([expected.low, expected.high])


def test_reliability_holds_every_image_and_gives_the_calibration_error():
    probs, labels = OVERCONFIDENT
    bins = reliability(probs, labels)
    assert sum(row["images"] for row in bins) == len(labels)
    assert all(row["low"] < row["confidence"] <= row["high"] for row in bins)
    gaps = [row["images"] * abs(row["confidence"] - row["accuracy"]) for row in bins]
    assert sum(gaps) / len(labels) == pytest.approx(expected_calibration_error(probs, labels))


@pytest.mark.parametrize("sharpness", [0.5, 2, 5])
def test_a_planted_temperature_is_recovered(sharpness):
    assert fit_temperature(*planted(6000, sharpness)) == pytest.approx(sharpness, rel=0.05)


def test_no_other_temperature_has_a_smaller_log_loss():
    probs, labels = planted(200, 3, seed=1)
    found = sklearn.metrics.log_loss(labels, softmax(np.log(probs) / fit_temperature(probs, labels), axis=1))
    for temperature in np.geomspace(0.05, 20, 200):
        assert found <= sklearn.metrics.log_loss(labels, softmax(np.log(probs) / temperature, axis=1)) + 1e-9


def test_a_temperature_learned_from_sure_and_right_answers_stays_in_its_bounds():
    assert 0.05 <= fit_temperature(np.eye(3, dtype="float32"), np.arange(3)) <= 20
    assert 0.05 <= fit_temperature(np.eye(3, dtype="float32"), np.array([1, 2, 0])) <= 20


@pytest.mark.parametrize("images", [0, 1])
def test_fewer_than_two_images_teach_no_temperature(images):
    assert fit_temperature(OVERCONFIDENT[0][:images], OVERCONFIDENT[1][:images]) == 1


def test_a_temperature_of_two_takes_the_square_root_of_the_odds():
    assert apply_temperature(np.array([0.9, 0.1]), 2) == pytest.approx(np.array([0.75, 0.25]))


def test_a_temperature_of_one_changes_nothing_in_any_shape():
    probs = OVERCONFIDENT[0][:24].reshape(2, 3, 4, 3)
    assert apply_temperature(probs, 1) == pytest.approx(probs)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("temperature", [0.05, 1, 20])
def test_exact_zeros_in_float32_stay_probabilities(temperature):
    changed = apply_temperature(np.array([[1, 0, 0], [0.5, 0.5, 0]], "float32"), temperature)
    assert np.isfinite(changed).all()
    assert changed.sum(axis=1) == pytest.approx(np.ones(2))
    assert changed[0].argmax() == 0


def members(images: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Report one planted image set three times: calibrated, overconfident and timid."""
    probs, labels = planted(images, 1, seed)
    return np.stack([softmax(np.log(probs) * sharpness, axis=1) for sharpness in (1, 3, 0.4)]), labels


NAMES = ("honest", "loud", "timid")
CALIBRATION = calibrate(*members(2000, 2), *members(2000, 3), NAMES)


def test_calibration_learns_a_temperature_a_member_and_one_for_their_mean():
    rows = CALIBRATION["rows"]
    assert [row["name"] for row in rows] == [*NAMES, "mean of members"]
    # The calibrated members agree, so that their mean needs no further temperature.
    assert [row["temperature"] for row in rows] == pytest.approx([1, 3, 0.4, 1], rel=0.1)
    assert (CALIBRATION["bins"], CALIBRATION["learned_on"]) == (15, 2000)


def test_calibration_mends_the_members_that_need_it():
    for row in CALIBRATION["rows"][1:3]:
        assert row["before"]["expected_calibration_error"] > 0.08
        assert row["after"]["expected_calibration_error"] < 0.04
        assert row["after"]["log_loss"] < row["before"]["log_loss"]
        assert row["after"]["brier_score"] < row["before"]["brier_score"]


def test_the_mean_is_judged_before_as_it_is_and_after_with_all_temperatures():
    validation, validation_labels = members(500, 4)
    test, labels = members(500, 5)
    row = calibrate(validation, validation_labels, test, labels, NAMES)["rows"][-1]
    assert row["before"]["log_loss"] == pytest.approx(sklearn.metrics.log_loss(labels, test.mean(axis=0)))
    temperatures = [fit_temperature(probs, validation_labels) for probs in validation]
    means = [
        np.mean([softmax(np.log(p) / t, axis=1) for p, t in zip(split, temperatures, strict=True)], axis=0)
        for split in (validation, test)
    ]
    assert row["temperature"] == pytest.approx(fit_temperature(means[0], validation_labels), rel=1e-4)
    after = softmax(np.log(means[1]) / row["temperature"], axis=1)
    assert row["after"]["log_loss"] == pytest.approx(sklearn.metrics.log_loss(labels, after))
    confidences = [
        [bin["confidence"] for bin in rows] for rows in (row["reliability_after"], reliability(after, labels))
    ]
    assert confidences[0] == pytest.approx(confidences[1], rel=1e-5)


def test_the_test_split_teaches_nothing():
    (validation, validation_labels), (test, labels) = members(300, 6), members(300, 7)
    found = [calibrate(validation, validation_labels, test, truth, NAMES) for truth in (labels, labels[::-1])]
    assert [row["temperature"] for row in found[0]["rows"]] == [row["temperature"] for row in found[1]["rows"]]


def test_without_a_validation_split_every_temperature_is_one():
    test, labels = members(50, 8)
    found = calibrate(test[:, :0], labels[:0], test, labels, NAMES)
    assert [row["temperature"] for row in found["rows"]] == [1, 1, 1, 1]
    assert found["learned_on"] == 0
    assert found["rows"][1]["after"] == pytest.approx(found["rows"][1]["before"])


def test_calibration_can_be_written_as_json():
    assert json.loads(json.dumps(CALIBRATION, allow_nan=False)) == CALIBRATION


@pytest.mark.parametrize(
    ("probs", "labels", "message"),
    [
        ([0.5, 0.5], [0], r"received shapes \(2,\) and \(1,\)"),
        ([[0.5, 0.5]], [0, 1], r"received shapes \(1, 2\) and \(2,\)"),
        (np.empty((0, 2)), [], "0 images"),
        ([[0.5, 0.5]], [2], "from 0 to 1, received 2 to 2"),
        ([[0.5, 0.5]], [-1], "from 0 to 1, received -1 to -1"),
        ([[np.nan, 0.5]], [0], "from 0 to 1, and some do not or are nan"),
        ([[3.0, -2.0]], [0], "from 0 to 1, and some do not"),
    ],
)
@pytest.mark.parametrize("metric", [log_loss, brier_score, expected_calibration_error, reliability])
def test_probabilities_that_cannot_be_judged_are_refused(metric, probs, labels, message):
    with pytest.raises(InputError, match=message):
        metric(np.array(probs), np.array(labels, int))


def test_a_temperature_bins_and_members_out_of_range_are_refused():
    with pytest.raises(InputError, match="above 0, received 0"):
        apply_temperature(HAND[0], 0)
    with pytest.raises(InputError, match="at least one bin, received 0"):
        expected_calibration_error(*HAND, bins=0)
    test, labels = members(10, 9)
    with pytest.raises(InputError, match=r"of 2 members, received shapes \(3, 10, 3\)"):
        calibrate(test, labels, test, labels, ["one", "two"])


@pytest.mark.parametrize(
    "probs",
    [
        np.full((12, 3), 1 / 3),
        (1 / 3 * (1 + 1e-7 * np.random.default_rng(0).normal(size=(12, 3)))).astype(np.float32),
        np.eye(3)[np.arange(12) % 3],
        np.eye(3)[np.arange(12) % 3] * (1 - 3e-12) + 1e-12,
    ],
    ids=["uniform", "uniform but for rounding", "always right and sure", "right and sure but for rounding"],
)
def test_where_no_temperature_lowers_the_loss_by_more_than_rounding_it_is_1(probs):
    assert fit_temperature(probs, np.arange(12) % 3) == 1
