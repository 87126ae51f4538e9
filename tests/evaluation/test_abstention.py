import json
from math import inf, nan

import numpy as np
import pytest
from scipy.stats import binomtest

from facemask_ensemble.errors import InputError
from facemask_ensemble.evaluation.abstention import risk_coverage, send_to_person


def test_risk_and_coverage_are_those_worked_out_by_hand():
    # Falling confidence: right, right, wrong, right.
    curve = risk_coverage(np.array([0.6, 0.9, 0.7, 0.8]), np.array([True, True, False, True]))
    assert curve["coverage"] == [0.25, 0.5, 0.75, 1]
    assert curve["risk"] == [0, 0, pytest.approx(1 / 3), 0.25]
    assert curve["area"] == pytest.approx((0 + 0 + 1 / 3 + 1 / 4) / 4)


def test_images_of_equal_confidence_come_together():
    right = np.array([True, False, True, False])
    curve = risk_coverage(np.array([0.9, 0.8, 0.8, 0.8]), right)
    assert curve["coverage"] == [0.25, 1]
    assert curve["risk"] == [0, 0.5]
    assert curve["area"] == pytest.approx(0.75 * 0.5)
    assert risk_coverage(np.full(4, 0.8), right) == {"coverage": [1], "risk": [0.5], "area": 0.5}


def test_the_curve_is_thinned_to_both_ends_and_its_area_is_not():
    generator = np.random.default_rng(0)
    confidence, right = generator.random(5000), generator.random(5000) < 0.9
    curve = risk_coverage(confidence, right)
    wrong = ~right[np.argsort(-confidence)]
    risks = np.cumsum(wrong) / np.arange(1, 5001)
    assert len(curve["coverage"]) == len(curve["risk"]) == 200
    assert (curve["coverage"][0], curve["coverage"][-1]) == (1 / 5000, 1)
    assert curve["risk"][-1] == pytest.approx(wrong.mean())
    assert np.array(curve["risk"]) == pytest.approx(risks[np.round(np.array(curve["coverage"]) * 5000).astype(int) - 1])
    assert curve["area"] == pytest.approx(risks.mean())


def test_the_area_is_least_where_the_wrong_answers_are_the_least_sure():
    right = np.arange(100) >= 20
    confidence = np.linspace(0, 1, 100)
    best, worst = risk_coverage(confidence, right)["area"], risk_coverage(-confidence, right)["area"]
    assert best < risk_coverage(np.ones(100), right)["area"] < worst


def test_an_image_without_an_answer_comes_last():
    curve = risk_coverage(np.array([nan, 0.9, 0.1]), np.array([False, True, True]))
    assert curve["risk"] == [0, 0, pytest.approx(1 / 3)]


def test_what_is_sent_and_what_it_brings_is_worked_out_by_hand():
    # The 4 % quantile of 0, 0.01, ... 1 is 0.04: 4 of the test images are below it, 2 of them wrong, of 5 wrong.
    confidence = np.concatenate([[0.01, 0.01, 0.02, 0.039], np.linspace(0.04, 1, 46)])
    wrong = np.isin(np.arange(50), [0, 1, 10, 20, 30])
    (row,) = send_to_person(np.linspace(0, 1, 101), confidence, ~wrong, shares=[0.04])
    interval = binomtest(3, 46).proportion_ci(method="wilson")
    assert row == {
        "asked": 0.04,
        "threshold": pytest.approx(0.04),
        "sent": 0.08,
        "images_sent": 4,
        "error": 3 / 46,
        "interval": pytest.approx([interval.low, interval.high]),
        "error_before": 0.1,
        "sentence": "Send 8.0 % of the images to a person and the error of the others falls from 10.0 % to 6.5 %.",
    }


