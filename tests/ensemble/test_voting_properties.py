"""What holds of every voting rule, whatever the probabilities.

`MemberAnswers.probs` drawn `fine` have no exact ties beside those of counted votes; `coarse` ones are eighths, full
of ties; `ranked` ones have ties between classes, but none within a member.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facemask_ensemble.ensemble import learning, voting

COUNTED = ("majority", "soft", "borda", "maximum", "weighted")
RULES = (*COUNTED, "stacked")
LEARNERS = {
    "by_skill": (learning.by_skill, voting.weighted),
    "greedy": (partial(learning.greedy, bags=1, steps=8), voting.weighted),
}
LEARNED_ON = 90

without_autotune = settings(deadline=None, max_examples=50, derandomize=True, database=None)
every_rule = pytest.mark.parametrize("name", RULES)
every_counted_rule = pytest.mark.parametrize("name", COUNTED)


@dataclass(frozen=True)
class MemberAnswers:
    """Probabilities (members, n, classes), a weight for each member, and coefficients to stack them by."""

    probs: np.ndarray
    weights: np.ndarray
    coefficients: np.ndarray
    intercepts: np.ndarray
    seed: int

    def answers(self, name, break_tie=voting.mean_probability):
        arguments = {}
        if name == "weighted":
            arguments = {"weights": self.weights}
        if name == "stacked":
            arguments = {"coefficients": self.coefficients, "intercepts": self.intercepts}
        return getattr(voting, name)(self.probs, break_tie=break_tie, **arguments)

    def of_members(self, chosen):
        """Take the members at `chosen`, what belongs to them along."""
        members, _, classes = self.probs.shape
        own = self.coefficients.reshape(classes, members, classes)[:, chosen].reshape(classes, -1)
        return MemberAnswers(self.probs[chosen], self.weights[chosen], own, self.intercepts, self.seed)

    def of_classes(self, order):
        """Take the classes in another order: class `order[k]` is now class k."""
        members, _, classes = self.probs.shape
        own = self.coefficients.reshape(classes, members, classes)[order][:, :, order].reshape(classes, -1)
        return MemberAnswers(self.probs[:, :, order], self.weights, own, self.intercepts[order], self.seed)

    @property
    def draw(self):
        return np.random.default_rng(self.seed)


@st.composite
def drawn_answers(draw, kind, members=(1, 7), classes=(2, 6)):
    members, images = draw(st.integers(*members)), draw(st.integers(1, 12))
    classes, seed = draw(st.integers(*classes)), draw(st.integers(0, 2**32 - 1))
    generator = np.random.default_rng(seed)
    if kind == "fine":
        probs = generator.dirichlet(np.ones(classes), (members, images)).astype(draw(st.sampled_from(["f4", "f8"])))
    elif kind == "coarse":
        probs = generator.integers(0, draw(st.integers(1, 8)) + 1, (members, images, classes)) / 8
    else:
        levels = np.sort(generator.permutation(2 * classes)[:classes]) / (2 * classes)
        probs = generator.permuted(np.broadcast_to(levels, (members, images, classes)), axis=2)
    weights = np.arange(members) % 4 if draw(st.booleans()) and members > 1 else np.ones(members)
    coefficients = generator.normal(size=(classes, members * classes))
    return MemberAnswers(probs, weights, coefficients, generator.normal(size=classes), seed)


any_kind = st.sampled_from(["fine", "coarse", "ranked"]).flatmap(drawn_answers)


def moved(answers, order):
    """Name classes by their places in `order`; no answer remains none."""
    return np.where(answers == voting.ABSTAIN, voting.ABSTAIN, np.argsort(order)[answers])


@every_rule
@given(given_ballots=any_kind)
@without_autotune
def test_the_order_of_the_members_does_not_change_an_answer(name, given_ballots):
    shuffled = given_ballots.of_members(given_ballots.draw.permutation(len(given_ballots.probs)))
    for break_tie in (voting.mean_probability, voting.abstain):
        assert (shuffled.answers(name, break_tie) == given_ballots.answers(name, break_tie)).all()


@given(given_ballots=any_kind)
@without_autotune
def test_the_order_of_the_members_does_not_change_a_tie_decided_by_validation_weight(given_ballots):
    members = len(given_ballots.probs)
    order, accuracy = given_ballots.draw.permutation(members), given_ballots.draw.integers(0, 11, members) / 10
    first, second = (partial(voting.validation_weight, weights=weights) for weights in (accuracy, accuracy[order]))
    expected = given_ballots.answers("majority", first)
    assert (given_ballots.of_members(order).answers("majority", second) == expected).all()


@every_rule
@given(given_ballots=drawn_answers("fine"))
@without_autotune
def test_relabelled_classes_relabel_the_answers(name, given_ballots):
    order = given_ballots.draw.permutation(given_ballots.probs.shape[2])
    expected = moved(given_ballots.answers(name), order)
    assert (given_ballots.of_classes(order).answers(name) == expected).all()


@every_rule
@given(given_ballots=drawn_answers("ranked"))
@without_autotune
def test_relabelled_classes_relabel_the_answers_outside_ties_and_the_ties(name, given_ballots):
    order = given_ballots.draw.permutation(given_ballots.probs.shape[2])
    expected = moved(given_ballots.answers(name, voting.abstain), order)
    assert (given_ballots.of_classes(order).answers(name, voting.abstain) == expected).all()


@every_rule
@given(given_ballots=drawn_answers("ranked"))
@without_autotune
def test_relabelled_classes_relabel_the_safest_of_tied_ones(name, given_ballots):
    classes = given_ballots.probs.shape[2]
    order, safest = given_ballots.draw.permutation(classes), given_ballots.draw.permutation(classes)
    expected = given_ballots.answers(name, partial(voting.safest_class, order=safest))
    relabelled = partial(voting.safest_class, order=moved(safest, order))
    assert (given_ballots.of_classes(order).answers(name, relabelled) == moved(expected, order)).all()


@every_counted_rule
@given(given_ballots=any_kind, times=st.integers(2, 5))
@without_autotune
def test_every_member_several_times_answers_as_once(name, given_ballots, times):
    several = given_ballots.of_members(np.tile(np.arange(len(given_ballots.probs)), times))
    for break_tie in (voting.mean_probability, voting.abstain):
        assert (several.answers(name, break_tie) == given_ballots.answers(name, break_tie)).all()


def test_one_member_twice_can_change_a_majority():
    probs = np.array([[[0.9, 0.1]], [[0.4, 0.6]], [[0.4, 0.6]]])
    assert voting.majority(probs).tolist() == [1]
    assert voting.majority(probs[[0, 0, 0, 1, 2]]).tolist() == [0]


@given(given_ballots=any_kind, member=st.integers(0, 6))
@without_autotune
def test_one_member_twice_never_changes_the_maximum_outside_its_ties(given_ballots, member):
    probs = given_ballots.probs
    twice = np.concatenate([probs, probs[[member % len(probs)]]])
    assert (voting.maximum(twice, voting.abstain) == voting.maximum(probs, voting.abstain)).all()


@every_counted_rule
@given(given_ballots=drawn_answers("fine"))
@without_autotune
def test_a_unanimous_vote_wins(name, given_ballots):
    probs, wanted = given_ballots.probs, given_ballots.probs[0].argmax(axis=1)
    unanimous = np.stack([_with_best(member, wanted) for member in probs])
    assert (voting.votes(unanimous) == wanted).all()
    agreed = MemberAnswers(unanimous, given_ballots.weights, np.empty(0), np.empty(0), 0)
    assert (agreed.answers(name, voting.abstain) == wanted).all()


def _with_best(member, wanted):
    """Swap each image's highest probability with that of the wanted class."""
    images, changed = np.arange(len(member)), member.copy()
    changed[images, member.argmax(axis=1)] = member[images, wanted]
    changed[images, wanted] = member.max(axis=1)
    return changed


