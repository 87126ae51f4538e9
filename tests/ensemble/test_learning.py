import math
from functools import partial

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from facemask_ensemble.ensemble import learning, voting
from facemask_ensemble.errors import InputError

LEARNERS = {"by_skill": learning.by_skill, "greedy": learning.greedy, "logistic": learning.logistic}
one_bag = partial(learning.greedy, bags=1)


def noise(members: int, images: int, classes: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet(np.ones(classes), (members, images))


def knowing(labels: np.ndarray, known: list[int], classes: int, sure: float = 0.97) -> np.ndarray:
    """Make a member that recognises the classes it knows, and finds the others all alike."""
    knows = np.where(np.isin(labels, known), (sure * classes - 1) / (classes - 1), 0)[:, None]
    return knows * np.eye(classes)[labels] + (1 - knows) / classes


def skilled(skills: list[float], labels: np.ndarray, classes: int, seed: int = 0) -> np.ndarray:
    """Make members who see more of the right class the higher their skill is."""
    drawn = np.random.default_rng(seed).normal(size=(len(skills), len(labels), classes))
    raised = np.exp(drawn + np.array(skills)[:, None, None] * np.eye(classes)[labels])
    return raised / raised.sum(axis=2, keepdims=True)


def answering(answers: list[list[int]], classes: int) -> np.ndarray:
    return np.eye(classes)[np.array(answers)]


@pytest.mark.parametrize("name", LEARNERS)
def test_weights_are_shares(name):
    labels = np.arange(60) % 3
    learned = LEARNERS[name](skilled([1, 0.5, 2], labels, 3), labels)
    assert learned.weights.shape == (3,)
    assert learned.weights.sum() == pytest.approx(1)
    assert (learned.weights >= 0).all()


# What a member gains over always answering the most frequent class.

LABELS = np.array([0, 0, 0, 0, 0, 1, 1, 1, 2, 2])
RIGHT_9 = [0, 0, 0, 0, 0, 1, 1, 1, 2, 0]
RIGHT_7 = [0, 0, 0, 0, 1, 1, 1, 0, 2, 0]
RIGHT_5 = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
RIGHT_3 = [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]


def test_skill_is_what_is_gained_over_the_most_frequent_class():
    # Right 0.9, 0.7, 0.5 and 0.3, where class 0 alone gives 0.5: skills 0.4, 0.2, 0 and below 0.
    learned = learning.by_skill(answering([RIGHT_9, RIGHT_7, RIGHT_5, RIGHT_3], 3), LABELS)
    assert learned.weights == pytest.approx([2 / 3, 1 / 3, 0, 0])
    assert learned.arguments["weights"] == pytest.approx(learned.weights)
    assert learned.left_out == {
        2: "50.0 % right, no better than always answering the most frequent class (50.0 %)",
        3: "30.0 % right, no better than always answering the most frequent class (50.0 %)",
    }
    assert learned.note == ""


def test_members_without_skill_weigh_the_same():
    learned = learning.by_skill(answering([RIGHT_5, RIGHT_3, RIGHT_3], 3), LABELS)
    assert learned.weights == pytest.approx([1 / 3, 1 / 3, 1 / 3])
    assert learned.left_out == {}
    assert (
        learned.note
        == "No member is better than always answering the most frequent class: all members get the same weight."
    )
    probs = noise(3, 50, 3)
    assert (voting.weighted(probs, **learned.arguments) == voting.soft(probs)).all()


def test_where_all_images_are_of_one_class_nobody_has_skill():
    learned = learning.by_skill(answering([[1, 1, 1], [0, 1, 1]], 2), np.array([1, 1, 1]))
    assert learned.weights == pytest.approx([0.5, 0.5])


# Greedy selection.


def test_greedy_finds_the_two_members_of_which_each_knows_half_of_the_classes():
    labels = np.arange(400) % 4
    probs = np.concatenate(
        [noise(1, 400, 4), knowing(labels, [0, 1], 4)[None], noise(2, 400, 4, 1), knowing(labels, [2, 3], 4)[None]]
    )
    learned = one_bag(probs, labels)
    assert learned.weights == pytest.approx([0, 0.5, 0, 0, 0.5])
    assert (voting.weighted(probs, **learned.arguments) == labels).all()
    reason = "never chosen in the 1 of 1 bags that held it: adding it did not lower the log loss"
    assert learned.left_out == {0: reason, 2: reason, 3: reason}


def test_greedy_chooses_one_perfect_member_alone():
    labels = np.arange(300) % 3
    probs = np.concatenate([noise(3, 300, 3), knowing(labels, [0, 1, 2], 3, sure=0.999)[None], noise(2, 300, 3, 1)])
    learned = one_bag(probs, labels)
    assert learned.weights.tolist() == [0, 0, 0, 1, 0, 0]
    assert sorted(learned.left_out) == [0, 1, 2, 4, 5]


def test_greedy_leaves_out_a_member_that_is_always_wrong():
    # A probability of 0 for the right class costs -log 1e-7, and no infinity.
    labels = np.arange(60) % 3
    wrong = np.eye(3)[(labels + 1) % 3]
    learned = one_bag(np.stack([wrong, knowing(labels, [0, 1, 2], 3, sure=0.6)]), labels)
    assert learned.weights.tolist() == [0, 1]


@pytest.mark.parametrize(("members", "classes", "seed"), [(2, 2, 0), (4, 3, 1), (7, 3, 2), (5, 40, 3), (12, 4, 4)])
def test_greedy_equals_adding_members_one_by_one(members, classes, seed):
    labels = np.random.default_rng(seed).integers(0, classes, 200)
    probs = skilled(np.linspace(0.7, 1.3, members).tolist(), labels, classes, seed)
    counts = slow_selection(probs, labels, steps=12)
    assert one_bag(probs, labels, steps=12).weights == pytest.approx(np.array(counts) / sum(counts))
    assert sum(count > 0 for count in counts) > 1


def slow_selection(probs, labels, steps):
    """Follow the paper: with replacement, the best addition each time, and of all sizes the one of the lowest loss."""
    chosen, losses = [], []
    for _ in range(steps):
        tried = {member: slow_loss(probs, labels, [*chosen, member]) for member in range(len(probs))}
        chosen.append(min(tried, key=lambda member, tried=tried: tried[member]))
        losses.append(tried[chosen[-1]])
    kept = chosen[: losses.index(min(losses)) + 1]
    return [kept.count(member) for member in range(len(probs))]


def slow_loss(probs, labels, chosen):
    means = [sum(probs[member, at, label] for member in chosen) / len(chosen) for at, label in enumerate(labels)]
    return -sum(math.log(mean) for mean in means) / len(means)


@pytest.mark.parametrize("seed", range(5))
def test_greedys_log_loss_is_never_above_the_best_members_where_it_learned(seed):
    labels = np.random.default_rng(seed).integers(0, 3, 150)
    probs = skilled([0.2, 0.5, 1, 1, 3], labels, 3, seed)
    weights = one_bag(probs, labels).weights
    best = min(log_loss(labels, member, labels=range(3)) for member in probs)
    assert log_loss(labels, np.tensordot(weights, probs, axes=1), labels=range(3)) <= best + 1e-6


def test_more_steps_never_raise_greedys_log_loss():
    labels = np.random.default_rng(5).integers(0, 3, 150)
    probs = skilled([0.8, 0.9, 1, 1.1], labels, 3, 5)
    mixed = [np.tensordot(one_bag(probs, labels, steps=steps).weights, probs, axes=1) for steps in (1, 2, 5, 25)]
    losses = [log_loss(labels, mean) for mean in mixed]
    assert losses == sorted(losses, reverse=True)
    assert losses[0] == pytest.approx(min(log_loss(labels, member) for member in probs))


def test_greedy_in_bags_gives_the_same_weights_for_the_same_seed():
    labels = np.arange(200) % 3
    probs = skilled([0.8, 0.9, 1, 1.1, 1.2], labels, 3)
    first, again, other = (learning.greedy(probs, labels, seed=seed).weights for seed in (3, 3, 4))
    assert (first == again).all()
    assert (first != other).any()


def test_bags_that_hold_every_member_choose_as_one_bag():
    labels = np.arange(200) % 3
    probs = skilled([0.8, 0.9, 1, 1.1, 1.2], labels, 3)
    assert learning.greedy(probs, labels, bags=4, share=1.0).weights == pytest.approx(one_bag(probs, labels).weights)


def test_bags_of_one_member_each_weigh_by_the_draw():
    labels = np.arange(90) % 3
    probs = skilled([0.8, 1, 1.2], labels, 3)
    weights = learning.greedy(probs, labels, bags=9, share=0.01).weights
    drawn = np.random.default_rng(0)
    expected = np.bincount([drawn.permutation(3)[0] for _ in range(9)], minlength=3) / 9
    assert weights == pytest.approx(expected)


def test_a_member_that_no_bag_held_is_named_with_that_reason():
    labels = np.arange(90) % 3
    learned = learning.greedy(skilled([1, 1, 1, 1, 1], labels, 3), labels, bags=2, share=0.2)
    unseen = [
        reason for reason in learned.left_out.values() if reason == "not drawn into any of the 2 bags: raise bags"
    ]
    assert len(unseen) == len(learned.left_out) >= 3


@pytest.mark.parametrize(
    ("arguments", "received"),
    [
        ({"bags": 0}, "bags=0, steps=25, share=0.5"),
        ({"steps": 0}, "bags=20, steps=0, share=0.5"),
        ({"share": 0}, "bags=20, steps=25, share=0:"),
        ({"share": 1.5}, "bags=20, steps=25, share=1.5"),
        ({"share": math.nan}, "bags=20, steps=25, share=nan"),
    ],
)
def test_impossible_bags_are_refused(arguments, received):
    with pytest.raises(InputError, match=f"at least 1 and a share above 0 up to 1, received {received}"):
        learning.greedy(noise(3, 9, 3), np.arange(9) % 3, **arguments)


# The stacked regression.


def test_logistic_recovers_a_planted_rule():
    # Member 2 decides, unless member 0 says class 1; member 1 knows nothing.
    def drawn(images, seed):
        votes = np.random.default_rng(seed).integers(0, 3, (3, images))
        return 0.85 * np.eye(3)[votes] + 0.05, np.where(votes[0] == 1, 1, votes[2])

    learned = learning.logistic(*drawn(2000, 0))
    probs, labels = drawn(2000, 1)
    assert (voting.stacked(probs, **learned.arguments) == labels).all()
    assert (voting.soft(probs) == labels).mean() < 0.9
    assert learned.weights[1] < 0.05 < learned.weights[0] < learned.weights[2]
    own = learned.arguments["coefficients"].reshape(3, 3, 3)
    assert own[:, 0].argmax() == own[:, 0].ravel().tolist().index(own[1, 0, 1])  # member 0 counts most in class 1


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("members", "classes", "near"),
    [
        (1, 3, 0.002),
        (3, 3, 0.002),
        (2, 5, 0.002),
        (3, 2, 0.002),
        (6, 5, 0.03),
    ],  # many coefficients are found less exactly
)
def test_logistic_equals_scikit_learns_fit_with_the_same_penalty(members, classes, near):
    labels = np.random.default_rng(1).integers(0, classes, 250)
    probs = skilled(np.linspace(0.5, 1.5, members).tolist(), labels, classes)
    features = np.log(np.concatenate(list(probs), axis=1))
    expected = LogisticRegression(C=0.3 * 1000 / 250, tol=1e-6, max_iter=5000).fit(features, labels)
    learned = learning.logistic(probs, labels, strength=0.3)
    coefficients, intercepts = learned.arguments["coefficients"], learned.arguments["intercepts"]
    known = np.diff(coefficients, axis=0) if classes == 2 else coefficients
    assert known == pytest.approx(expected.coef_, abs=5 * near)
    other = skilled([1.0] * members, np.arange(300) % classes, classes, seed=2)
    features = np.log(np.concatenate(list(other), axis=1))
    probabilities = softmax(features @ coefficients.T + intercepts, axis=1)
    assert probabilities == pytest.approx(expected.predict_proba(features), abs=near)
    clear = np.diff(np.sort(probabilities, axis=1)[:, -2:], axis=1)[:, 0] > 2 * near
    assert (voting.stacked(other, **learned.arguments) == expected.predict(features))[clear].all()


