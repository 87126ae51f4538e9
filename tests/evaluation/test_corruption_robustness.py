import json

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import accuracy_score
from statsmodels.stats.contingency_tables import mcnemar as reference_mcnemar

from facemask_ensemble.ensemble.voting import majority, soft
from facemask_ensemble.errors import InputError
from facemask_ensemble.evaluation.corruption_robustness import shift_report

NAMES = ["red", "green", "blue"]


def certain(answers, classes=2):
    """Probabilities of members that give these answers, (members, n), without a doubt."""
    return np.eye(classes)[np.array(answers)]


def test_a_small_report_is_the_one_worked_out_by_hand():
    """The truth is class 0 on all four. Votes of three: clean 4 right; blur 3; noise 1; members as below."""
    labels = np.zeros(4, int)
    clean = certain([[0, 0, 0, 1], [0, 0, 1, 0], [0, 1, 0, 0]])
    shifted = {
        ("blur", 1): certain([[0, 0, 0, 1], [0, 0, 1, 1], [0, 1, 0, 0]]),
        ("noise", 2): certain([[0, 1, 1, 1], [0, 1, 1, 1], [0, 0, 0, 0]]),
    }
    report = shift_report(clean, shifted, labels, NAMES, majority)
    intervals = [row.pop("vote_interval") for row in [*report["rows"], report["clean"]]]
    sentence = (
        "Of 2 corruptions of 4 images, noise at strength 2 costs the vote most: its accuracy is 25.0 % instead of "
        "100.0 % (not significant: p = 0.5, corrected for 2 corruptions). With 1 of them a single member is more "
        "accurate than the vote."
    )
    assert report == {
        "images": 4,
        "rows": [
            {
                "kind": "blur",
                "strength": 1,
                "vote": 0.75,
                "members": {"red": 0.75, "green": 0.5, "blue": 0.75},
                "best_member": "red",
                "vote_minus_best": 0.0,
            },
            {
                "kind": "noise",
                "strength": 2,
                "vote": 0.25,
                "members": {"red": 0.25, "green": 0.25, "blue": 1.0},
                "best_member": "blue",
                "vote_minus_best": -0.75,
            },
        ],
        "clean": {
            "vote": 1.0,
            "members": {"red": 0.75, "green": 0.75, "blue": 0.75},
            "best_member": "red",
            "vote_minus_best": 0.25,
        },
        # 3 lost, none won: the exact two-sided p is 2 / 2³ = 0.25, twice that for two rows.
        "worst": {"kind": "noise", "strength": 2, "vote": 0.25, "cost": 0.75, "p_value": 0.5},
        "sentence": sentence,
    }
    for interval, right in zip(intervals, (3, 1, 4), strict=True):
        expected = binomtest(right, 4).proportion_ci(method="wilson")
        assert interval == pytest.approx([expected.low, expected.high])


def test_every_number_is_what_scikit_learn_and_statsmodels_say():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 400)

    def drawn(skill):
        return rng.dirichlet(np.ones(3), (3, 400)) + skill * np.eye(3)[labels]

    clean = drawn(0.8)
    shifted = {(kind, strength): drawn(0.8 - 0.2 * strength) for kind in ("dark", "jpeg") for strength in (1, 2, 3)}
    report = shift_report(clean, shifted, labels, NAMES, soft)
    assert [(row["kind"], row["strength"]) for row in report["rows"]] == list(shifted)
    for row, probs in zip(report["rows"], shifted.values(), strict=True):
        assert row["vote"] == accuracy_score(labels, probs.mean(axis=0).argmax(axis=1))
        members = [accuracy_score(labels, one.argmax(axis=1)) for one in probs]
        assert list(row["members"].values()) == pytest.approx(members)
        assert row["members"][row["best_member"]] == max(members)
        assert row["vote_minus_best"] == pytest.approx(row["vote"] - max(members))
    worst = min(report["rows"], key=lambda row: row["vote"])
    assert (report["worst"]["kind"], report["worst"]["strength"]) == (worst["kind"], worst["strength"])
    before = soft(clean) == labels
    after = soft(shifted[worst["kind"], worst["strength"]]) == labels
    table = [[(before & after).sum(), (before & ~after).sum()], [(~before & after).sum(), (~before & ~after).sum()]]
    assert report["worst"]["p_value"] == pytest.approx(min(1, 6 * reference_mcnemar(table, exact=True).pvalue))
    assert report["worst"]["cost"] == pytest.approx(before.mean() - after.mean())
    assert "p < 0.001, corrected for 6 corruptions" in report["sentence"]
    assert json.loads(json.dumps(report, allow_nan=False)) == report


def test_a_vote_that_loses_nothing_is_said_to_lose_nothing():
    probs = certain([[0, 1], [0, 1], [1, 1]])
    report = shift_report(probs, {("dark", 1): probs}, np.array([0, 1]), NAMES, majority)
    assert (report["worst"]["cost"], report["worst"]["p_value"]) == (0, 1)
    assert report["sentence"] == (
        "None of 1 corruption of 2 images costs the vote accuracy: it is 100.0 % without them. "
        "With none of them a single member is more accurate than the vote."
    )


def test_of_equal_costs_the_first_is_told_and_one_member_is_not_compared_with_itself():
    clean, worse = certain([[0, 0]]), certain([[0, 1]])
    report = shift_report(clean, {("blur", 2): worse, ("blur", 3): worse}, np.zeros(2, int), ["red"], majority)
    assert (report["worst"]["kind"], report["worst"]["strength"]) == ("blur", 2)
    assert "single member" not in report["sentence"]


def test_an_answer_withheld_is_not_right():
    probs = certain([[0, 0], [0, 0]])
    report = shift_report(probs, {("dark", 1): probs}, np.zeros(2, int), NAMES[:2], lambda probs: np.array([0, -1]))
    assert (report["clean"]["vote"], report["rows"][0]["vote"]) == (0.5, 0.5)


@pytest.mark.parametrize(
    ("clean", "worse", "labels"),
    [((3, 4, 2), (3, 5, 2), 4), ((3, 4, 2), (3, 4, 3), 4), ((2, 4, 2), (2, 4, 2), 4), ((3, 4, 2), (3, 4, 2), 5)],
)
def test_probabilities_of_other_images_members_or_classes_are_refused(clean, worse, labels):
    with pytest.raises(InputError, match=r"must have the shape .* ask these members about the images of these labels"):
        shift_report(np.ones(clean), {("dark", 1): np.ones(worse)}, np.zeros(labels, int), NAMES, majority)


def test_nothing_shifted_or_no_images_is_refused():
    with pytest.raises(InputError, match="received none"):
        shift_report(np.ones((3, 2, 2)), {}, np.zeros(2, int), NAMES, majority)
    none = np.ones((3, 0, 2))
    with pytest.raises(InputError, match=r"received \(3, 0, 2\)"):
        shift_report(none, {("dark", 1): none}, np.zeros(0, int), NAMES, majority)
