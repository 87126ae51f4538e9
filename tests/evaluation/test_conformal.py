import json
from math import nan

import numpy as np
import pytest
from mapie.classification import SplitConformalClassifier
from scipy.stats import betabinom, binomtest
from sklearn.base import BaseEstimator, ClassifierMixin

from facemask_ensemble.errors import InputError
from facemask_ensemble.evaluation.conformal import conformal

NAMES = ["none", "all", "some"]


class Given(ClassifierMixin, BaseEstimator):
    """Take the images' probabilities as what is known of them, and give them back."""

    def fit(self, probs, labels):
        self.classes_ = np.arange(probs.shape[1])
        return self

    def predict_proba(self, probs):
        return probs

    def predict(self, probs):
        return probs.argmax(axis=1)


def drawn(images, seed, classes=3):
    generator = np.random.default_rng(seed)
    probs = generator.dirichlet(np.ones(classes), images)
    return probs, (probs.cumsum(axis=1) < generator.random((images, 1))).sum(axis=1)


def test_sets_of_classes_are_those_worked_out_by_hand():
    # Scores 0.1, 0.2, 0.4, 0.6; ceil(5 * 0.7) = 4: threshold 0.6, every class of 0.4 or more is in.
    validation = np.array([[0.9, 0.1, 0], [0.8, 0.2, 0], [0.1, 0.6, 0.3], [0.6, 0.4, 0]])
    test = np.array([[0.5, 0.5, 0], [0.9, 0.1, 0], [0.35, 0.35, 0.3], [0.1, 0.8, 0.1]])
    result = conformal(validation, np.array([0, 0, 1, 1]), test, np.array([0, 1, 0, 1]), NAMES, error=0.3)
    interval = binomtest(2, 4).proportion_ci(method="wilson")
    assert result == {
        "error": 0.3,
        "threshold": pytest.approx(0.6),
        "learned_on": 4,
        "coverage": 0.5,
        "interval": pytest.approx([interval.low, interval.high]),
        "mean_size": 1,
        "sizes": [1, 2, 1, 0],
        "by_class": {"none": 0.5, "all": 0.5, "some": None},
        "note": "",
        "sentence": "Sets of 1.00 classes on average hold the true class of 50.0 % of the images "
        "(95 % interval 15.0 % to 85.0 %); the target is 70.0 %.",
    }
    assert json.loads(json.dumps(result, allow_nan=False)) == result


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("error", [0.05, 0.1, 0.3])
@pytest.mark.parametrize("images", [99, 250])
def test_sets_of_classes_equal_mapies(images, error):
    validation, validation_labels = drawn(images, seed=1, classes=4)
    test, test_labels = drawn(300, seed=2, classes=4)
    model = SplitConformalClassifier(
        Given().fit(validation, validation_labels), confidence_level=1 - error, conformity_score="lac", prefit=True
    )
    _, sets = model.conformalize(validation, validation_labels).predict_set(test)
    sets = sets[:, :, 0]
    covered = sets[np.arange(300), test_labels]
    result = conformal(validation, validation_labels, test, test_labels, list("abcd"), error)
    assert result["sizes"] == np.bincount(sets.sum(axis=1), minlength=5).tolist()
    assert result["coverage"] == pytest.approx(covered.mean())
    assert result["mean_size"] == pytest.approx(sets.sum(axis=1).mean())
    assert list(result["by_class"].values()) == pytest.approx([covered[test_labels == k].mean() for k in range(4)])


@pytest.mark.parametrize(("images", "note"), [(9, ""), (8, "10.0 % needs 9 validation images or more.")])
def test_too_few_validation_images_give_sets_of_all_classes_and_say_so(images, note):
    validation, labels = drawn(images, seed=3)
    result = conformal(validation, labels, *drawn(20, seed=4), NAMES)
    assert result["note"].endswith(note)
    assert (result["threshold"] is None) == bool(note)
    if note:
        assert (result["coverage"], result["mean_size"], result["sizes"]) == (1, 3, [0, 0, 0, 20])


def test_no_validation_image_teaches_nothing():
    result = conformal(np.empty((0, 3)), np.empty(0, int), *drawn(5, seed=5), NAMES)
    assert (result["threshold"], result["coverage"]) == (None, 1)


def test_the_rank_is_not_one_too_high_by_rounding():
    # (99 + 1) * (1 - 0.07) is 93.00000000000001 in floating point; the 93rd smallest of 0.01, 0.02, ... is 0.93.
    scores = np.arange(1, 100) / 100
    validation = np.column_stack([1 - scores, scores])
    for error in (0.07, 0.1, 0.29, 0.43):
        result = conformal(validation, np.zeros(99, int), validation, np.zeros(99, int), ["a", "b"], error)
        assert result["threshold"] == pytest.approx(1 - error)


@pytest.mark.heavy
def test_coverage_of_a_thousand_datasets_is_as_promised():
    # With 99 validation images and no ties the hits of 100 test images are beta-binomial with 90 and 10.
    hits = []
    for seed in range(1000):
        probs, labels = drawn(199, seed)
        hits.append(round(100 * conformal(probs[:99], labels[:99], probs[99:], labels[99:], NAMES)["coverage"]))
    law = betabinom(100, 90, 10)
    assert np.mean(hits) == pytest.approx(law.mean(), abs=4 * law.std() / np.sqrt(1000))
    for level in (0.05, 0.5, 0.95):
        edge = law.ppf(level)
        expected = law.cdf(edge)
        share = np.mean(np.array(hits) <= edge)
        assert share == pytest.approx(expected, abs=4 * np.sqrt(expected * (1 - expected) / 1000))


@pytest.mark.parametrize(
    ("probs", "labels", "message"),
    [
        (np.empty((0, 3)), [], r"test probabilities of shape \(images, 3\)"),
        (np.full((2, 2), 0.5), [0, 1], r"received shapes \(2, 2\) and \(2,\)"),
        (np.full((1, 3), nan), [0], "test probabilities must lie from 0 to 1"),
        (np.full((1, 3), 7.0), [0], "test probabilities must lie from 0 to 1"),
        (np.full((1, 3), 0.3), [3], "from 0 to 2, received 3 to 3"),
    ],
)
def test_probabilities_that_make_no_sets_are_refused(probs, labels, message):
    with pytest.raises(InputError, match=message):
        conformal(*drawn(20, seed=6), probs, np.array(labels, int), NAMES)


@pytest.mark.parametrize("error", [0, 1, -0.1, nan])
def test_an_error_that_is_no_share_is_refused(error):
    with pytest.raises(InputError, match=f"received {error}"):
        conformal(*drawn(20, seed=7), *drawn(20, seed=8), NAMES, error)


def test_a_class_as_probable_as_the_threshold_is_in_the_set_whatever_rounding_says():
    validation, test = np.tile([0.8, 0.1, 0.1], (20, 1)), np.array([[0.1 + 0.7, 0.1, 0.1], [0.8, 0.1, 0.1]])
    result = conformal(validation, np.zeros(20, int), test, np.zeros(2, int), NAMES)
    assert result["sizes"] == [0, 2, 0, 0]
    assert result["coverage"] == 1