@every_counted_rule
@given(given_ballots=drawn_answers("fine", members=(1, 1)))
@without_autotune
def test_one_member_answers_alone(name, given_ballots):
    assert (given_ballots.answers(name) == given_ballots.probs[0].argmax(axis=1)).all()


@pytest.mark.parametrize("name", LEARNERS)
@given(given_ballots=drawn_answers("fine", members=(1, 1)))
@without_autotune
def test_one_member_answers_alone_whatever_was_learned(name, given_ballots):
    learn, vote = LEARNERS[name]
    probs, labels = taught(given_ballots)
    answers = vote(given_ballots.probs, **learn(probs, labels).arguments)
    assert (answers == given_ballots.probs[0].argmax(axis=1)).all()


@every_rule
@given(given_ballots=any_kind)
@without_autotune
def test_answers_do_not_depend_on_the_other_images(name, given_ballots):
    probs = given_ballots.probs
    chosen = given_ballots.draw.permutation(probs.shape[1])[: given_ballots.draw.integers(1, probs.shape[1] + 1)]
    some = MemberAnswers(
        probs[:, chosen],
        given_ballots.weights,
        given_ballots.coefficients,
        given_ballots.intercepts,
        given_ballots.seed,
    )
    for break_tie in (voting.mean_probability, voting.abstain):
        assert (some.answers(name, break_tie) == given_ballots.answers(name, break_tie)[chosen]).all()


