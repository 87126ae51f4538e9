import json

import numpy as np
import pytest

from facemask_ensemble.ensemble import learning, voting
from facemask_ensemble.ensemble.learning import Learned
from facemask_ensemble.ensemble.rules import Rule, folds_of
from facemask_ensemble.errors import InputError
from facemask_ensemble.evaluation.rule_predictions import Judged, answer_by, answer_name, describe, list_ties

NAMES = ("ada", "bea", "cleo")
CLASSES = ("none", "all", "some")
MAJORITY = Rule("majority", voting.majority)
SKILL = Rule("weighted", voting.weighted, learning.by_skill)


def split(seed: int, images: int = 100) -> Judged:
    draw = np.random.default_rng(seed)
    labels = draw.integers(3, size=images)
    probs = draw.dirichlet(np.ones(3), (3, images))
    probs[:, np.arange(images), labels] += np.array([0.2, 0.4, 0.8])[:, None]
    paths = [f"{seed}/{place}.png" for place in range(images)]
    return Judged(probs / probs.sum(axis=2, keepdims=True), labels, paths, paths)


def answering(answers: list[list[int]], labels: list[int], sure: float = 0.8) -> Judged:
    """Members that answer as listed, one list a member."""
    probs = np.eye(3)[np.array(answers)] * (1.5 * sure - 0.5) + (0.5 - 0.5 * sure)
    return Judged(probs, np.array(labels), (), [f"{place}.png" for place in range(len(labels))])


def memorise(probs: np.ndarray, labels: np.ndarray) -> Learned:
    return Learned({"seen": probs, "labels": labels}, np.full(len(probs), 1 / len(probs)))


def recall(probs: np.ndarray, seen: np.ndarray, labels: np.ndarray, break_tie: voting.Tie) -> np.ndarray:
    """Answer the images that were learned from with their labels, and no others."""
    known = (probs[:, :, None] == seen[:, None]).all(axis=(0, 3))
    return np.where(known.any(axis=1), labels[known.argmax(axis=1)], voting.ABSTAIN)


MEMORY = Rule("memory", recall, memorise)


def test_members_are_kept_by_their_places():
    judged = split(0)
    kept = judged.of((2, 0))
    assert np.array_equal(kept.probs, judged.probs[[2, 0]])
    assert (kept.labels is judged.labels, kept.paths, kept.groups) == (True, judged.paths, judged.groups)


def test_a_rule_that_learns_nothing_answers_both_splits_at_once():
    validation, test = split(0), split(1)
    rule_answers = answer_by(MAJORITY, validation, test)
    assert rule_answers.name == "majority"
    assert np.array_equal(rule_answers.answers, voting.majority(test.probs))
    assert np.array_equal(rule_answers.validation_answers, voting.majority(validation.probs))
    assert np.array_equal(rule_answers.tied, voting.ties(test.probs))
    assert rule_answers.learned_from == ""


def test_what_is_learned_on_validation_answers_the_test():
    validation, test = split(0), split(1, 80)
    rule_answers = answer_by(SKILL, validation, test)
    weights = learning.by_skill(validation.probs, validation.labels).weights
    assert np.array_equal(rule_answers.answers, np.average(test.probs, axis=0, weights=weights).argmax(axis=1))
    assert rule_answers.fitted.learned.weights.tolist() == weights.tolist()
    assert rule_answers.learned_from == "100 validation images"


def test_the_answers_on_validation_are_learned_on_the_other_folds_of_it():
    validation, test = split(0), split(1)
    rule_answers = answer_by(SKILL, validation, test)
    folds = folds_of(validation.groups)
    for fold in range(5):
        held = folds == fold
        weights = learning.by_skill(validation.probs[:, ~held], validation.labels[~held]).weights
        expected = np.average(validation.probs[:, held], axis=0, weights=weights).argmax(axis=1)
        assert np.array_equal(rule_answers.validation_answers[held], expected)


def test_across_folds_of_the_test_an_image_is_answered_by_what_the_others_taught():
    validation, test = split(0), split(1, 80)
    rule_answers = answer_by(SKILL, validation, test, learn="folds")
    folds = folds_of(test.groups)
    for fold in range(5):
        held = folds == fold
        weights = learning.by_skill(test.probs[:, ~held], test.labels[~held]).weights
        expected = np.average(test.probs[:, held], axis=0, weights=weights).argmax(axis=1)
        assert np.array_equal(rule_answers.answers[held], expected)
    assert rule_answers.fitted.learned.weights.tolist() == learning.by_skill(test.probs, test.labels).weights.tolist()
    assert rule_answers.learned_from == "80 test images; each fifth is answered by a rule learned from the other four"


def test_a_rule_that_memorises_knows_no_image_that_it_answers():
    validation, test = split(0), split(1)
    on_validation, across = answer_by(MEMORY, validation, test), answer_by(MEMORY, validation, test, learn="folds")
    for answers in (on_validation.answers, on_validation.validation_answers, across.answers, across.validation_answers):
        assert set(answers.tolist()) == {voting.ABSTAIN}
    # It would: shown the validation images as the test, it knows them all.
    assert np.array_equal(answer_by(MEMORY, validation, validation).answers, validation.labels)


