import time
from collections import Counter
from functools import partial

import numpy as np
import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf

from facemask_ensemble.config import CONF_DIR
from facemask_ensemble.ensemble import voting
from facemask_ensemble.errors import InputError

# Three members, four pictures, three classes.
PROBS = np.array(
    [
        [[0.9, 0.1, 0.0], [0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.4, 0.35, 0.25]],
        [[0.8, 0.1, 0.1], [0.1, 0.7, 0.2], [0.1, 0.6, 0.3], [0.4, 0.35, 0.25]],
        [[0.7, 0.2, 0.1], [0.2, 0.2, 0.6], [0.0, 0.1, 0.9], [0.0, 0.95, 0.05]],
    ],
    dtype="float32",
)


def random_probs(members: int, pictures: int, classes: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet(np.ones(classes), (members, pictures)).astype("float32")


def test_majority_takes_the_class_most_members_answer():
    assert voting.majority(PROBS).tolist()[2:] == [1, 0]


def test_majority_breaks_ties_by_mean_probability():
    # Picture 1: one vote for each class, means 0.3, 0.4 and 0.3.
    assert voting.majority(PROBS)[1] == 1


def test_a_class_outside_the_tie_cannot_win_it():
    # Two votes each for classes 0 and 1, one for class 2, whose mean probability is the highest.
    probs = np.array([[[0.34, 0.33, 0.33]], [[0.34, 0.0, 0.33]], [[0, 0.5, 0.49]], [[0, 0.5, 0.49]], [[0, 0, 1]]])
    assert probs.mean(axis=0).argmax() == 2
    assert voting.majority(probs).tolist() == [1]


def test_soft_takes_the_highest_mean_probability_even_against_the_majority():
    # Picture 3: two members answer 0 (mean 0.27), one surely answers 1 (mean 0.55).
    assert voting.soft(PROBS).tolist() == [0, 1, 2, 1]


def test_votes_are_each_members_answer():
    assert voting.votes(PROBS).tolist() == [[0, 0, 1, 0], [0, 1, 1, 0], [0, 2, 2, 1]]


def test_ties_are_the_pictures_without_one_class_ahead():
    assert voting.ties(PROBS).tolist() == [False, True, False, False]


def test_agreement_and_confidence_speak_of_the_winner():
    winners = voting.majority(PROBS)
    assert voting.agreement(PROBS, winners) == pytest.approx([1, 1 / 3, 2 / 3, 2 / 3])
    assert voting.confidence(PROBS, winners) == pytest.approx([0.8, 0.4, 0.4, 0.8 / 3], abs=1e-6)


def test_one_member_is_its_own_vote():
    probs = random_probs(1, 50, 4)
    assert (voting.majority(probs) == probs[0].argmax(axis=1)).all()
    assert not voting.ties(probs).any()


def test_majority_equals_a_count_by_hand_on_many_pictures():
    probs = random_probs(6, 500, 4)
    expected, tied = [], []
    for picture in range(500):
        counts = Counter(int(member[picture].argmax()) for member in probs)
        most = [label for label, count in counts.items() if count == max(counts.values())]
        expected.append(max(most, key=lambda label, at=picture: probs[:, at, label].astype(float).mean()))
        tied.append(len(most) > 1)
    assert voting.majority(probs).tolist() == expected
    assert voting.ties(probs).tolist() == tied
    assert 0 < sum(tied) < 500


def test_the_order_of_the_members_does_not_matter():
    probs = random_probs(7, 300, 3)
    assert (voting.majority(probs) == voting.majority(probs[::-1])).all()


def test_ten_thousand_pictures_are_voted_on_in_milliseconds():
    probs = random_probs(7, 10_000, 3)
    fastest = min(elapsed(partial(voting.majority, probs)) for _ in range(5))
    assert fastest < 0.05


def elapsed(call) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


@pytest.mark.parametrize("rule", [voting.majority, voting.soft, voting.votes, voting.ties])
@pytest.mark.parametrize(
    ("probs", "message"),
    [
        (np.zeros((4, 3)), r"shape \(members, pictures, classes\), received \(4, 3\)"),
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
def test_winners_of_other_pictures_are_refused(measure):
    with pytest.raises(InputError, match=r"received \(3,\)"):
        measure(PROBS, np.zeros(3, int))


@pytest.mark.parametrize("name", ["majority", "soft"])
def test_each_voting_file_gives_its_rule(name):
    rule = instantiate(OmegaConf.load(CONF_DIR / "voting" / f"{name}.yaml"))
    assert (rule(PROBS) == getattr(voting, name)(PROBS)).all()
