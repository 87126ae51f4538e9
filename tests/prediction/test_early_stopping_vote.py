"""When a majority is certain, against every way in which the rest could vote."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facemask_ensemble.ensemble import voting
from facemask_ensemble.errors import InputError
from facemask_ensemble.prediction.answers import answers
from facemask_ensemble.prediction.early_stopping_vote import ask_until_decided, decided

CLASSES = ("none", "all", "some")


@pytest.mark.parametrize(
    ("votes", "left", "expected"),
    [
        ([0, 0, 0, 0], 3, True),
        ([0, 0, 0], 3, False),  # three others may still draw level
        ([0, 0, 1, 0], 2, False),  # 3 against 1, and two to come: 3 all
        ([0, 0, 1, 0, 0], 2, True),
        ([0, 1], 0, True),  # nobody is left, tied or not
        ([], 1, False),
        ([], 0, True),
    ],
)
def test_a_winner_is_certain_when_the_rest_cannot_even_draw_level(votes, left, expected):
    assert decided(np.array(votes, int)[:, None], left, 3).tolist() == [expected]


def leaders(votes, classes):
    count = [votes.count(label) for label in range(classes)]
    return [label for label in range(classes) if count[label] == max(count)]


@settings(deadline=None)
@given(st.data())
def test_decided_is_neither_too_early_nor_too_late(data):
    """By trying all: decided means one leader, alone, however the rest vote; undecided that some votes change that."""
    classes, left = data.draw(st.integers(1, 4)), data.draw(st.integers(0, 4))
    votes = data.draw(st.lists(st.integers(0, classes - 1), max_size=6))
    ends = [leaders([*votes, *rest], classes) for rest in product(range(classes), repeat=left)]
    certain = left == 0 or (len(ends[0]) == 1 and all(end == ends[0] for end in ends))
    assert decided(np.array(votes, int).reshape(-1, 1), left, classes).tolist() == [certain]


TIES = (
    voting.mean_probability,
    voting.abstain,
    lambda probs, leading: voting.safest_class(probs, leading, range(leading.shape[1])[::-1]),
    lambda probs, leading: voting.validation_weight(probs, leading, np.linspace(0.5, 0.9, len(probs))),
)


@settings(deadline=None)
@given(
    members=st.integers(1, 7),
    images=st.integers(0, 40),
    classes=st.integers(2, 4),
    steps=st.integers(1, 20),
    tie=st.sampled_from(TIES),
    seed=st.integers(0, 2**32 - 1),
)
def test_the_answer_of_members_asked_in_any_order_is_that_of_all(members, images, classes, steps, tie, seed):
    """Probabilities on a coarse grid, so that votes and means tie often."""
    rng = np.random.default_rng(seed)
    probs = rng.integers(0, steps + 1, (members, images, classes)).astype(np.float32) / steps
    order = rng.permutation(members).tolist()
    asked = ask_until_decided(lambda member, places: probs[member, places], order, images, classes)
    told = ~np.isnan(asked)
    np.testing.assert_array_equal(asked[told], probs[told])

    def rule(given):
        return voting.majority(given, break_tie=tie)

    names, labels = [str(place) for place in range(members)], [f"class {label}" for label in range(classes)]
    paths = [f"{place}.jpg" for place in range(images)]
    lazy, full = (answers(given, names, paths, labels, rule) for given in (asked, probs))
    assert lazy["prediction"].tolist() == full["prediction"].tolist()
    assert lazy["tie"].tolist() == full["tie"].tolist()


def test_a_member_is_asked_only_about_what_is_open_and_the_mean_is_over_the_members_asked():
    """Of three, the cheapest two agree on a.jpg: the third, 1, is not asked about it."""
    probs = np.array(
        [[[0.8, 0.1, 0.1], [0.6, 0.3, 0.1]], [[0.1, 0.9, 0.0], [0.1, 0.8, 0.1]], [[0.6, 0.2, 0.2], [0.2, 0.7, 0.1]]],
        np.float32,
    )
    log = []

    def ask(member, places):
        log.append((member, places.tolist()))
        return probs[member, places]

    asked = ask_until_decided(ask, [2, 0, 1], 2, 3)
    assert log == [(2, [0, 1]), (0, [0, 1]), (1, [1])]
    table = answers(asked, ["p", "q", "r"], ["a.jpg", "b.jpg"], CLASSES, voting.majority)
    assert table["prediction"].tolist() == ["none", "all"]
    assert table["confidence"].tolist() == [0.7, 0.6]
    assert table["agreement"].tolist() == [1, 0.6667]
    assert table["vote_q"].tolist() == ["", "all"]


def test_seven_members_of_one_mind_are_four_evaluations_an_image():
    probs = np.tile(np.float32([0.2, 0.8]), (7, 1000, 1))
    asked = ask_until_decided(lambda member, places: probs[member, places], range(7), 1000, 2)
    assert (~np.isnan(asked[:, :, 0])).sum() == 4000


@pytest.mark.parametrize(("votes", "left"), [([0, 1], 1), ([[0, 3]], 1), ([[0, -1]], 1), ([[0, 1]], -1)])
def test_votes_that_are_no_class_indices_are_refused(votes, left):
    with pytest.raises(InputError, match="A decision needs votes of shape"):
        decided(np.array(votes), left, 3)
