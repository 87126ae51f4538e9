import json

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from facemask_ensemble.ensemble.voting import ABSTAIN
from facemask_ensemble.errors import InputError
from facemask_ensemble.evaluation.metrics import classification_metrics

NAMES = ["none", "all", "some"]
LABELS = np.array([0, 0, 0, 0, 1, 1, 2, 2])
ANSWERS = np.array([0, 0, 0, 1, 1, 2, 2, 2])


def test_scores_equal_those_worked_out_by_hand():
    scores = classification_metrics(LABELS, ANSWERS, NAMES)
    assert scores["confusion_matrix"] == [[3, 1, 0], [0, 1, 1], [0, 0, 2]]
    assert scores["accuracy"] == 6 / 8
    assert scores["balanced_accuracy"] == pytest.approx((3 / 4 + 1 / 2 + 1) / 3)
    assert scores["per_class"]["none"] == pytest.approx({"precision": 1, "recall": 0.75, "f1": 6 / 7, "support": 4})
    assert scores["per_class"]["all"] == pytest.approx({"precision": 0.5, "recall": 0.5, "f1": 0.5, "support": 2})
    assert scores["per_class"]["some"] == pytest.approx({"precision": 2 / 3, "recall": 1, "f1": 0.8, "support": 2})
    assert scores["macro_precision"] == pytest.approx((1 + 1 / 2 + 2 / 3) / 3)
    assert scores["macro_f1"] == pytest.approx((6 / 7 + 0.5 + 0.8) / 3)
    assert scores["weighted_f1"] == pytest.approx((4 * 6 / 7 + 2 * 0.5 + 2 * 0.8) / 8)


def test_micro_scores_equal_accuracy_where_every_image_has_one_label():
    scores = classification_metrics(LABELS, ANSWERS, NAMES)
    assert {scores[f"micro_{score}"] for score in ("precision", "recall", "f1")} == {0.75}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seed", range(5))
def test_scores_equal_scikit_learns_also_with_classes_that_are_missing(seed):
    generator = np.random.default_rng(seed)
    labels, answers = generator.integers(0, 4, 30), generator.integers(1, 6, 30)
    scores = classification_metrics(labels, answers, list("abcdef"))
    assert scores["balanced_accuracy"] == pytest.approx(sklearn_metrics.balanced_accuracy_score(labels, answers))
    for average in ("macro", "weighted"):
        expected = sklearn_metrics.f1_score(labels, answers, average=average, zero_division=0)
        assert scores[f"{average}_f1"] == pytest.approx(expected)
    assert np.array(scores["confusion_matrix"]).shape == (6, 6)


@pytest.mark.filterwarnings("error")
def test_a_class_nobody_answers_scores_zero_without_a_warning():
    scores = classification_metrics(np.array([0, 1, 2]), np.array([0, 0, 0]), NAMES)
    assert scores["per_class"]["some"] == {"precision": 0, "recall": 0, "f1": 0, "support": 1}
    assert scores["macro_f1"] == pytest.approx(0.5 / 3)


def test_scores_can_be_written_as_json():
    scores = classification_metrics(LABELS, ANSWERS, NAMES)
    assert json.loads(json.dumps(scores, allow_nan=False)) == scores


@pytest.mark.parametrize(
    ("labels", "answers", "message"),
    [
        ([0, 1], [0], r"shapes \(2,\) and \(1,\)"),
        ([], [], "0 images"),
        ([0, 3], [0, 1], "truth must be class indices from 0 to 2, received 0 to 3"),
        ([0, 1], [-2, 1], "answers must be class indices from 0 to 2, received -2 to 1"),
    ],
)
def test_answers_that_cannot_be_scored_are_refused(labels, answers, message):
    with pytest.raises(InputError, match=message):
        classification_metrics(np.array(labels, int), np.array(answers, int), NAMES)


def test_an_image_without_an_answer_lowers_accuracy_and_recall_and_no_precision():
    # Class a: two images, one answered rightly, one not at all. Class b: two, both right.
    scores = classification_metrics(np.array([0, 0, 1, 1]), np.array([0, ABSTAIN, 1, 1]), ("a", "b"))
    assert scores["accuracy"] == 0.75
    assert scores["balanced_accuracy"] == 0.75
    assert (scores["per_class"]["a"]["recall"], scores["per_class"]["a"]["precision"]) == (0.5, 1)
    assert scores["confusion_matrix"] == [[1, 0], [0, 2]]
    assert scores["macro_f1"] == pytest.approx((2 / 3 + 1) / 2)
