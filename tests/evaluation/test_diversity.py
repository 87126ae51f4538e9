import json

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar
from statsmodels.stats.multitest import multipletests

from facemask_ensemble.ensemble import voting
from facemask_ensemble.errors import InputError
from facemask_ensemble.evaluation.diversity import drop_one, pairwise

MEMBERS = ["A", "B", "C"]


def certain(answers, classes=3):
    return np.eye(classes)[np.asarray(answers)]


def majority_of(answers):
    probs = certain(answers)
    return lambda kept: voting.majority(probs[list(kept)])


def test_q_and_double_fault_of_kunchevas_table_are_those_worked_out_by_hand():
    # Both right 50, only the first 10, only the second 20, neither 20: Q = (50 * 20 - 10 * 20) / (50 * 20 + 10 * 20).
    first = np.repeat([0, 0, 1, 1], [50, 10, 20, 20])
    second = np.repeat([0, 1, 0, 2], [50, 10, 20, 20])
    result = pairwise(certain([first, second]), np.zeros(100, int))
    assert result["q_statistic"] == [[1, pytest.approx(2 / 3)], [pytest.approx(2 / 3), 1]]
    assert result["both_wrong"] == [[0.4, 0.2], [0.2, 0.3]]
    assert result["agreement"] == [[1, 0.5], [0.5, 1]]
    assert result["same_error"] == [[0.4, 0], [0, 0.3]]


def test_q_is_minus_one_where_members_fail_on_different_images_and_zero_where_independently():
    labels = np.zeros(4, int)
    opposed = pairwise(certain([[0, 0, 1, 1], [1, 1, 0, 0]]), labels)
    independent = pairwise(certain([[0, 0, 1, 1], [0, 1, 0, 1]]), labels)
    assert opposed["q_statistic"][0][1] == -1
    assert independent["q_statistic"][0][1] == 0


def test_same_error_counts_only_the_same_wrong_answer():
    result = pairwise(certain([[1, 1, 2, 0], [1, 2, 2, 0]]), np.array([0, 0, 0, 0]))
    assert result["same_error"][0][1] == 2 / 4
    assert result["both_wrong"][0][1] == 3 / 4


@pytest.mark.parametrize("seed", range(3))
def test_kappa_and_agreement_equal_scikit_learns_and_a_count_image_by_image(seed):
    generator = np.random.default_rng(seed)
    probs, labels = generator.dirichlet(np.ones(4), (5, 60)), generator.integers(0, 4, 60)
    result, answers = pairwise(probs, labels), probs.argmax(axis=2)
    for i in range(5):
        for j in range(5):
            pairs = list(zip(answers[i].tolist(), answers[j].tolist(), labels.tolist(), strict=True))
            assert result["kappa"][i][j] == pytest.approx(cohen_kappa_score(answers[i], answers[j]))
            assert result["agreement"][i][j] == sum(a == b for a, b, _ in pairs) / 60
            assert result["both_wrong"][i][j] == sum(a != c and b != c for a, b, c in pairs) / 60
            assert result["same_error"][i][j] == sum(a == b != c for a, b, c in pairs) / 60


def test_matrices_are_symmetric_and_fit_into_json():
    generator = np.random.default_rng(4)
    result = pairwise(generator.dirichlet(np.ones(3), (4, 50)), generator.integers(0, 3, 50))
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    for matrix in result.values():
        assert np.array_equal(matrix, np.transpose(matrix))


@pytest.mark.filterwarnings("error")
def test_a_value_without_a_denominator_is_none():
    # Both always answer 0 and are always right: chance agrees as often, and there is no wrong answer to share.
    result = pairwise(certain([[0, 0], [0, 0]]), np.array([0, 0]))
    assert result["kappa"] == [[None, None], [None, None]]
    assert result["q_statistic"] == [[None, None], [None, None]]
    assert result["agreement"] == [[1, 1], [1, 1]]


@pytest.mark.parametrize(("images", "labels"), [(3, [0, 1]), (0, []), (2, [[0, 1]])])
def test_labels_of_other_images_are_refused(images, labels):
    with pytest.raises(InputError, match="must be on the images of the labels"):
        pairwise(np.full((2, images, 3), 1 / 3), np.array(labels, int))


