import numpy as np
import pytest
from scipy.stats import binomtest
from statsmodels.stats.multitest import multipletests

from facemask_ensemble.ensemble import voting
from facemask_ensemble.ensemble.rules import Rule
from facemask_ensemble.evaluation.baseline_comparison import worth
from facemask_ensemble.evaluation.comparison import paired, sentence
from facemask_ensemble.evaluation.rule_predictions import Judged, answer_by

NAMES = ("ada", "bea", "cleo", "dora")


def compared(right, rule):
    found = {"rival": "xception", **paired(*right)}
    return found | {"sentence": sentence(found, rule, 7)}


def rights(both: int, vote: int, member_alone: int) -> tuple[np.ndarray, np.ndarray]:
    """Build right-or-wrong lists: both right, the vote alone, the member alone."""
    first = [True] * both + [True] * vote + [False] * member_alone
    second = [True] * both + [False] * vote + [True] * member_alone
    return np.array(first), np.array(second)


def test_a_better_vote_is_called_better_with_its_evidence():
    result = compared(rights(80, 18, 2), "majority")
    assert (result["only_vote_right"], result["only_member_right"]) == (18, 2)
    assert result["difference"] == pytest.approx(0.16)
    assert result["p_value"] == pytest.approx(2 * (1 + 20 + 190) / 2**20)
    assert result["interval"] == pytest.approx([0.08, 0.24], abs=0.011)
    sentence = "The majority vote of seven members is better than xception alone, by 16.0 points (95 % interval "
    assert result["sentence"].startswith(sentence)
    assert result["sentence"].endswith("p < 0.001).")


def test_a_difference_that_chance_explains_is_called_no_evidence():
    result = compared(rights(91, 5, 4), "soft")
    assert result["sentence"].startswith(
        "No evidence that seven members are better than xception alone: the soft vote differs by +1.0 points"
    )
    assert "p = 1.00" in result["sentence"]
    assert "−" in result["sentence"]


def test_a_worse_vote_is_called_worse():
    result = compared(rights(80, 2, 18), "majority")
    assert "is worse than xception alone, by 16.0 points" in result["sentence"]
    assert result["difference"] == pytest.approx(-0.16)


def answering(answers: list[list[int]]) -> np.ndarray:
    """Probabilities of members that are all 0.8 sure of their answers."""
    return np.eye(3, dtype="float32")[np.array(answers)] * 0.7 + 0.1


def split(seed: int, skills: tuple[float, ...], images: int = 400) -> Judged:
    """Members that are right with the given chance, independently."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(3, size=images)
    right = rng.random((len(skills), images)) < np.array(skills)[:, None]
    return Judged(answering(np.where(right, labels, (labels + 1) % 3).tolist()), labels)


def test_the_vote_is_compared_with_the_best_member_and_the_best_pair_of_validation_and_the_lucky_one():
    validation, test = split(0, (0.9, 0.7, 0.8, 0.6)), split(1, (0.7, 0.9, 0.8, 0.6))
    rule_answers = answer_by(Rule("majority", voting.majority), validation, test)
    entries = worth(rule_answers, validation, test, NAMES)["comparisons"]
    assert [(entry["rival"], entry["chosen_on"]) for entry in entries] == [
        ("ada", "validation"),
        ("ada + cleo", "validation"),
        ("bea", "test"),
    ]
    right = rule_answers.answers == test.labels
    ada = voting.votes(test.probs)[0] == test.labels
    only, other = int((right & ~ada).sum()), int((ada & ~right).sum())
    assert entries[0]["p_value"] == pytest.approx(binomtest(only, only + other).pvalue)
    assert entries[0]["difference"] == pytest.approx(right.mean() - ada.mean())


def test_the_p_values_are_adjusted_for_the_number_of_comparisons():
    validation, test = split(2, (0.8, 0.75, 0.8, 0.6)), split(3, (0.75, 0.8, 0.8, 0.6))
    rule_answers = answer_by(Rule("majority", voting.majority), validation, test)
    entries = worth(rule_answers, validation, test, NAMES)["comparisons"]
    raw = [entry["p_value"] for entry in entries]
    assert [entry["p_adjusted"] for entry in entries] == pytest.approx(multipletests(raw, method="holm")[1])


def test_the_adjusted_p_value_decides_the_sentence():
    # 15 against 5 is p = 0.041 alone, and no evidence once it is one of three comparisons.
    found = {"rival": "ada", **paired(*rights(80, 15, 5))}
    assert "is better than ada alone" in sentence(found, "soft", 3)
    assert sentence(found | {"p_adjusted": 3 * found["p_value"]}, "soft", 3).startswith("No evidence")


def test_one_member_has_no_rival_but_itself():
    validation, test = split(0, (0.9,)), split(1, (0.9,))
    rule_answers = answer_by(Rule("majority", voting.majority), validation, test)
    [entry] = worth(rule_answers, validation, test, NAMES[:1])["comparisons"]
    assert entry["difference"] == 0
    assert "only one member" in entry["sentence"]
