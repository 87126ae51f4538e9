"""Voting rules on cached probabilities `probs`, float (members, n, classes); every rule answers (n,) class indices."""

import numpy as np

from facemask_ensemble.errors import InputError


def majority(probs: np.ndarray) -> np.ndarray:
    """Pick the class most members answer; a tie goes to the tied class of higher mean probability."""
    probs = _checked(probs)
    counts = _counts(probs)
    leading = counts == counts.max(axis=1, keepdims=True)
    return np.where(leading, _mean(probs), -np.inf).argmax(axis=1)


def soft(probs: np.ndarray) -> np.ndarray:
    """Pick the class of the highest mean probability."""
    return _mean(_checked(probs)).argmax(axis=1)


def votes(probs: np.ndarray) -> np.ndarray:
    """Give every member's answer, int (members, n)."""
    return _checked(probs).argmax(axis=2)


def ties(probs: np.ndarray) -> np.ndarray:
    """Mark the pictures where two or more classes share the highest number of votes, bool (n,)."""
    counts = _counts(_checked(probs))
    return (counts == counts.max(axis=1, keepdims=True)).sum(axis=1) > 1


def agreement(probs: np.ndarray, winners: np.ndarray) -> np.ndarray:
    """Give the share of members that answered the winning class, float (n,)."""
    probs = _checked(probs)
    return (probs.argmax(axis=2) == _matching(winners, probs)).mean(axis=0)


def confidence(probs: np.ndarray, winners: np.ndarray) -> np.ndarray:
    """Give the mean probability of the winning class over the members, float (n,)."""
    probs = _checked(probs)
    return np.take_along_axis(_mean(probs), _matching(winners, probs)[:, None], axis=1)[:, 0]


def _mean(probs: np.ndarray) -> np.ndarray:
    return probs.mean(axis=0, dtype=np.float64)


def _counts(probs: np.ndarray) -> np.ndarray:
    _, samples, classes = probs.shape
    cells = probs.argmax(axis=2) + np.arange(samples) * classes
    return np.bincount(cells.ravel(), minlength=samples * classes).reshape(samples, classes)


def _checked(probs: np.ndarray) -> np.ndarray:
    probs = np.asarray(probs)
    if probs.ndim != 3:
        raise InputError(
            f"Votes need probabilities of shape (members, pictures, classes), received {probs.shape}: "
            "stack one (pictures, classes) array a member."
        )
    members, _, classes = probs.shape
    if members == 0:
        raise InputError("A vote needs at least one member, received 0: train one first.")
    if classes < 2:
        raise InputError(f"A vote needs at least two classes, received {classes}: check the data set's classes.")
    broken = [str(member) for member in np.flatnonzero(~np.isfinite(probs).all(axis=(1, 2)))]
    if broken:
        raise InputError(
            f"Member number {', '.join(broken)} (counted from 0) has probabilities that are nan or infinite: "
            "leave it out or train it again."
        )
    return probs


def _matching(winners: np.ndarray, probs: np.ndarray) -> np.ndarray:
    winners = np.asarray(winners)
    if winners.shape != probs.shape[1:2]:
        raise InputError(
            f"Winners must have the shape {probs.shape[1:2]} of the pictures voted on, received {winners.shape}: "
            "take both from the same vote."
        )
    return winners