def test_the_regressions_weights_are_shares_of_the_coefficients():
    labels = np.arange(120) % 3
    learned = learning.logistic(skilled([1, 0, 2], labels, 3), labels)
    size = [abs(learned.arguments["coefficients"][:, 3 * member : 3 * member + 3]).sum() for member in range(3)]
    assert learned.weights == pytest.approx(np.array(size) / sum(size))
    assert learned.weights.argsort().tolist() == [1, 0, 2]


def test_the_penalty_weighs_the_same_for_more_images_of_the_same_kind():
    labels = np.arange(120) % 3
    probs = skilled([1, 0.5], labels, 3)
    once = learning.logistic(probs, labels).arguments["coefficients"]
    thrice = learning.logistic(np.tile(probs, (1, 3, 1)), np.tile(labels, 3)).arguments["coefficients"]
    assert thrice == pytest.approx(once, abs=1e-3)


@pytest.mark.parametrize("present", [[0, 2], [1, 2], [0, 1, 3], [1]])
def test_a_class_absent_from_the_labels_is_never_answered(present):
    labels = np.array(present)[np.arange(120) % len(present)]
    learned = learning.logistic(skilled([1, 2], labels, 4), labels)
    sure_of_others = 0.99997 * np.eye(4)[np.arange(200) % 4] + 0.00001
    for probs in (np.stack([sure_of_others, sure_of_others]), np.zeros((2, 3, 4)), noise(2, 500, 4)):
        assert set(voting.stacked(probs, **learned.arguments)) <= set(present)
    assert (learned.arguments["intercepts"] == -1e6).tolist() == [label not in present for label in range(4)]


