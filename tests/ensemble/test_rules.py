import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from omegaconf import OmegaConf

from facemask_ensemble.config import CONF_DIR, options
from facemask_ensemble.ensemble import learning, voting
from facemask_ensemble.ensemble.learning import Learned
from facemask_ensemble.ensemble.rule_settings import chosen_rule, described, every_rule, validation_accuracy, with_order
from facemask_ensemble.ensemble.rules import Rule, folds_of, make_rule, make_tie
from facemask_ensemble.errors import InputError
from facemask_ensemble.settings import read
from facemask_ensemble.settings.answering import Ties, Voting
from facemask_ensemble.task import task_named

CLASSES = ["none", "all", "some"]
MASKS, GENERIC = task_named("masks"), task_named("generic")
GREEDY = Rule("greedy", voting.weighted, partial(learning.greedy, bags=1))


def judged(images: int, members: int = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Draw probabilities of members of unlike skill, and labels of all three classes."""
    labels = np.arange(images) % 3
    drawn = np.random.default_rng(seed).normal(size=(members, images, 3))
    raised = np.exp(drawn + np.linspace(0.5, 1.5, members)[:, None, None] * np.eye(3)[labels])
    return raised / raised.sum(axis=2, keepdims=True), labels


def memorise(probs, labels):
    """Learn nothing but which image had which label."""
    return Learned({"seen": probs[0, :, 0], "labels": labels}, np.full(len(probs), 1 / len(probs)))


def recall(probs, break_tie, seen, labels):
    """Answer the images seen, and no other."""
    same = probs[0, :, 0][:, None] == seen
    return np.where(same.any(axis=1), labels[same.argmax(axis=1)], voting.ABSTAIN)


MEMORY = Rule("memory", recall, memorise)


def most_confident(probs):
    return probs.max(axis=0).argmax(axis=1)


def in_conf(group: str, name: str) -> dict:
    return OmegaConf.to_container(OmegaConf.load(CONF_DIR / group / f"{name}.yaml"), resolve=True)


def read_both(name: str, ties: str) -> tuple[Voting, Ties]:
    return read(Voting, in_conf("voting", name)), read(Ties, in_conf("ties", ties))


# What a rule learns is judged on images that it did not learn from.


def test_a_rule_that_memorises_its_images_is_right_on_them_and_on_no_held_out_fold():
    probs, labels = judged(60)
    assert (MEMORY.fit(probs, labels)(probs) == labels).all()
    assert (MEMORY.across_folds(probs, labels, folds_of([""] * 60)) == voting.ABSTAIN).all()


def test_images_of_one_group_are_not_learned_from_when_one_of_them_is_asked():
    # Each image is there twice: with its twin in another fold, the memory would be right on it.
    probs, labels = judged(30)
    probs, labels = np.repeat(probs, 2, axis=1), np.repeat(labels, 2)
    groups = [f"series {place // 2}" for place in range(60)]
    assert (MEMORY.across_folds(probs, labels, folds_of(groups)) == voting.ABSTAIN).all()
    assert (MEMORY.across_folds(probs, labels, folds_of([""] * 60)) == labels).mean() > 0.5


def test_each_fold_is_answered_by_what_the_others_teach():
    probs, labels = judged(50)
    folds = np.arange(50) % 4
    answers = GREEDY.across_folds(probs, labels, folds)
    for fold in range(4):
        held = folds == fold
        weights = learning.greedy(probs[:, ~held], labels[~held], bags=1).arguments["weights"]
        assert (answers[held] == voting.weighted(probs[:, held], weights)).all()


def test_the_labels_of_a_fold_do_not_reach_its_answers():
    probs, labels = judged(50)
    folds = folds_of([""] * 50)
    changed = np.where(folds == 2, (labels + 1) % 3, labels)
    answers, expected = (GREEDY.across_folds(probs, known, folds) for known in (changed, labels))
    assert (answers[folds == 2] == expected[folds == 2]).all()


def test_a_rule_that_learns_nothing_answers_at_once():
    probs, labels = judged(50)
    rule = make_rule("soft", voting.soft)
    assert (rule.fit(probs[:, :0], labels[:0])(probs) == voting.soft(probs)).all()
    assert (rule.across_folds(probs, labels, np.zeros(50, int)) == voting.soft(probs)).all()
    assert rule.fit(probs, labels).learned is None


def test_a_fitted_rule_knows_its_name_and_what_it_learned():
    probs, labels = judged(50)
    fitted = GREEDY.fit(probs, labels)
    assert fitted.name == "greedy"
    assert fitted.learned.weights == pytest.approx(learning.greedy(probs, labels, bags=1).weights)
    assert (fitted(probs) == voting.weighted(probs, fitted.learned.weights)).all()


def test_learning_from_no_image_is_refused():
    probs, labels = judged(9)
    with pytest.raises(InputError, match="voting=greedy: it learns from validation images, but there are 0; give some"):
        GREEDY.fit(probs[:, :0], labels[:0])


def test_learning_on_the_only_fold_is_refused():
    probs, labels = judged(9)
    with pytest.raises(InputError, match="voting=greedy: it learns from other images than it answers"):
        GREEDY.across_folds(probs, labels, np.zeros(9, int))


# Ties.

LEVEL = np.array([[[0.7, 0.2, 0.1], [0.6, 0.3, 0.1]], [[0.2, 0.6, 0.2], [0.5, 0.3, 0.2]]])


def test_ties_are_broken_as_the_rule_was_given_or_otherwise_for_once():
    fitted = make_rule("majority", voting.majority, voting.abstain).fit(LEVEL, np.zeros(2, int))
    assert fitted(LEVEL).tolist() == [voting.ABSTAIN, 0]
    assert fitted(LEVEL, break_tie=partial(voting.safest_class, order=[1, 0, 2])).tolist() == [1, 0]


def test_a_fitted_rules_ties_are_those_of_its_own_scores():
    none = np.zeros(0, int)
    assert make_rule("majority", voting.majority).fit(LEVEL, none).ties(LEVEL).tolist() == [True, False]
    assert make_rule("soft", voting.soft).fit(LEVEL, none).ties(LEVEL).tolist() == [False, False]
    even = np.array([[[0.5, 0.5]], [[0.5, 0.5]]])
    assert make_rule("soft", voting.soft).fit(even, none).ties(even).tolist() == [True]


def test_the_safest_class_is_named_in_any_order_of_labels():
    built = {"break_tie": partial(voting.safest_class), "order": ["none", "some", "all"]}
    tie = make_tie(built, ["all", "none", "some"], None)
    level = np.array([[True, True, True], [True, False, True], [True, True, False]])
    assert tie(np.ones((1, 3, 3)), level).tolist() == [1, 2, 1]


@pytest.mark.parametrize(
    ("order", "received"),
    [
        (["none", "some"], r"\[none,some\]"),
        (["none", "some", "al"], r"\[none,some,al\]"),
        (["none", "some", "all", "half"], r"\[none,some,all,half\]"),
        (["none", "some", "some", "all"], r"\[none,some,some,all\]"),
        ([0, 1, 2], r"\[0,1,2\]"),
        ([], r"\[\]"),
        (None, r"\[\]"),
    ],
)
def test_an_order_that_does_not_name_every_class_once_is_refused(order, received):
    built = {"break_tie": voting.safest_class, "order": order}
    with pytest.raises(InputError, match=rf"ties.order={received}: must name each of none, all, some once"):
        make_tie(built, CLASSES, None)


def test_an_order_that_is_not_given_is_that_of_the_task():
    left = read(Ties, in_conf("ties", "safest_class"))
    assert with_order(left, MASKS).order == ("none", "some", "all")
    given = replace(left, order=("b", "a"))
    assert with_order(given, MASKS) == with_order(given, GENERIC) == given
    without = read(Ties, in_conf("ties", "abstain"))
    assert with_order(without, GENERIC) == without


def test_a_task_without_a_safest_class_asks_for_the_order():
    with pytest.raises(InputError, match=r"ties.order: task generic does not say .*; give ties.order=\[CLASS,…\]"):
        with_order(read(Ties, in_conf("ties", "safest_class")), GENERIC)


def test_an_order_of_classes_that_are_numbers_is_taken():
    tie = make_tie({"break_tie": voting.safest_class, "order": [2, 0, 1]}, ["0", "1", "2"], None)
    assert tie(np.ones((1, 1, 3)), np.ones((1, 3), bool)).tolist() == [2]


def test_validation_weights_are_the_members_accuracies():
    built = {"break_tie": voting.validation_weight, "weights": "validation"}
    for accuracy, winner in (([0.9, 0.8], 0), ([0.8, 0.9], 1)):
        assert voting.majority(LEVEL, make_tie(built, CLASSES, np.array(accuracy))).tolist() == [winner, 0]


def test_validation_weights_without_validation_are_refused():
    built = {"break_tie": voting.validation_weight, "weights": "validation"}
    with pytest.raises(InputError, match="ties=validation_weight: there are 0 validation images; give ties=mean_prob"):
        make_tie(built, CLASSES, None)


def test_validation_accuracy_is_each_members_share_of_right_answers():
    assert validation_accuracy(LEVEL, np.array([0, 0])) == pytest.approx([1, 0.5])
    assert validation_accuracy(LEVEL[:, :0], np.zeros(0, int)) is None


# Rules of a user's own.


@pytest.mark.parametrize("built", [most_confident, partial(most_confident)])
def test_a_plain_function_of_the_probabilities_is_a_rule(built):
    probs, labels = judged(50)
    rule = make_rule("most_confident", built, voting.abstain)
    fitted = rule.fit(probs, labels)
    assert fitted.name == "most_confident"
    assert (fitted(probs) == most_confident(probs)).all()
    assert (rule.across_folds(probs, labels, folds_of([""] * 50)) == most_confident(probs)).all()
    assert not fitted.ties(probs).any()


def test_a_rule_of_ones_own_that_learns_need_not_break_ties():
    probs, labels = judged(50)

    def learn(probs, labels):
        return Learned({"member": 2}, np.full(len(probs), 1 / len(probs)))

    fitted = make_rule("one", {"rule": lambda probs, member: probs[member].argmax(axis=1), "learn": learn}).fit(
        probs, labels
    )
    assert (fitted(probs) == probs[2].argmax(axis=1)).all()
    assert not fitted.ties(probs).any()


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda probs: probs.max(axis=0), r"returns float64 \(9, 3\) for 9 images; .* integers \(9,\)"),
        (lambda probs: probs[0].argmax(axis=1).astype(float), r"returns float64 \(9,\)"),
        (lambda probs: probs[0].argmax(axis=1)[:4], r"returns int64 \(4,\)"),
        (
            lambda probs: np.full(9, 3),
            "returns 3 to 3; it has to return class indices from 0 to 2, or -1 for no answer",
        ),
        (lambda probs: np.full(9, -2), "returns -2 to -2"),
        (lambda probs: None, r"returns object \(\)"),
    ],
)
def test_what_no_rule_may_answer_is_refused_by_the_rules_name(answer, message):
    with pytest.raises(InputError, match=f"voting=mine: its function {message}"):
        make_rule("mine", answer).fit(*judged(9))(judged(9)[0])


# Folds.


def test_folds_keep_a_group_together():
    groups = np.random.default_rng(0).choice([f"series {number}" for number in range(23)], 400).tolist()
    folds = folds_of(groups)
    assert folds.shape == (400,)
    assert set(folds) == {0, 1, 2, 3, 4}
    assert {group: len(set(folds[np.array(groups) == group])) for group in set(groups)} == dict.fromkeys(groups, 1)


def test_folds_are_dealt_as_many_groups_each_as_can_be():
    groups = [f"series {number}" for number in range(23) for _ in range(3)]
    assert sorted(np.bincount(folds_of(groups)).tolist()) == [12, 12, 15, 15, 15]
    assert np.bincount(folds_of([""] * 10, 2)).tolist() == [5, 5]


def test_images_without_a_group_are_dealt_one_by_one():
    folds = folds_of(["", "a", "", "a", "", "", "a"], folds=5)
    assert folds[1] == folds[3] == folds[6]
    assert sorted({*folds[[0, 2, 4, 5]], folds[1]}) == [0, 1, 2, 3, 4]


def test_the_same_seed_deals_the_same_folds():
    groups = [f"series {number // 2}" for number in range(80)]
    assert (folds_of(groups) == folds_of(groups)).all()
    assert (folds_of(groups, seed=1) != folds_of(groups)).any()


def test_no_images_have_no_folds():
    assert folds_of([]).shape == (0,)


# The files in conf.

LEARN = [name for name in options("voting") if "learn" in in_conf("voting", name)]


def test_greedy_stacking_and_weighted_learn():
    assert {"greedy", "stacking", "weighted"} <= set(LEARN)


@pytest.mark.parametrize("ties", options("ties"))
@pytest.mark.parametrize("name", options("voting"))
def test_every_voting_file_answers_with_every_file_of_ties(name, ties):
    probs, labels = judged(60)
    accuracy = validation_accuracy(probs, labels)
    voting_settings, ties_settings = read_both(name, ties)
    rule = chosen_rule(name, voting_settings, with_order(ties_settings, MASKS), CLASSES, accuracy)
    fitted = rule.fit(probs, labels)
    others, _ = judged(200, seed=1)
    answers = fitted(others)
    assert answers.shape == (200,)
    assert answers.dtype.kind == "i"
    assert set(answers) - {voting.ABSTAIN} == {0, 1, 2}
    left = answers == voting.ABSTAIN
    assert (left == (fitted.ties(others) & (ties == "abstain"))).all()
    if name in ("majority", "borda"):
        assert left.any() == (ties == "abstain")


def test_every_rule_holds_the_files_of_conf_and_the_chosen_one_as_it_was_chosen():
    config = in_conf("voting", "greedy")
    config["learn"] = {**config["learn"], "bags": 3}
    chosen = chosen_rule("greedy", read(Voting, config), read(Ties, in_conf("ties", "abstain")), CLASSES, None)
    rules = every_rule(chosen)
    assert [rule.name for rule in rules] == options("voting")
    assert [rule for rule in rules if rule.name == "greedy"] == [chosen]
    assert chosen.learn.keywords["bags"] == 3
    assert {rule.name for rule in rules if rule.learn is not None} == set(LEARN)
    assert all(rule.break_tie is chosen.break_tie for rule in rules)
    probs, labels = judged(60)
    for rule in rules:
        assert (rule.fit(probs, labels)(probs) == labels).mean() > 0.5, rule.name


def test_a_rule_from_outside_conf_is_one_of_every_rule():
    mine = make_rule("most_confident", most_confident)
    assert [rule.name for rule in every_rule(mine)] == sorted([*options("voting"), "most_confident"])


@pytest.mark.parametrize("name", LEARN)
def test_a_rule_of_conf_that_learns_refuses_to_learn_from_nothing(name):
    rule = chosen_rule(name, *read_both(name, "mean_probability"), CLASSES, None)
    probs, labels = judged(9)
    with pytest.raises(InputError, match=f"voting={name}: it learns from validation images, but there are 0"):
        rule.fit(probs[:, :0], labels[:0])


@pytest.mark.parametrize("name", options("voting"))
def test_a_described_ensemble_answers_the_same_when_it_is_read_again(name):
    probs, labels = judged(60)
    rule = chosen_rule(name, *read_both(name, "mean_probability"), CLASSES, None)
    fitted = rule.fit(probs, labels)
    members = [(f"member_{number}", f"run_{number}") for number in range(4)]
    kept = json.loads(json.dumps(described(fitted, "mean_probability", members, CLASSES), allow_nan=False))
    assert [(kept["rule"], kept["ties"]), kept["class_names"]] == [(name, "mean_probability"), CLASSES]
    assert [(member["name"], member["run_id"]) for member in kept["members"]] == members
    weights = [member["weight"] for member in kept["members"]]
    assert weights == ([None] * 4 if name not in LEARN else pytest.approx(fitted.learned.weights))
    others, _ = judged(200, seed=1)
    learned = {key: np.array(value) for key, value in kept["learned"].items()}
    assert (rule.vote(others, break_tie=voting.mean_probability, **learned) == fitted(others)).all()
