"""Votes inside a graph are those that NumPy casts on the same probabilities."""

from functools import partial

import numpy as np
import pytest

from facemask_ensemble.ensemble import learning, voting
from facemask_ensemble.ensemble.rules import make_rule
from facemask_ensemble.errors import InputError
from facemask_ensemble.prediction.answers import answers

RULES = {
    "majority": voting.majority,
    "soft": voting.soft,
    "borda": voting.borda,
    "maximum": voting.maximum,
    "weighted": {"rule": voting.weighted, "learn": learning.by_skill},
    "greedy": {"rule": voting.weighted, "learn": learning.greedy},
    "stacking": {"rule": voting.stacked, "learn": learning.logistic},
}
TIES = {
    "mean_probability": voting.mean_probability,
    "validation_weight": partial(voting.validation_weight, weights=np.array([0.75, 0.5, 0.625, 0.5])),
    "safest_class": partial(voting.safest_class, order=[2, 0, 1]),
    "abstain": voting.abstain,
}


@pytest.fixture(scope="module")
def probs():
    """Answers of four members to 400 images, in eighths, so that float32 has them exactly: many are tied."""
    rng = np.random.default_rng(0)
    return (rng.multinomial(8, [0.4, 0.35, 0.25], (4, 400)) / 8).astype(np.float32)


def fitted(name, tie, probs):
    labels = np.random.default_rng(1).integers(0, 3, probs.shape[1])
    return make_rule(name, RULES[name], TIES[tie]).fit(probs, labels)


@pytest.mark.parametrize("tie", TIES)
@pytest.mark.parametrize("name", RULES)
def test_every_rule_with_every_breaker_votes_in_a_graph_as_it_does_in_numpy(name, tie, probs):
    import tensorflow as tf

    from facemask_ensemble.exporting.votes import vote_graph

    rule = fitted(name, tie, probs)
    found = {
        key: value.numpy() for key, value in vote_graph(rule)(tf.constant(np.moveaxis(probs, 0, 1).copy())).items()
    }
    expected = rule(probs)
    if tie == "abstain":
        assert (expected == voting.ABSTAIN).any() or name in ("weighted", "greedy", "stacking")
    np.testing.assert_array_equal(found["prediction"], expected)
    np.testing.assert_array_equal(found["tie"], voting.ties(probs))
    np.testing.assert_allclose(found["confidence"], voting.confidence(probs, expected), atol=1e-6)
    np.testing.assert_allclose(found["agreement"], voting.agreement(probs, expected), atol=1e-6)


def test_a_graph_says_of_a_tie_what_the_table_of_predict_says():
    import tensorflow as tf

    from facemask_ensemble.exporting.votes import vote_graph

    probs = np.array([[[0.7, 0.2, 0.1], [0.1, 0.8, 0.1]], [[0.1, 0.6, 0.3], [0.2, 0.5, 0.3]]], np.float32)
    rule = make_rule("majority", voting.majority, voting.abstain).fit(np.empty(0), np.empty(0))
    found = {key: value.numpy() for key, value in vote_graph(rule)(tf.constant(np.moveaxis(probs, 0, 1))).items()}
    table = answers(probs, ["a", "b"], ["x", "y"], ["none", "all", "some"], rule)
    assert found["prediction"].tolist() == [-1, 1]
    assert table["prediction"].tolist() == ["", "all"]
    assert found["tie"].tolist() == table["tie"].tolist() == [True, False]
    np.testing.assert_allclose(found["confidence"], table["confidence"], atol=1e-4)
    np.testing.assert_allclose(found["agreement"], table["agreement"])


def test_a_rule_of_ones_own_cannot_be_part_of_a_graph():
    from facemask_ensemble.exporting.votes import vote_graph

    def most_confident(probs):
        return probs.max(axis=0).argmax(axis=1)

    rule = make_rule("most_confident", most_confident).fit(np.empty(0), np.empty(0))
    with pytest.raises(InputError, match="voting=most_confident: .*cannot be part of an exported graph.*graph=members"):
        vote_graph(rule)