def test_two_of_three_classes_are_told_apart_as_two_would_be():
    labels = np.arange(120) % 2
    probs = skilled([1, 2], labels, 2)
    among_three = np.concatenate([probs[:, :, :1], np.full((2, 120, 1), 0.2), probs[:, :, 1:]], axis=2)
    of_two = voting.stacked(probs, **learning.logistic(probs, labels).arguments)
    assert (voting.stacked(among_three, **learning.logistic(among_three, 2 * labels).arguments) == 2 * of_two).all()


def test_two_classes_have_coefficients_of_opposite_sign():
    labels = np.arange(100) % 2
    learned = learning.logistic(skilled([1, 2], labels, 2), labels)
    coefficients, intercepts = learned.arguments["coefficients"], learned.arguments["intercepts"]
    assert coefficients.shape == (2, 4)
    assert coefficients.sum(axis=0) == pytest.approx(np.zeros(4), abs=1e-12)
    assert intercepts.sum() == pytest.approx(0, abs=1e-12)


def test_one_class_only_is_all_that_is_answered():
    learned = learning.logistic(noise(3, 20, 3), np.full(20, 2))
    assert learned.note == "All images to learn from are of one class: the rule answers only this class."
    assert learned.weights == pytest.approx([1 / 3, 1 / 3, 1 / 3])
    assert set(voting.stacked(noise(3, 100, 3, 1), **learned.arguments)) == {2}


