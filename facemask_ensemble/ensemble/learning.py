"""What voting rules learn from images of another split: weights, selections, a stacked regression.

Every function takes `probs`, float (members, n, classes), and `labels`, int (n,), and answers with the rule's
arguments.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from facemask_ensemble.ensemble import voting
from facemask_ensemble.errors import InputError
from facemask_ensemble.rounding import DOUBLE, SINGLE, negligible

TINY = 1e-7
NO_DIFFERENCE = "No member's answers depend on the image: all members get the same weight."


@dataclass(frozen=True)
class Learned:
    """A rule's arguments, the share of the answer that each member has, and why members have none.

    `arguments` are plain arrays; `weights` is (members,) and adds up to 1; `left_out` gives a reason by member index.
    """

    arguments: Mapping[str, np.ndarray]
    weights: np.ndarray
    left_out: Mapping[int, str] = field(default_factory=dict)
    note: str = ""


def by_skill(probs: np.ndarray, labels: np.ndarray) -> Learned:
    """Weigh each member by its gain over always answering the most frequent class, as a share of the possible gain.

    A member that gains nothing is left out; where none gains anything, all weigh the same.
    """
    labels = _checked(probs, labels)
    chance = np.bincount(labels).max() / len(labels)
    accuracy = (voting.votes(probs) == labels).mean(axis=1)
    skill = np.maximum(accuracy - chance, 0)
    if not skill.any():
        note = "No member is better than always answering the most frequent class: all members get the same weight."
        return Learned({"weights": np.ones(len(probs))}, np.full(len(probs), 1 / len(probs)), {}, note)
    reason = "{:.1f} % right, no better than always answering the most frequent class ({:.1f} %)"
    left_out = {
        int(member): reason.format(100 * accuracy[member], 100 * chance) for member in np.flatnonzero(skill == 0)
    }
    weights = skill / skill.sum()
    return Learned({"weights": weights}, weights, left_out)


def greedy(
    probs: np.ndarray, labels: np.ndarray, bags: int = 20, share: float = 0.5, steps: int = 25, seed: int = 0
) -> Learned:
    """Add members one at a time, with replacement, each time the one that lowers the log loss of the mean the most.

    This is done in bags, each of which may choose among a random share of the members only, and the choices of all
    bags are the weights. A bag starts with its best member and keeps the additions up to the lowest loss. Source: R.
    Caruana, A. Niculescu-Mizil, G. Crew and A. Ksikes, "Ensemble selection from libraries of models", ICML 2004.

    Args:
        probs: float (members, n, classes).
        labels: int (n,).
        bags: how many; 1 takes all members in one bag.
        share: of the members that a bag chooses among, at least one.
        steps: additions in a bag.
        seed: of the bags.
    """
    labels = _checked(probs, labels)
    if bags < 1 or not 0 < share <= 1 or steps < 1:
        raise InputError(
            f"Greedy selection needs bags and steps of at least 1 and a share above 0 up to 1, received bags={bags}, "
            f"steps={steps}, share={share}: change conf/voting/greedy.yaml"
        )
    members = len(probs)
    true = np.maximum(probs[:, np.arange(len(labels)), labels], TINY).astype(np.float32)
    draw = np.random.default_rng(seed)
    size = members if bags == 1 else max(1, round(share * members))
    drawn = [np.sort(draw.permutation(members)[:size]) for _ in range(bags)]
    known: dict[tuple[int, ...], np.ndarray] = {}
    chosen = np.zeros(members)
    for bag in drawn:
        if tuple(bag) not in known:
            known[tuple(bag)] = _select(true[bag], steps)
        chosen[bag] += known[tuple(bag)] / known[tuple(bag)].sum()
    weights = chosen / chosen.sum()
    offered = np.bincount(np.concatenate(drawn), minlength=members)
    return Learned({"weights": weights}, weights, _unchosen(weights, offered, bags))


def _select(true: np.ndarray, steps: int) -> np.ndarray:
    """Count how often each member is chosen, from the probabilities of the true class, (members, n)."""
    counts, kept = np.zeros(len(true)), np.zeros(len(true))
    total, best = np.zeros(true.shape[1], np.float32), np.inf
    for step in range(1, steps + 1):
        losses = -np.log((total + true) / step).mean(axis=1, dtype=np.float64)
        member = int(losses.argmin())
        total += true[member]
        counts[member] += 1
        if losses[member] < best - 1e-9:
            best, kept = losses[member], counts.copy()
    return kept


def _unchosen(weights: np.ndarray, offered: np.ndarray, bags: int) -> dict[int, str]:
    return {
        int(member): (
            f"never chosen in the {offered[member]} of {bags} bags that held it: adding it did not lower the log loss"
            if offered[member]
            else f"not drawn into any of the {bags} bags: raise bags"
        )
        for member in np.flatnonzero(weights == 0)
    }


def logistic(probs: np.ndarray, labels: np.ndarray, strength: float = 0.1) -> Learned:
    """Fit a regularised multinomial logistic regression on the members' logarithms of probabilities.

    A class without an image gets no chance of being answered. A member's weight is its share of the coefficients' sum
    of absolute values: none for a member whose probabilities never change, of which the intercepts take care. Source:
    D. H. Wolpert, "Stacked generalization", Neural Networks 5 (1992); regression on logarithms.

    Args:
        probs: float (members, n, classes).
        labels: int (n,).
        strength: of the data against the L2 penalty, scikit-learn's C for the mean loss of 1,000 images.
    """
    labels = _checked(probs, labels)
    members, images, classes = probs.shape
    present = np.unique(labels)
    coefficients, intercepts = np.zeros((classes, members * classes)), np.full(classes, -1e6)
    if len(present) == 1:
        intercepts[present] = 0.0
        note = "All images to learn from are of one class: the rule answers only this class."
        return Learned(
            {"coefficients": coefficients, "intercepts": intercepts}, np.full(members, 1 / members), {}, note
        )
    features = voting.log_features(probs).astype(np.float64)
    varying = _varying(features)
    features = features if varying.all() else features[:, varying]
    coefficients[np.ix_(present, varying)], intercepts[present] = _regression(
        features, labels, strength * 1000 / images, members * classes**2
    )
    size = np.abs(coefficients).reshape(classes, members, classes).sum(axis=(0, 2))
    arguments = {"coefficients": coefficients, "intercepts": intercepts}
    if not size.any():
        return Learned(arguments, np.full(members, 1 / members), {}, NO_DIFFERENCE)
    reasons = ("its answers do not depend on the image", "its probabilities are the same for every image")
    still = np.flatnonzero(~varying.reshape(members, classes).any(axis=1))
    left_out = {int(member): reasons[int(member in still)] for member in np.flatnonzero(size == 0)}
    return Learned(arguments, size / size.sum(), left_out)


def _varying(features: np.ndarray) -> np.ndarray:
    """Mark the columns, of (n, columns), that change by more than rounding: the best coefficient of others is 0."""
    return ~negligible(np.ptp(features, axis=0), np.maximum(np.abs(features).max(axis=0), 1), SINGLE)


def _regression(features: np.ndarray, labels: np.ndarray, strength: float, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Fit the coefficients, (classes present, columns), and intercepts; what is rounding of a coefficient is 0."""
    from sklearn.linear_model import LogisticRegression

    if not features.shape[1]:
        frequencies = np.log(np.unique(labels, return_counts=True)[1])
        return np.zeros((len(frequencies), 0)), frequencies - frequencies.mean()
    # The quickest of few classes solves for all coefficients at once, which of 20 classes takes 40 times as long.
    solver = "newton-cholesky" if size <= 128 else "newton-cg"
    fitted = LogisticRegression(C=strength, solver=solver, max_iter=200, tol=1e-4).fit(features, labels)
    # At the optimum a coefficient is C times the sum of feature and error, which is at most this.
    largest = strength * np.abs(features).sum(axis=0)
    found = np.where(negligible(fitted.coef_, largest, DOUBLE), 0, fitted.coef_)
    if len(found) == 1:  # scikit-learn gives one row for two classes
        return found * np.array([[-0.5], [0.5]]), fitted.intercept_ * np.array([-0.5, 0.5])
    return found, fitted.intercept_


def _checked(probs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    labels = np.asarray(labels)
    if probs.ndim != 3 or labels.shape != probs.shape[1:2] or not len(labels):
        raise InputError(
            f"A rule learns from probabilities (members, images, classes) and as many labels, received {probs.shape} "
            f"and {labels.shape}: take both from one split that has images."
        )
    voting.checked(probs)
    if labels.min() < 0 or labels.max() >= probs.shape[2]:
        raise InputError(
            f"Labels to learn from must be class indices from 0 to {probs.shape[2] - 1}, received {labels.min()} to "
            f"{labels.max()}: take both from one dataset."
        )
    return labels
