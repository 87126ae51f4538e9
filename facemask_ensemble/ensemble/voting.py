"""Voting rules on cached probabilities `probs`, float (members, n, classes); every rule answers (n,) class indices.

Where a rule's scores tie, `break_tie` decides among the leading classes; it is given the tied images alone, `probs`
and `leading`, bool (tied, classes), and answers (tied,) class indices, or `ABSTAIN` for no answer.
"""

from collections.abc import Callable, Sequence

import numpy as np

from facemask_ensemble.errors import InputError

ABSTAIN = -1
TINY = 1e-7  # a probability of 0 has no logarithm
ROUNDING = 1e-9  # scores that differ by less are level
Tie = Callable[[np.ndarray, np.ndarray], np.ndarray]


def mean_probability(probs: np.ndarray, leading: np.ndarray) -> np.ndarray:
    """Break a tie by the mean probability over the members."""
    return _first(_leading(np.where(leading, _mean(probs), -np.inf)))


def validation_weight(probs: np.ndarray, leading: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Break a tie by the weight of the members behind each class, (members,); then by mean probability."""
    answers = _first(probs)
    behind = np.stack([weights @ (answers == label) for label in range(probs.shape[2])], axis=1)
    return mean_probability(probs, _leading(np.where(leading, behind, -np.inf)))


def safest_class(probs: np.ndarray, leading: np.ndarray, order: Sequence[int]) -> np.ndarray:
    """Break a tie by the class that comes first in `order`, class indices from the safest on."""
    return np.asarray(order)[leading[:, list(order)].argmax(axis=1)]


def abstain(probs: np.ndarray, leading: np.ndarray) -> np.ndarray:
    """Give no answer to a tie."""
    return np.full(len(leading), ABSTAIN)


def majority(probs: np.ndarray, break_tie: Tie = mean_probability) -> np.ndarray:
    """Pick the class most members answer."""
    probs = checked(probs)
    return _decide(_counts(probs), probs, break_tie)


def soft(probs: np.ndarray, break_tie: Tie = mean_probability) -> np.ndarray:
    """Pick the class of the highest mean probability."""
    probs = checked(probs)
    return _decide(_mean(probs), probs, break_tie)


def weighted(probs: np.ndarray, weights: np.ndarray, break_tie: Tie = mean_probability) -> np.ndarray:
    """Pick the class of the highest weighted mean probability, `weights` (members,)."""
    probs, weights = checked(probs), _one_each(weights, probs)
    return _decide(_mean(probs, weights), probs, break_tie)


def borda(probs: np.ndarray, break_tie: Tie = mean_probability) -> np.ndarray:
    """Pick the class of the most Borda points: of each member, one for every class it finds less probable.

    Classes that a member finds equally probable share their points. Source: J.-C. de Borda, "Mémoire sur les élections
    au scrutin" (1781); as a rule of classifiers T. K. Ho, J. J. Hull and S. N. Srihari, IEEE PAMI 16 (1994).
    """
    probs = checked(probs)
    columns = np.moveaxis(probs, 2, 0)
    points = [_points(column, columns) for column in columns]
    return _decide(np.stack(points, axis=1), probs, break_tie)


def maximum(probs: np.ndarray, break_tie: Tie = mean_probability) -> np.ndarray:
    """Pick the class of the highest single probability."""
    probs = checked(probs)
    best = probs[0]
    for member in probs[1:]:
        best = np.maximum(best, member)
    return _decide(best, probs, break_tie)


def stacked(
    probs: np.ndarray, coefficients: np.ndarray, intercepts: np.ndarray, break_tie: Tie = mean_probability
) -> np.ndarray:
    """Pick the class of the highest score of a logistic regression on the members' logarithms of probabilities.

    Args:
        probs: float (members, n, classes).
        coefficients: float (classes, members * classes), in the order of `log_features`.
        intercepts: float (classes,).
        break_tie: as for every rule.
    """
    probs = checked(probs)
    coefficients, intercepts = np.asarray(coefficients), np.asarray(intercepts)
    members, _, classes = probs.shape
    if coefficients.shape != (classes, members * classes) or intercepts.shape != (classes,):
        raise InputError(
            f"Stacking {members} members of {classes} classes needs coefficients of shape "
            f"{(classes, members * classes)} and intercepts of shape {(classes,)}, received {coefficients.shape} and "
            f"{intercepts.shape}: learn them from the same members."
        )
    scores = np.tile(intercepts, (probs.shape[1], 1))
    for logarithms, own in zip(_logarithms(probs), np.split(coefficients, members, axis=1), strict=True):
        scores += logarithms @ own.T
    return _decide(scores, probs, break_tie)


def log_features(probs: np.ndarray) -> np.ndarray:
    """Lay the logarithms of probabilities side by side, float (n, members * classes), member by member."""
    members, images, classes = probs.shape
    return _logarithms(probs).transpose(1, 0, 2).reshape(images, members * classes)


def votes(probs: np.ndarray) -> np.ndarray:
    """Give every member's answer, int (members, n); of equal probabilities the class that comes first."""
    return _first(checked(probs))


def ties(probs: np.ndarray) -> np.ndarray:
    """Mark the images where two or more classes share the highest number of votes, bool (n,)."""
    return _leading(_counts(checked(probs))).sum(axis=1) > 1


def agreement(probs: np.ndarray, winners: np.ndarray) -> np.ndarray:
    """Give the share of members that answered the winning class, float (n,); nan where there is no answer."""
    probs = checked(probs)
    winners = _matching(winners, probs)
    return np.where(winners == ABSTAIN, np.nan, (_first(probs) == winners).mean(axis=0))


def confidence(probs: np.ndarray, winners: np.ndarray) -> np.ndarray:
    """Give the mean probability of the winning class over the members, float (n,); nan where there is no answer."""
    probs = checked(probs)
    winners = _matching(winners, probs)
    answered = np.take_along_axis(_mean(probs), np.maximum(winners, 0)[:, None], axis=1)[:, 0]
    return np.where(winners == ABSTAIN, np.nan, answered)


def _logarithms(probs: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(probs, np.asarray(TINY, probs.dtype)))


def _decide(scores: np.ndarray, probs: np.ndarray, break_tie: Tie) -> np.ndarray:
    winners, leading = _first(scores), _leading(scores)
    tied = np.flatnonzero(leading.sum(axis=1) > 1)
    if len(tied):
        winners[tied] = break_tie(probs[:, tied], leading[tied])
    return winners


def _leading(scores: np.ndarray) -> np.ndarray:
    """Mark the classes of the highest score, whatever rounding the order of the members brings."""
    best = scores[:, 0]
    for column in scores.T[1:]:
        best = np.maximum(best, column)
    return scores >= (best - ROUNDING * np.maximum(np.abs(best), 1))[:, None]


def _first(scores: np.ndarray) -> np.ndarray:
    """Find the highest score's class, int64 (…,), the first of equal ones; over a few classes faster than `argmax`."""
    scores = scores.view(np.int8) if scores.dtype == bool else scores
    best, place = scores[..., 0], np.zeros(scores.shape[:-1], np.int64)
    for label in range(1, scores.shape[-1]):
        ahead = scores[..., label] > best
        place *= ~ahead
        place += ahead * label
        best = np.maximum(best, scores[..., label])
    return place


def _counts(probs: np.ndarray) -> np.ndarray:
    answers = _first(probs)
    return np.stack([(answers == label).sum(axis=0) for label in range(probs.shape[2])], axis=1)


def _mean(probs: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    shares = np.full(len(probs), 1 / len(probs)) if weights is None else weights / weights.sum()
    total = np.zeros(probs.shape[1:])
    for share, member in zip(shares, probs, strict=True):
        total += share * member.astype(np.float64)
    return total


def _points(column: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Sum, over the members, the classes below this one and half of those level with it, the class itself included."""
    points = np.zeros(column.shape[1])
    for other in columns:
        points += (column > other).sum(axis=0) + 0.5 * (column == other).sum(axis=0)
    return points


def checked(probs: np.ndarray) -> np.ndarray:
    """Refuse probabilities that cannot be voted on: another shape, no member, one class, nan."""
    probs = np.asarray(probs)
    if probs.ndim != 3:
        raise InputError(
            f"Votes need probabilities of shape (members, images, classes), received {probs.shape}: "
            "stack one (images, classes) array a member."
        )
    members, _, classes = probs.shape
    if members == 0:
        raise InputError("A vote needs at least one member, received 0: train one first.")
    if classes < 2:
        raise InputError(f"A vote needs at least two classes, received {classes}: check the dataset's classes.")
    if not np.isfinite(probs.sum(dtype=np.float64)):
        broken = [str(member) for member in np.flatnonzero(~np.isfinite(probs).all(axis=(1, 2)))]
        raise InputError(
            f"Member number {', '.join(broken)} (counted from 0) has probabilities that are nan or infinite: "
            "leave it out or train it again."
        )
    return probs


def _one_each(weights: np.ndarray, probs: np.ndarray) -> np.ndarray:
    weights = np.asarray(weights, float)
    if weights.shape != probs.shape[:1] or not np.isfinite(weights).all() or (weights < 0).any() or not weights.any():
        raise InputError(
            f"Weights must be {len(probs)} numbers of at least 0, one a member and not all 0, received "
            f"{np.array2string(weights, precision=3)}: learn them from the same members."
        )
    return weights


def _matching(winners: np.ndarray, probs: np.ndarray) -> np.ndarray:
    winners = np.asarray(winners)
    if winners.shape != probs.shape[1:2]:
        raise InputError(
            f"Winners must have the shape {probs.shape[1:2]} of the images voted on, received {winners.shape}: "
            "take both from the same vote."
        )
    return winners