def test_members_that_never_change_their_answer_share_the_regressions_weight():
    learned = learning.logistic(np.full((2, 12, 3), 1 / 3), np.arange(12) % 2)
    assert learned.weights == pytest.approx([0.5, 0.5])


# Where there is nothing but rounding to learn from.

SAME = "its probabilities are the same for every image"
LEVEL = "No member's answers depend on the image: all members get the same weight."


def unchanging(members: int, images: int, classes: int, noise: float = 0.0) -> np.ndarray:
    """Make members that answer every image alike, but for errors of that size."""
    draw = np.random.default_rng(0)
    errors = 1 + noise * draw.normal(size=(members, images, classes))
    return (draw.dirichlet(np.ones(classes), (members, 1)) * errors).astype(np.float32 if noise else np.float64)


@pytest.mark.parametrize("noise", [0.0, 1e-7])
@pytest.mark.parametrize(("members", "classes"), [(2, 2), (2, 3), (3, 8)])  # 3 x 8 x 8 is solved by another solver
def test_members_that_never_change_their_answer_get_no_coefficient_and_the_classes_their_frequency(
    members, classes, noise
):
    labels = np.minimum(np.random.default_rng(1).geometric(0.4, 300) - 1, classes - 1)
    learned = learning.logistic(unchanging(members, 300, classes, noise), labels)
    assert not learned.arguments["coefficients"].any()
    assert learned.weights == pytest.approx(np.full(members, 1 / members))
    assert (learned.left_out, learned.note) == ({}, LEVEL)
    frequencies = np.bincount(labels, minlength=classes) / len(labels)
    assert softmax(learned.arguments["intercepts"]) == pytest.approx(frequencies)