@pytest.mark.parametrize("groups", [["one"] * 6, ["one"]])
def test_a_rule_that_learns_needs_images_of_two_groups(groups):
    judged = split(2, len(groups))
    with pytest.raises(InputError, match=r"voting=weighted: it learns from other images than it answers"):
        answer_by(SKILL, Judged(judged.probs, judged.labels, groups), split(1))


def test_ties_are_listed_with_truth_answer_and_votes():
    # Two to one, one each (tied), all alike, one each again.
    judged = answering([[0, 0, 2, 2], [0, 1, 2, 0], [1, 2, 2, 1]], [0, 1, 2, 0])
    listed = list_ties(answer_by(MAJORITY, judged, judged), judged, NAMES, CLASSES)
    assert (listed["ties"], listed["abstained"]) == (2, 0)
    assert listed["tied"] == [
        {
            "path": "1.png",
            "truth": "all",
            "prediction": "none",
            "votes": {"ada": "none", "bea": "all", "cleo": "some"},
        },
        {
            "path": "3.png",
            "truth": "none",
            "prediction": "none",
            "votes": {"ada": "some", "bea": "none", "cleo": "all"},
        },
    ]
    assert json.loads(json.dumps(listed)) == listed


def test_a_tie_left_to_a_person_has_no_prediction_and_counts_as_not_answered():
    judged = answering([[0, 0, 2, 2], [0, 1, 2, 0], [1, 2, 2, 1]], [0, 1, 2, 0])
    rule_answers = answer_by(Rule("majority", voting.majority, None, voting.abstain), judged, judged)
    listed = list_ties(rule_answers, judged, NAMES, CLASSES)
    assert rule_answers.answers.tolist() == [0, voting.ABSTAIN, 2, voting.ABSTAIN]
    assert (listed["ties"], listed["abstained"]) == (2, 2)
    assert [tie["prediction"] for tie in listed["tied"]] == [None, None]


def test_no_tie_is_an_empty_list():
    judged = answering([[0, 1], [0, 1], [2, 1]], [0, 1])
    assert list_ties(answer_by(MAJORITY, judged, judged), judged, NAMES, CLASSES) == {
        "ties": 0,
        "tied": [],
        "abstained": 0,
    }


@pytest.mark.parametrize("learn", ["validation", "folds"])
def test_every_image_without_an_answer_is_among_the_ties(learn):
    # bea and cleo are right equally often but for the last image, so that their weights are level in some folds only.
    labels = [0, 1, 2] * 10
    ada = [(label + 1) % 3 for label in labels]
    bea, cleo = list(labels), list(labels)
    for place in (0, 4, 8):
        bea[place], cleo[place + 1] = (labels[place] + 1) % 3, (labels[place + 1] + 2) % 3
    cleo[29] = 0
    judged = answering([ada, bea, cleo], labels)
    rule = Rule("weighted", voting.weighted, learning.by_skill, voting.abstain)
    rule_answers = answer_by(rule, judged, judged, learn=learn)
    listed = list_ties(rule_answers, judged, NAMES, CLASSES)
    assert listed["ties"] == listed["abstained"] == sum(tie["prediction"] is None for tie in listed["tied"])
    assert (listed["ties"] > 0) == (learn == "folds")


def test_what_a_rule_learned_is_told_by_member():
    # Right on 4, 3 and 2 of 6, where the most frequent class is 3 of 6.
    validation = answering([[0, 0, 0, 1, 0, 0], [0, 0, 0, 2, 0, 0], [1, 1, 1, 1, 2, 0]], [0, 0, 0, 1, 2, 1])
    told = describe(answer_by(SKILL, validation, validation), NAMES)
    assert told == {
        "weights": {"ada": 1, "bea": 0, "cleo": 0},
        "left_out": {
            "bea": "50.0 % right, no better than always answering the most frequent class (50.0 %)",
            "cleo": "33.3 % right, no better than always answering the most frequent class (50.0 %)",
        },
        "learned_from": "6 validation images",
        "note": "",
        "arguments": {"weights": [1, 0, 0]},
    }
    assert json.loads(json.dumps(told)) == told


def test_where_no_member_has_skill_the_note_says_that_all_weigh_the_same():
    judged = answering([[1, 1, 1, 2]] * 3, [0, 0, 0, 1])
    told = describe(answer_by(SKILL, judged, judged), NAMES)
    assert told["weights"] == pytest.approx({"ada": 1 / 3, "bea": 1 / 3, "cleo": 1 / 3})
    assert (told["left_out"], told["note"]) == (
        {},
        "No member is better than always answering the most frequent class: all members get the same weight.",
    )


def test_a_rule_that_learns_nothing_has_no_weights():
    told = describe(answer_by(MAJORITY, split(0), split(1)), NAMES)
    assert told == {"weights": None, "left_out": {}, "learned_from": "", "note": "", "arguments": {}}


def test_an_answer_is_named_and_none_is_none():
    assert [answer_name(answer, CLASSES) for answer in (0, 2, voting.ABSTAIN)] == ["none", "some", None]
