"""The voting rules as TensorFlow operations, for a graph that votes by itself.

They do what `ensemble.voting` does to the same probabilities, here float32 (n, members, classes). NumPy counts in
float64 there; here scores are level that differ by less than float32 can tell.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from facemask_ensemble.ensemble import voting
from facemask_ensemble.ensemble.rules import FittedRule, function_of
from facemask_ensemble.errors import InputError

ROUNDING = 1e-6  # scores that differ by less are level
LOWEST = -1e30  # instead of an infinity, which not every runtime bears
Scores = Callable[..., tf.Tensor]
Vote = Callable[[tf.Tensor], dict[str, tf.Tensor]]


def vote_graph(rule: FittedRule) -> Vote:
    """Translate a fitted rule into a function from probabilities to `prediction`, `confidence`, `agreement` and `tie`.

    A prediction is a class index, int32 (n,), -1 where a tie is left to a person; then confidence and agreement are
    nan.

    Raises:
        InputError: it is a rule, or a tie's breaker, of one's own.
    """
    score, arguments = _translated(rule.rule.vote, SCORES, f"voting={rule.name}")
    if rule.learned:
        arguments |= rule.learned.arguments
    settle, known = _translated(rule.rule.break_tie, TIES, "ties")
    given, order = ({key: np.asarray(value) for key, value in some.items()} for some in (arguments, known))

    def vote(probs: tf.Tensor) -> dict[str, tf.Tensor]:
        scores = score(probs, **given)
        leading = _leading(scores)
        winners = tf.where(_several(leading), settle(probs, leading, **order), _first(scores))
        return {"prediction": winners, "tie": _several(_leading(_counts(probs))), **_certainty(probs, winners)}

    return vote


def missing_twin(rule: FittedRule) -> str | None:
    """Name the part of a rule that is the user's own and so cannot be in a graph; None if there is none."""
    for call, known, what in (
        (rule.rule.vote, SCORES, f"voting={rule.name}"),
        (rule.rule.break_tie, TIES, f"the tie breaker of voting={rule.name}"),
    ):
        function, _ = function_of(call)
        if function not in known:
            return f"{what} is your own function, {getattr(function, '__name__', function)}, which no graph computes"
    return None


def _translated(call: Any, known: Mapping[Any, Scores], what: str) -> tuple[Scores, dict[str, Any]]:
    """Find the operations of a function of `ensemble.voting`, or of a partial of one, and the partial's arguments."""
    function, given = function_of(call)
    given.pop("break_tie", None)
    if function not in known:
        names = ", ".join(one.__name__ for one in known)
        name = getattr(function, "__name__", function)
        raise InputError(
            f"{what}: {name} cannot be part of an exported graph; give one of {names}, or graph=members and compute "
            "the vote in your own program"
        )
    return known[function], given


def _majority(probs: tf.Tensor) -> tf.Tensor:
    return _counts(probs)


def _soft(probs: tf.Tensor) -> tf.Tensor:
    return tf.reduce_mean(probs, axis=1)


def _weighted(probs: tf.Tensor, weights: np.ndarray) -> tf.Tensor:
    shares = tf.constant(weights / weights.sum(), tf.float32)
    return tf.reduce_sum(probs * shares[None, :, None], axis=1)


def _borda(probs: tf.Tensor) -> tf.Tensor:
    own, other = probs[:, :, :, None], probs[:, :, None, :]
    points = tf.cast(own > other, tf.float32) + 0.5 * tf.cast(tf.equal(own, other), tf.float32)
    return tf.reduce_sum(points, axis=(1, 3))


def _maximum(probs: tf.Tensor) -> tf.Tensor:
    return tf.reduce_max(probs, axis=1)


def _stacked(probs: tf.Tensor, coefficients: np.ndarray, intercepts: np.ndarray) -> tf.Tensor:
    members, classes = probs.shape[1:]
    features = tf.reshape(tf.math.log(tf.maximum(probs, voting.TINY)), (-1, members * classes))
    return tf.matmul(features, tf.constant(coefficients.T, tf.float32)) + tf.constant(intercepts, tf.float32)


def _by_mean(probs: tf.Tensor, leading: tf.Tensor) -> tf.Tensor:
    return _first(tf.where(leading, _soft(probs), LOWEST))


def _by_weight(probs: tf.Tensor, leading: tf.Tensor, weights: np.ndarray) -> tf.Tensor:
    behind = tf.reduce_sum(_answers(probs) * tf.constant(weights, tf.float32)[None, :, None], axis=1)
    return _by_mean(probs, _leading(tf.where(leading, behind, LOWEST)))


def _by_order(probs: tf.Tensor, leading: tf.Tensor, order: np.ndarray) -> tf.Tensor:
    rank = np.empty(len(order), np.float32)
    rank[order] = np.arange(len(order), 0, -1)
    return tf.argmax(tf.cast(leading, tf.float32) * tf.constant(rank), axis=1, output_type=tf.int32)


def _abstain(probs: tf.Tensor, leading: tf.Tensor) -> tf.Tensor:
    return tf.fill(tf.shape(leading)[:1], voting.ABSTAIN)


SCORES: Mapping[Any, Scores] = {
    voting.majority: _majority,
    voting.soft: _soft,
    voting.weighted: _weighted,
    voting.borda: _borda,
    voting.maximum: _maximum,
    voting.stacked: _stacked,
}
TIES: Mapping[Any, Scores] = {
    voting.mean_probability: _by_mean,
    voting.validation_weight: _by_weight,
    voting.safest_class: _by_order,
    voting.abstain: _abstain,
}


def _answers(probs: tf.Tensor) -> tf.Tensor:
    """Mark every member's answer, float32 (n, members, classes)."""
    return tf.one_hot(tf.argmax(probs, axis=2, output_type=tf.int32), probs.shape[2])


def _counts(probs: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(_answers(probs), axis=1)


def _leading(scores: tf.Tensor) -> tf.Tensor:
    best = tf.reduce_max(scores, axis=1, keepdims=True)
    return scores >= best - ROUNDING * tf.maximum(tf.abs(best), 1.0)


def _several(leading: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(tf.cast(leading, tf.float32), axis=1) > 1.5


def _first(scores: tf.Tensor) -> tf.Tensor:
    """Find the first of the classes whose scores are level with the highest."""
    return tf.argmax(tf.cast(_leading(scores), tf.float32), axis=1, output_type=tf.int32)


def _certainty(probs: tf.Tensor, winners: tf.Tensor) -> dict[str, tf.Tensor]:
    chosen = tf.one_hot(tf.maximum(winners, 0), probs.shape[2])
    shares = {
        "confidence": tf.reduce_sum(_soft(probs) * chosen, axis=1),
        "agreement": tf.reduce_mean(tf.reduce_sum(_answers(probs) * chosen[:, None], axis=2), axis=1),
    }
    return {name: tf.where(winners < 0, np.float32(np.nan), share) for name, share in shares.items()}