def test_a_member_that_never_changes_its_answer_has_no_weight_beside_one_that_does():
    labels = np.arange(90) % 3
    moving = skilled([1.0], labels, 3)
    learned = learning.logistic(np.concatenate([unchanging(2, 90, 3), moving]), labels)
    assert learned.weights.tolist() == [0, 0, 1]
    assert learned.left_out == {0: SAME, 1: SAME}
    alone = learning.logistic(moving, labels).arguments["coefficients"]
    assert learned.arguments["coefficients"][:, 6:] == pytest.approx(alone, abs=1e-6)


def test_answers_that_are_as_frequent_in_every_class_have_no_weight():
    labels, turns = np.arange(24) % 2, np.arange(24) // 2 % 2
    first = np.where(turns[:, None] == 0, [0.7, 0.2, 0.1], [0.2, 0.5, 0.3])
    second = np.where(turns[:, None] == 0, [0.1, 0.3, 0.6], [0.4, 0.4, 0.2])
    learned = learning.logistic(np.stack([first, second]), labels)
    assert not learned.arguments["coefficients"].any()
    assert (learned.weights.tolist(), learned.note) == ([0.5, 0.5], LEVEL)


def test_a_weak_regression_keeps_its_small_coefficients():
    labels = np.arange(90) % 3
    weights = learning.logistic(skilled([1, 2], labels, 3), labels, strength=1e-7).weights
    assert 0 < weights[0] < weights[1]


# Bad input.


@pytest.mark.parametrize("name", LEARNERS)
@pytest.mark.parametrize(
    ("probs", "labels", "message"),
    [
        (noise(2, 5, 3), np.zeros(4, int), r"as many labels, received \(2, 5, 3\) and \(4,\)"),
        (noise(2, 5, 3), np.zeros((5, 1), int), r"received \(2, 5, 3\) and \(5, 1\)"),
        (noise(1, 5, 3)[0], np.zeros(5, int), r"received \(5, 3\) and \(5,\)"),
        (noise(2, 5, 3)[:, :0], np.zeros(0, int), r"received \(2, 0, 3\) and \(0,\): take both from one split"),
        (noise(2, 5, 3)[:0], np.zeros(5, int), "at least one member, received 0"),
        (np.full((2, 5, 3), np.nan), np.zeros(5, int), "Member number 0, 1 .* nan or infinite"),
        (noise(2, 5, 3), np.array([0, 1, 2, 3, 0]), "from 0 to 2, received 0 to 3"),
        (noise(2, 5, 3), np.array([0, 1, -1, 2, 0]), "from 0 to 2, received -1 to 2"),
    ],
)
def test_images_that_nothing_can_be_learned_from_are_refused(name, probs, labels, message):
    with pytest.raises(InputError, match=message):
        LEARNERS[name](probs, labels)