def test_each_share_is_measured_and_fits_into_json():
    generator = np.random.default_rng(1)
    confidence = generator.random(20_000)
    rows = send_to_person(generator.random(20_000), confidence, generator.random(20_000) < confidence)
    assert [row["asked"] for row in rows] == [0.01, 0.02, 0.04, 0.08, 0.16]
    assert [row["sent"] for row in rows] == pytest.approx([0.01, 0.02, 0.04, 0.08, 0.16], abs=0.01)
    assert [row["error"] for row in rows] == sorted((row["error"] for row in rows), reverse=True)
    assert json.loads(json.dumps(rows, allow_nan=False)) == rows


@pytest.mark.parametrize(
    ("right", "sentence"),
    [
        ([True, True, False, True], "Send 25.0 % of the images to a person and the error of the others rises from "),
        ([True] * 4, "Send 25.0 % of the images to a person and the error of the others stays at 0.0 %."),
        ([False] * 4, "Send 25.0 % of the images to a person and the error of the others stays at 100.0 %."),
    ],
)
def test_the_sentence_says_truly_whether_the_error_falls(right, sentence):
    (row,) = send_to_person(np.array([0.5, 0.5]), np.array([0.1, 0.7, 0.8, 0.9]), np.array(right), shares=[0.5])
    assert row["sentence"].startswith(sentence)


def test_all_sent_leaves_no_error_and_none_sent_leaves_it_as_it_was():
    right = np.array([True, False])
    (everything,) = send_to_person(np.array([0.9, 0.9]), np.array([0.1, 0.2]), right, shares=[0.5])
    (nothing,) = send_to_person(np.array([0.9, 0.9]), np.array([0.9, 1.0]), right, shares=[0.5])
    assert (everything["sent"], everything["error"], everything["interval"]) == (1, None, None)
    assert everything["sentence"] == "Every image is sent to a person: none is left to answer."
    assert (nothing["images_sent"], nothing["error"]) == (0, 0.5)
    assert nothing["sentence"] == "No image is sent to a person, and the error stays at 50.0 %."


def test_a_small_share_is_not_rounded_to_nothing():
    confidence = np.append(0.1, np.full(9999, 0.9))
    (row,) = send_to_person(confidence, confidence, confidence > 0.5, shares=[0.01])
    assert row["sentence"] == (
        "Send 0.01 % of the images to a person and the error of the others falls from 0.01 % to 0.0 %."
    )


def test_an_image_without_an_answer_always_goes_to_a_person():
    validation = np.array([nan, nan, 0.5, 0.6])
    (row,) = send_to_person(validation, np.array([nan, 0.4, 0.9]), np.array([False, True, True]), shares=[0])
    assert (row["threshold"], row["images_sent"], row["error"]) == (0, 1, 0)


@pytest.mark.parametrize(
    ("confidence", "right", "message"),
    [
        ([], [], r"one finite number an image, received shape \(0,\)"),
        ([0.5, inf], [True, True], "with 1 infinite"),
        ([0.5], [True, False], r"shapes \(1,\) and \(2,\)"),
    ],
)
def test_confidences_that_cannot_be_judged_are_refused(confidence, right, message):
    with pytest.raises(InputError, match=message):
        risk_coverage(np.array(confidence), np.array(right, bool))
    with pytest.raises(InputError, match=message):
        send_to_person(np.array([0.5]), np.array(confidence), np.array(right, bool))


def test_a_share_beyond_one_is_refused():
    with pytest.raises(InputError, match=r"between 0 and 1, received \[0.1, 4\]"):
        send_to_person(np.array([0.5]), np.array([0.5]), np.array([True]), shares=[0.1, 4])


def test_confidences_that_differ_by_rounding_are_equal():
    # 0.1 + 0.2 and 0.3 are neighbours in float64; so are sums of the same probabilities in another order.
    confidence = np.tile([0.1 + 0.2, 0.3], 4)
    right = np.tile([True, False], 4)
    assert risk_coverage(confidence, right) == {"coverage": [1], "risk": [0.5], "area": 0.5}
    (row,) = send_to_person(np.full(100, 0.1 + 0.2), confidence, right, shares=[0.04])
    assert (row["images_sent"], row["error"]) == (0, 0.5)
