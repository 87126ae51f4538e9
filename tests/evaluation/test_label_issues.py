import json

import numpy as np
import pytest
from cleanlab.rank import get_label_quality_ensemble_scores

from facemask_ensemble.errors import InputError
from facemask_ensemble.evaluation.label_issues import suspects

NAMES = ["none", "all", "some"]
MEMBERS = ["A", "B", "C", "D", "E"]


def trained(truth, seed=0, members=5, classes=3):
    """Members that know the truth, each with a certainty of its own for every image."""
    sure = np.random.default_rng(seed).uniform(0.9, 0.95, (members, len(truth), 1))
    mark = np.eye(classes)[truth]
    return mark * sure + (1 - mark) * (1 - sure) / (classes - 1)


def audit(probs, labels, **options):
    paths = [f"{place}.png" for place in range(len(labels))]
    return suspects(probs, labels, paths, NAMES, MEMBERS[: len(probs)], **options)


def test_swapped_labels_are_found_and_nothing_else():
    truth = np.arange(300) % 3
    labels, swapped = truth.copy(), np.arange(0, 300, 25)
    labels[swapped] = (truth[swapped] + 1) % 3
    found = audit(trained(truth), labels)
    assert {row["path"] for row in found} == {f"{place}.png" for place in swapped}
    for row in found:
        place = int(row["path"].removesuffix(".png"))
        assert row["label"] == NAMES[labels[place]]
        assert row["suggested"] == NAMES[truth[place]]
        assert row["agreeing"] == MEMBERS
        assert row["members"] == 5
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_the_most_doubtful_comes_first_by_cleanlabs_own_score_of_an_ensemble():
    truth = np.arange(300) % 3
    labels = np.where(np.arange(300) % 20 == 0, (truth + 2) % 3, truth)
    probs = trained(truth, seed=1)
    found = audit(probs, labels)
    scores = get_label_quality_ensemble_scores(labels, list(probs), weight_ensemble_members_by="uniform", verbose=False)
    qualities = [row["quality"] for row in found]
    assert qualities == sorted(qualities)
    assert qualities == pytest.approx(sorted(scores)[:15])
    assert audit(probs, labels, most=4) == found[:4]


def test_clean_labels_are_not_doubted():
    truth = np.arange(300) % 3
    assert audit(trained(truth), truth) == []


def test_half_of_the_members_are_not_enough():
    # On mean probabilities alone the first image would be one to doubt in both cases.
    truth = np.arange(120) % 3
    labels = truth.copy()
    labels[0] = 1
    probs = 0.6 * trained(truth, members=4) + 0.4 / 3
    probs[:, 0] = [[0.98, 0.01, 0.01], [0.98, 0.01, 0.01], [0.45, 0.5, 0.05], [0.45, 0.5, 0.05]]
    assert audit(probs, labels) == []
    probs[2, 0] = [0.5, 0.45, 0.05]
    (row,) = audit(probs, labels)
    assert (row["path"], row["agreeing"], row["members"]) == ("0.png", ["A", "B", "C"], 4)
    assert row["quality"] == pytest.approx((0.01 + 0.01 + 0.45 + 0.5) / 4)


def test_members_that_suggest_different_classes_suggest_none():
    truth = np.arange(120) % 3
    other = truth.copy()
    other[0] = 2
    labels = truth.copy()
    labels[0] = 1
    probs = np.concatenate([trained(truth, members=2), trained(other, seed=3, members=2)])
    assert audit(probs, labels) == []


def test_a_class_that_no_image_is_labelled_is_still_suggested():
    truth = np.arange(100) % 2
    truth[[7, 8]] = 2
    labels = truth.copy()
    labels[[7, 8]] = [0, 1]
    labels[20] = 1
    found = audit(trained(truth), labels)
    assert {(row["path"], row["label"], row["suggested"]) for row in found} == {
        ("7.png", "none", "some"),
        ("8.png", "all", "some"),
        ("20.png", "all", "none"),
    }


@pytest.mark.parametrize("label", [0, 2])
def test_labels_of_one_class_only_are_judged_by_the_majority(label):
    truth = np.full(30, label)
    truth[5] = 1
    (row,) = audit(trained(truth), np.full(30, label))
    assert (row["path"], row["suggested"]) == ("5.png", "all")


def test_the_only_image_of_a_class_can_be_doubted():
    truth = np.arange(100) % 2
    labels = truth.copy()
    labels[40] = 2
    (row,) = audit(trained(truth), labels)
    assert (row["path"], row["label"], row["suggested"]) == ("40.png", "some", "none")


def test_one_member_is_auditor_enough_and_nothing_is_printed(capfd, recwarn):
    truth = np.arange(90) % 3
    labels = truth.copy()
    labels[0] = 2
    (row,) = audit(trained(truth, members=1), labels)
    assert (row["agreeing"], row["members"]) == (["A"], 1)
    assert capfd.readouterr() == ("", "")
    assert not recwarn.list


@pytest.mark.parametrize(
    ("probs", "labels", "message"),
    [
        (np.full((5, 3, 3), 1 / 3), [0, 1], r"received shape \(5, 3, 3\) with \(5, 2, 3\) names"),
        (np.full((5, 2, 2), 1 / 2), [0, 1], r"received shape \(5, 2, 2\)"),
        (np.full((5, 0, 3), 1 / 3), [], r"labels of shape \(0,\)"),
        (np.full((5, 2, 3), 7.0), [0, 1], "must lie from 0 to 1"),
        (np.full((5, 2, 3), 1 / 3), [0, -1], "from 0 to 2, received -1 to 0"),
    ],
)
def test_what_does_not_belong_together_is_refused(probs, labels, message):
    with pytest.raises(InputError, match=message):
        audit(probs, np.array(labels, int))