def test_dropping_a_member_equals_voting_without_it_by_hand():
    # Of two members that differ, the tie goes to the class that comes first. Without A: B and C, and so on.
    answers = [[0, 1, 1, 2], [0, 1, 2, 2], [0, 0, 1, 2]]
    result = drop_one(majority_of(answers), MEMBERS, np.array([0, 1, 1, 1]))
    assert result["whole"] == 3 / 4
    assert [row["member"] for row in result["rows"]] == MEMBERS
    assert [row["accuracy"] for row in result["rows"]] == [0.5, 0.5, 0.75]
    assert [row["difference"] for row in result["rows"]] == [-0.25, -0.25, 0]
    assert [row["answers"] for row in result["rows"]] == [4, 4, 4]
    assert result["sentence"] == (
        "The vote still answers every image without any one member; "
        "leaving out any one member makes no significant difference."
    )


def test_every_absence_is_voted_by_the_others_in_their_order():
    kept_each_time = []

    def vote(kept):
        kept_each_time.append(kept)
        return np.zeros(2, int)

    drop_one(vote, MEMBERS, np.zeros(2, int))
    assert kept_each_time == [(0, 1, 2), (1, 2), (0, 2), (0, 1)]


def planted(accuracies, images=400):
    """Answer for the whole and without each of the members, right on the first share of the images."""

    def vote(kept):
        missing = set(range(len(accuracies) - 1)) - set(kept)
        share = accuracies[missing.pop() + 1 if missing else 0]
        return (np.arange(images) >= round(share * images)).astype(int)

    return vote, np.zeros(images, int)


def test_p_values_and_their_adjustment_equal_statsmodels():
    vote, labels = planted([0.9, 0.87, 0.89, 0.91])
    rows = drop_one(vote, MEMBERS, labels)["rows"]
    tables = [[[0, 0], [12, 0]], [[0, 0], [4, 0]], [[0, 4], [0, 0]]]
    expected = [statsmodels_mcnemar(np.array(table), exact=True).pvalue for table in tables]
    assert [row["p_value"] for row in rows] == pytest.approx(expected)
    assert [row["p_adjusted"] for row in rows] == pytest.approx(multipletests(expected, method="holm")[1])
    for row in rows:
        assert row["interval"][0] <= row["difference"] <= row["interval"][1]


def test_the_sentence_names_the_member_whose_absence_costs_most():
    vote, labels = planted([0.9, 0.87, 0.85, 0.91])
    assert drop_one(vote, MEMBERS, labels)["sentence"].endswith(
        "; leaving out B costs most, 5.0 points of accuracy (p < 0.001 by Holm)."
    )


def test_the_sentence_says_that_the_vote_is_better_without_a_member():
    vote, labels = planted([0.8, 0.8, 0.9, 0.8])
    assert drop_one(vote, MEMBERS, labels)["sentence"].endswith(
        "; no member is a significant loss; without B the vote is better by 10.0 points of accuracy "
        "(p < 0.001 by Holm)."
    )


def test_the_sentence_tells_the_absence_that_leaves_images_without_an_answer():
    def vote(kept):
        return np.array([0, 1, 2, voting.ABSTAIN if 1 not in kept else 2])

    result = drop_one(vote, MEMBERS, np.array([0, 1, 2, 2]))
    assert [row["answers"] for row in result["rows"]] == [4, 3, 4]
    assert [row["accuracy"] for row in result["rows"]] == [1, 0.75, 1]
    assert result["sentence"].startswith("Without B the vote answers 3 of 4 images, instead of 4; ")


def test_a_vote_that_leaves_images_anyway_is_not_said_to_answer_all():
    result = drop_one(lambda kept: np.array([0, voting.ABSTAIN]), MEMBERS, np.array([0, 0]))
    assert result["sentence"].startswith("The vote answers 1 of 2 images, and no fewer without any one member; ")


def test_a_single_member_cannot_be_dropped():
    result = drop_one(majority_of([[0, 1, 2]]), ["A"], np.array([0, 1, 1]))
    assert result == {
        "whole": 2 / 3,
        "rows": [],
        "sentence": "There is only one member: without A there is no vote.",
    }


def test_rows_fit_into_json():
    result = drop_one(majority_of([[0, 1], [0, 1], [1, 1]]), MEMBERS, np.array([0, 1]))
    assert json.loads(json.dumps(result, allow_nan=False)) == result


def test_a_vote_without_members_or_on_other_images_is_refused():
    with pytest.raises(InputError, match="received 0"):
        drop_one(majority_of([[0]]), [], np.array([0]))
    with pytest.raises(InputError, match=r"answers of 3 members .* shape \(2,\) for labels of shape \(3,\)"):
        drop_one(lambda kept: np.array([0, 1]), MEMBERS, np.array([0, 1, 1]))
