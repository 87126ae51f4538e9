import math
import time
from collections import Counter
from fractions import Fraction
from functools import partial

import numpy as np
import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf
from sklearn.linear_model import LogisticRegression

from facemask_ensemble.config import CONF_DIR
from facemask_ensemble.ensemble import voting
from facemask_ensemble.errors import InputError

# Three members, four images, three classes.
PROBS = np.array(
    [
        [[0.9, 0.1, 0.0], [0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.4, 0.35, 0.25]],
        [[0.8, 0.1, 0.1], [0.1, 0.7, 0.2], [0.1, 0.6, 0.3], [0.4, 0.35, 0.25]],
        [[0.7, 0.2, 0.1], [0.2, 0.2, 0.6], [0.0, 0.1, 0.9], [0.0, 0.95, 0.05]],
    ],
    dtype="float32",
)


def random_probs(members: int, images: int, classes: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet(np.ones(classes), (members, images)).astype("float32")


def test_majority_takes_the_class_most_members_answer():
    assert voting.majority(PROBS).tolist()[2:] == [1, 0]


def test_majority_breaks_ties_by_mean_probability():
    # Image 1: one vote for each class, means 0.3, 0.4 and 0.3.
    assert voting.majority(PROBS)[1] == 1


def test_a_class_outside_the_tie_cannot_win_it():
    # Two votes each for classes 0 and 1, one for class 2, whose mean probability is the highest.
    probs = np.array([[[0.34, 0.33, 0.33]], [[0.34, 0.0, 0.33]], [[0, 0.5, 0.49]], [[0, 0.5, 0.49]], [[0, 0, 1]]])
    assert probs.mean(axis=0).argmax() == 2
    assert voting.majority(probs).tolist() == [1]


def test_soft_takes_the_highest_mean_probability_even_against_the_majority():
    # Image 3: two members answer 0 (mean 0.27), one answers 1 with certainty (mean 0.55).
    assert voting.soft(PROBS).tolist() == [0, 1, 2, 1]


def test_votes_are_each_members_answer():
    assert voting.votes(PROBS).tolist() == [[0, 0, 1, 0], [0, 1, 1, 0], [0, 2, 2, 1]]


def test_ties_are_the_images_without_one_class_ahead():
    assert voting.ties(PROBS).tolist() == [False, True, False, False]


def test_agreement_and_confidence_speak_of_the_winner():
    winners = voting.majority(PROBS)
    assert voting.agreement(PROBS, winners) == pytest.approx([1, 1 / 3, 2 / 3, 2 / 3])
    assert voting.confidence(PROBS, winners) == pytest.approx([0.8, 0.4, 0.4, 0.8 / 3], abs=1e-6)


def test_one_member_is_its_own_vote():
    probs = random_probs(1, 50, 4)
    assert (voting.majority(probs) == probs[0].argmax(axis=1)).all()
    assert not voting.ties(probs).any()


def test_majority_equals_a_count_by_hand_on_many_images():
    probs = random_probs(6, 500, 4)
    expected, tied = [], []
    for image in range(500):
        counts = Counter(int(member[image].argmax()) for member in probs)
        most = [label for label, count in counts.items() if count == max(counts.values())]
        expected.append(max(most, key=lambda label, at=image: probs[:, at, label].astype(float).mean()))
        tied.append(len(most) > 1)
    assert voting.majority(probs).tolist() == expected
    assert voting.ties(probs).tolist() == tied
    assert 0 < sum(tied) < 500


def test_the_order_of_the_members_does_not_matter():
    probs = random_probs(7, 300, 3)
    assert (voting.majority(probs) == voting.majority(probs[::-1])).all()


def test_ten_thousand_images_are_voted_on_in_milliseconds():
    probs = random_probs(7, 10_000, 3)
    fastest = min(elapsed(partial(voting.majority, probs)) for _ in range(5))
    assert fastest < 0.05


def elapsed(call) -> float:
    start = time.thread_time()  # whatever else the machine does
    call()
    return time.thread_time() - start


@pytest.mark.parametrize(
    "rule", [voting.majority, voting.soft, voting.borda, voting.maximum, voting.votes, voting.ties]
)
@pytest.mark.parametrize(
    ("probs", "message"),
    [
        (np.zeros((4, 3)), r"shape \(members, images, classes\), received \(4, 3\)"),
        (np.zeros((0, 4, 3)), "at least one member, received 0"),
        (np.zeros((2, 4, 1)), "at least two classes, received 1"),
        (np.stack([PROBS[0], np.full((4, 3), np.nan)]), r"Member number 1 \(counted from 0\).*nan"),
        (np.stack([np.full((4, 3), np.inf), PROBS[0]]), "Member number 0 "),
    ],
)
def test_probabilities_that_cannot_be_voted_on_are_refused(rule, probs, message):
    with pytest.raises(InputError, match=message):
        rule(probs)


@pytest.mark.parametrize("measure", [voting.agreement, voting.confidence])
def test_winners_of_other_images_are_refused(measure):
    with pytest.raises(InputError, match=r"received \(3,\)"):
        measure(PROBS, np.zeros(3, int))


@pytest.mark.parametrize("name", ["majority", "soft", "borda", "maximum"])
def test_each_voting_file_gives_its_rule(name):
    rule = instantiate(OmegaConf.load(CONF_DIR / "voting" / f"{name}.yaml"))
    assert (rule(PROBS) == getattr(voting, name)(PROBS)).all()


def test_borda_sums_points_by_rank():
    # Points 2, 1, 0 by rank: class 0 gets 2 + 2 + 0 + 0, class 1 gets 1 + 1 + 2 + 1, class 2 gets 0 + 0 + 1 + 2.
    probs = np.array([[[0.9, 0.1, 0]], [[0.9, 0.1, 0]], [[0, 0.6, 0.4]], [[0, 0.4, 0.6]]])
    assert voting.majority(probs).tolist() == voting.soft(probs).tolist() == [0]
    assert voting.borda(probs).tolist() == [1]


def test_borda_shares_the_points_of_classes_found_equally_probable():
    # Shared: 1.5 + 1.5 + 0, 1.5 + 1.5 + 1 and 0 + 0 + 2. In class order they would be 4, 3 and 2.
    probs = np.array([[[0.45, 0.45, 0.1]], [[0.45, 0.45, 0.1]], [[0.1, 0.3, 0.6]]])
    assert voting.borda(probs).tolist() == [1]
    # Shared: 1.5 + 1, 1.5 + 0 and 0 + 2. Without the shares classes 0 and 2 tie, and the mean of class 2 is higher.
    probs = np.array([[[0.4, 0.4, 0.2]], [[0.3, 0.1, 0.6]]])
    assert voting.borda(probs).tolist() == [0]


def test_borda_of_a_member_without_a_preference_changes_nothing():
    probs = random_probs(5, 300, 4)
    undecided = np.concatenate([probs, np.full((1, 300, 4), 0.25)])
    assert (voting.borda(undecided, voting.abstain) == voting.borda(probs, voting.abstain)).all()


def test_maximum_takes_the_surest_member():
    assert voting.maximum(PROBS).tolist() == [0, 1, 2, 1]
    # Against the other two, who are less sure, and against the mean.
    probs = np.array([[[0.8, 0.1, 0.1]], [[0.85, 0.1, 0.05]], [[0.04, 0.9, 0.06]]])
    assert voting.soft(probs).tolist() == [0]
    assert voting.maximum(probs).tolist() == [1]


def test_weighted_takes_the_highest_weighted_mean():
    # Image 3: weights 2, 2 and 1 give 0.32, 0.47 and 0.21; 4, 4 and 1 give 0.356, 0.417 and 0.228; 9, 9 and 1 give
    # 0.379, 0.382 and 0.239; 10, 10 and 1 give 0.381, 0.379 and 0.240.
    answers = [voting.weighted(PROBS, [weight, weight, 1])[3] for weight in (2, 4, 9, 10)]
    assert answers == [1, 1, 1, 0]


def test_weighted_counts_shares_alone():
    probs, weights = random_probs(5, 300, 4), np.array([0.1, 0.5, 0.0, 0.3, 0.1])
    expected = voting.weighted(probs, weights)
    for times in (1000, 1e-12):
        assert (voting.weighted(probs, times * weights, voting.abstain) == expected).all()
    assert (voting.weighted(probs[weights > 0], weights[weights > 0]) == expected).all()
    assert (voting.weighted(probs, np.full(5, 0.3)) == voting.soft(probs)).all()
    assert (voting.weighted(probs, [0, 0, 1, 0, 0]) == probs[2].argmax(axis=1)).all()


@pytest.mark.parametrize(("members", "classes"), [(1, 3), (4, 3), (3, 40), (2, 2)])
def test_stacked_answers_what_scikit_learn_predicts_with_the_same_coefficients(members, classes):
    probs, generator = random_probs(members, 400, classes), np.random.default_rng(1)
    logarithms = np.log(np.maximum(np.concatenate(list(probs), axis=1).astype(float), 1e-7))
    rows = 1 if classes == 2 else classes
    known = LogisticRegression()
    known.classes_ = np.arange(classes)
    known.coef_, known.intercept_ = generator.normal(size=(rows, members * classes)), generator.normal(size=rows)
    coefficients, intercepts = known.coef_, known.intercept_
    if classes == 2:  # scikit-learn scores the second class alone
        coefficients, intercepts = np.vstack([0 * coefficients, coefficients]), np.array([0, intercepts[0]])
    answers = voting.stacked(probs, coefficients, intercepts)
    assert (answers == known.predict(logarithms)).all()
    assert len(set(answers)) > 1


def test_log_features_lie_member_by_member_and_a_probability_of_0_has_one():
    features = voting.log_features(PROBS.astype(float))
    assert features.shape == (4, 9)
    assert features[0] == pytest.approx(np.log([0.9, 0.1, 1e-7, 0.8, 0.1, 0.1, 0.7, 0.2, 0.1]), rel=1e-6)
    assert np.isfinite(voting.log_features(np.zeros((2, 3, 2), "float32"))).all()


# Five members, two votes each for classes 0 and 1, one for class 2; means 0.28, 0.30 and 0.42.
TIED = np.array([[[0.4, 0.3, 0.3]], [[0.5, 0.2, 0.3]], [[0.2, 0.5, 0.3]], [[0.2, 0.5, 0.3]], [[0.1, 0.0, 0.9]]])


def test_mean_probability_decides_among_the_tied_classes():
    assert voting.majority(TIED, voting.mean_probability).tolist() == [1]
    assert voting.majority(TIED[:, :, [1, 0, 2]], voting.mean_probability).tolist() == [0]


@pytest.mark.parametrize(
    ("weights", "winner"),
    [
        ([0.9, 0.9, 0.8, 0.8, 0.99], 0),
        ([0.8, 0.8, 0.9, 0.9, 0.99], 1),
        ([0.9, 0.5, 0.7, 0.8, 0.99], 1),
        ([0.9, 0.6, 0.7, 0.8, 5.0], 1),  # level: the mean probability of class 1 is higher
        ([0.0, 0.0, 0.0, 0.0, 0.0], 1),
        ([0.1, 0.2, 0.3, 0.0, 0.0], 1),  # level but for rounding
        ([0.3, 0.0, 0.1, 0.2, 0.0], 1),
    ],
)
def test_validation_weight_counts_the_members_behind_each_tied_class(weights, winner):
    assert voting.majority(TIED, partial(voting.validation_weight, weights=np.array(weights))).tolist() == [winner]


@pytest.mark.parametrize(("order", "winner"), [((0, 1, 2), 0), ((1, 0, 2), 1), ((2, 1, 0), 1), ((2, 0, 1), 0)])
def test_safest_class_takes_the_tied_class_that_comes_first_in_the_order(order, winner):
    assert voting.majority(TIED, partial(voting.safest_class, order=order)).tolist() == [winner]


def test_abstaining_leaves_a_tie_without_an_answer():
    answers = voting.majority(PROBS, voting.abstain)
    assert answers.tolist() == [0, voting.ABSTAIN, 1, 0]
    assert voting.ABSTAIN == -1
    assert ((answers == voting.ABSTAIN) == voting.ties(PROBS)).all()


def test_agreement_and_confidence_of_no_answer_are_nan():
    answers = voting.majority(PROBS, voting.abstain)
    assert voting.agreement(PROBS, answers) == pytest.approx([1, math.nan, 2 / 3, 2 / 3], nan_ok=True)
    assert voting.confidence(PROBS, answers) == pytest.approx([0.8, math.nan, 0.4, 0.8 / 3], abs=1e-6, nan_ok=True)


# Two members of opposite opinions: every rule's scores are level in classes 0 and 1, in the second image of three.
OPPOSED = np.array(
    [[[0.1, 0.7, 0.2], [0.6, 0.3, 0.1], [0.5, 0.3, 0.2]], [[0.1, 0.6, 0.3], [0.3, 0.6, 0.1], [0.9, 0.1, 0]]]
)
EVEN = np.tile(np.eye(3), 2)  # both members count the same
RULES = {
    "majority": voting.majority,
    "soft": voting.soft,
    "weighted": partial(voting.weighted, weights=np.ones(2)),
    "borda": voting.borda,
    "maximum": voting.maximum,
    "stacked": partial(voting.stacked, coefficients=EVEN, intercepts=np.zeros(3)),
}


@pytest.mark.parametrize("name", RULES)
def test_every_rule_hands_its_ties_and_nothing_else_to_the_breaker(name):
    seen = []

    def breaker(probs, leading):
        seen.append((probs, leading))
        return np.array([2])

    assert RULES[name](OPPOSED, break_tie=breaker).tolist() == [1, 2, 0]
    [(probs, leading)] = seen
    assert (probs == OPPOSED[:, [1]]).all()
    assert leading.tolist() == [[True, True, False]]


@pytest.mark.parametrize("name", RULES)
def test_no_breaker_is_asked_where_nothing_ties(name):
    assert RULES[name](OPPOSED[:, [0, 2]], break_tie=None).tolist() == [1, 0]


@pytest.mark.parametrize("name", RULES)
def test_every_rule_takes_no_images(name):
    assert RULES[name](OPPOSED[:, :0]).shape == (0,)


def test_scores_that_differ_by_rounding_alone_are_level():
    # 0.1 + 0.2 + 0.3 and 0.3 + 0.2 + 0.1 differ by 1e-16.
    probs = np.array([[[0.1, 0.3, 0.0]], [[0.2, 0.2, 0.1]], [[0.3, 0.1, 0.2]]])
    assert 0.1 + 0.2 + 0.3 != 0.3 + 0.2 + 0.1
    assert voting.soft(probs, voting.abstain).tolist() == [voting.ABSTAIN]


@pytest.mark.parametrize(
    "weights", [[1, 1], [1, 1, 1, 1], 1.0, [[1, 1, 1]], [1, -1, 1], [0, 0, 0], [1, math.nan, 1], [1, math.inf, 1]]
)
def test_weights_that_are_not_one_a_member_are_refused(weights):
    with pytest.raises(
        InputError, match="Weights must be 3 numbers of at least 0, one a member and not all 0, received"
    ):
        voting.weighted(PROBS, weights)


@pytest.mark.parametrize(
    ("coefficients", "intercepts", "received"),
    [
        ((3, 6), (3,), r"received \(3, 6\) and \(3,\)"),
        ((2, 9), (3,), r"received \(2, 9\) and \(3,\)"),
        ((1, 9), (1,), r"received \(1, 9\) and \(1,\)"),
        ((3, 9), (2,), r"received \(3, 9\) and \(2,\)"),
        ((3, 9), (3, 1), r"received \(3, 9\) and \(3, 1\)"),
        ((27,), (3,), r"received \(27,\) and \(3,\)"),
    ],
)
def test_coefficients_of_other_members_or_classes_are_refused(coefficients, intercepts, received):
    rule = r"3 members of 3 classes needs coefficients of shape \(3, 9\) and intercepts of shape \(3,\), "
    with pytest.raises(InputError, match=rule + received):
        voting.stacked(PROBS, np.ones(coefficients), np.ones(intercepts))


SIZES = [(1, 40, 3), (2, 60, 2), (6, 60, 2), (4, 60, 3), (7, 60, 4), (4, 40, 40)]


@pytest.mark.parametrize("name", ["majority", "soft", "weighted", "borda", "maximum"])
@pytest.mark.parametrize(("members", "images", "classes"), SIZES)
def test_every_rule_equals_a_slow_exact_count(name, members, images, classes):
    # Eighths, of which Python's fractions find every tie; means over 6 or 7 members are rounded.
    generator = np.random.default_rng(members)
    probs = generator.integers(0, 9, (members, images, classes)) / 8
    weights = generator.integers(1, 4, members)
    rule = partial(voting.weighted, weights=weights) if name == "weighted" else getattr(voting, name)
    scores = [slow_scores(name, slow_image(probs, at), weights.tolist()) for at in range(images)]
    tied = [sum(score == max(row) for score in row) > 1 for row in scores]
    expected = [slow_winner(row, slow_image(probs, at)) for at, row in enumerate(scores)]
    assert rule(probs).tolist() == expected
    assert (rule(probs, break_tie=voting.abstain) == voting.ABSTAIN).tolist() == tied
    if members > 1:
        assert sum(tied) > 0


@pytest.mark.parametrize(("members", "images", "classes"), SIZES)
def test_stacked_equals_a_slow_sum(members, images, classes):
    generator = np.random.default_rng(members)
    probs = random_probs(members, images, classes).astype(float)
    coefficients, intercepts = generator.normal(size=(classes, members * classes)), generator.normal(size=classes)
    expected = []
    for at in range(images):
        scores = list(intercepts)
        for label in range(classes):
            for member in range(members):
                for other in range(classes):
                    logarithm = math.log(max(probs[member, at, other], 1e-7))
                    scores[label] += coefficients[label, member * classes + other] * logarithm
        expected.append(scores.index(max(scores)))
    assert voting.stacked(probs, coefficients, intercepts).tolist() == expected


def slow_image(probs: np.ndarray, at: int) -> list[list[Fraction]]:
    return [[Fraction(float(value)) for value in member[at]] for member in probs]


def slow_scores(name: str, image: list[list[Fraction]], weights: list[int]) -> list[Fraction]:
    scores = [Fraction(0) for _ in image[0]]
    for member, weight in zip(image, weights, strict=True):
        for label, value in enumerate(member):
            if name == "majority":
                scores[label] += member.index(max(member)) == label
            elif name == "soft":
                scores[label] += value
            elif name == "weighted":
                scores[label] += weight * value
            elif name == "maximum":
                scores[label] = max(scores[label], value)
            elif name == "borda":
                below, level = sum(other < value for other in member), sum(other == value for other in member)
                scores[label] += below + Fraction(level - 1, 2)
    return scores


def slow_winner(scores: list[Fraction], image: list[list[Fraction]]) -> int:
    tied = [label for label, score in enumerate(scores) if score == max(scores)]
    return max(tied, key=lambda label: sum(member[label] for member in image))