@given(given_ballots=any_kind)
@without_autotune
def test_softs_winner_has_the_highest_mean(given_ballots):
    means = given_ballots.probs.astype(float).mean(axis=0)
    answers = given_ballots.answers("soft")
    assert means[np.arange(len(means)), answers] == pytest.approx(means.max(axis=1), abs=1e-8)


@given(given_ballots=any_kind)
@without_autotune
def test_majoritys_winner_has_the_most_votes(given_ballots):
    votes, answers = voting.votes(given_ballots.probs), given_ballots.answers("majority")
    classes = np.arange(given_ballots.probs.shape[2])
    counts = (votes == classes[:, None, None]).sum(axis=1)
    assert (counts[answers, np.arange(len(answers))] == counts.max(axis=0)).all()
    assert voting.agreement(given_ballots.probs, answers) == pytest.approx(counts.max(axis=0) / len(votes))


def taught(given_ballots):
    """Draw images to learn from: members of unlike skill, every class among the labels."""
    members, _, classes = given_ballots.probs.shape
    labels = np.arange(LEARNED_ON) % classes
    skill = np.linspace(0.2, 1.5, members)[:, None, None]
    raised = given_ballots.draw.normal(size=(members, LEARNED_ON, classes)) + skill * np.eye(classes)[labels]
    return np.exp(raised) / np.exp(raised).sum(axis=2, keepdims=True), labels


@pytest.mark.parametrize("name", LEARNERS)
@given(given_ballots=drawn_answers("fine", members=(2, 7)))
@without_autotune
def test_what_is_learned_does_not_depend_on_the_order_of_the_members(name, given_ballots):
    learn, vote = LEARNERS[name]
    probs, labels = taught(given_ballots)
    order = given_ballots.draw.permutation(len(probs))
    expected, learned = learn(probs, labels), learn(probs[order], labels)
    assert learned.weights == pytest.approx(expected.weights[order], abs=1e-12)
    answers = vote(given_ballots.probs, **expected.arguments)
    assert (vote(given_ballots.probs[order], **learned.arguments) == answers).all()


@pytest.mark.parametrize("name", LEARNERS)
@given(given_ballots=drawn_answers("fine", members=(2, 7)))
@without_autotune
def test_what_is_learned_does_not_depend_on_the_order_of_the_classes(name, given_ballots):
    learn, vote = LEARNERS[name]
    probs, labels = taught(given_ballots)
    order = given_ballots.draw.permutation(probs.shape[2])
    expected, learned = learn(probs, labels), learn(probs[:, :, order], moved(labels, order))
    assert learned.weights == pytest.approx(expected.weights, abs=1e-12)
    answers = vote(given_ballots.probs, **expected.arguments)
    assert (vote(given_ballots.probs[:, :, order], **learned.arguments) == moved(answers, order)).all()


def centred_scores(probs, learned):
    scores = voting.log_features(probs) @ learned.arguments["coefficients"].T + learned.arguments["intercepts"]
    return scores - scores.mean(axis=1, keepdims=True)


@given(given_ballots=drawn_answers("fine", members=(1, 5), classes=(2, 4)))
@without_autotune
def test_the_regression_does_not_depend_on_the_order_of_members_and_classes(given_ballots):
    probs, labels = taught(given_ballots)
    members, classes = (given_ballots.draw.permutation(size) for size in probs.shape[::2])
    expected = learning.logistic(probs, labels)
    learned = learning.logistic(probs[members][:, :, classes], moved(labels, classes))
    assert learned.weights == pytest.approx(expected.weights[members], abs=1e-3)
    shuffled = given_ballots.probs[members][:, :, classes]
    scores = centred_scores(given_ballots.probs, expected)
    assert centred_scores(shuffled, learned) == pytest.approx(scores[:, classes], abs=0.01)
    answers = moved(voting.stacked(given_ballots.probs, **expected.arguments), classes)
    clear = np.diff(np.sort(scores, axis=1)[:, -2:], axis=1)[:, 0] > 0.02
    assert (voting.stacked(shuffled, **learned.arguments) == answers)[clear].all()
