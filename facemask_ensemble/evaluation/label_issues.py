"""Members as auditors: images whose label they doubt together."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from facemask_ensemble.ensemble import voting
from facemask_ensemble.errors import InputError


def suspects(
    probs: np.ndarray,
    labels: np.ndarray,
    paths: Sequence[str],
    class_names: Sequence[str],
    members: Sequence[str],
    most: int = 24,
) -> list[dict[str, Any]]:
    """Pick the images whose label is probably wrong, the most doubtful first.

    More than half of the members must answer one same class other than the label, and confident learning on their mean
    probabilities must call the label an issue. It judges no label that a single image has, and suggests no class that
    no image has: there the members' majority decides alone. The members must not have been trained on these images.
    Source: C. Northcutt, L. Jiang and I. Chuang, "Confident learning: estimating uncertainty in dataset labels",
    Journal of Artificial Intelligence Research 70 (2021), as cleanlab computes it.

    Args:
        probs: Float (members, n, classes).
        labels: As given, int (n,).
        paths: One an image.
        class_names: Names in label order.
        members: Names in the order of `probs`.
        most: The most images to pick.

    Returns:
        `path`, `label`, `suggested`, `agreeing` (names of the members that answer it), `members` (how many there are)
        and `quality`: the label's mean probability over the members, 0 to 1.

    Raises:
        InputError: Arrays, paths and names do not belong together.
    """
    probs, labels = np.asarray(probs), np.asarray(labels)
    answers = voting.votes(probs)
    _check(probs, labels, (len(members), len(paths), len(class_names)))
    counts = np.stack([(answers == label).sum(axis=0) for label in range(len(class_names))], axis=1)
    suggested = counts.argmax(axis=1)
    doubted = (2 * counts.max(axis=1) > len(members)) & (suggested != labels)
    mean = probs.mean(axis=0, dtype=np.float64)
    images = np.bincount(labels, minlength=len(class_names))
    unjudged = (images[labels] < 2) | (images[suggested] == 0)
    found = np.flatnonzero(doubted & (unjudged | _issues(labels, mean)))
    quality = mean[found, labels[found]]
    return [
        {
            "path": paths[index],
            "label": class_names[labels[index]],
            "suggested": class_names[suggested[index]],
            "agreeing": [members[member] for member in np.flatnonzero(answers[:, index] == suggested[index]).tolist()],
            "members": len(members),
            "quality": float(mean[index, labels[index]]),
        }
        for index in found[quality.argsort(kind="stable")][:most].tolist()
    ]


def _issues(labels: np.ndarray, mean: np.ndarray) -> np.ndarray:
    if len(np.unique(labels)) < 2:  # cleanlab has nothing to compare then, and refuses
        return np.zeros(len(labels), bool)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from cleanlab.filter import find_label_issues  # takes two seconds

        # One process: a fork beside TensorFlow's threads may hang.
        return find_label_issues(labels, np.clip(mean, 0, 1), n_jobs=1)


def _check(probs: np.ndarray, labels: np.ndarray, named: tuple[int, int, int]) -> None:
    _, images, classes = named
    if probs.shape != named or labels.shape != (images,) or not images:
        raise InputError(
            f"Auditing needs probabilities of (members, images, classes), received shape {probs.shape} with {named} "
            f"names of these and labels of shape {labels.shape}: take all from one split."
        )
    if not ((probs >= 0) & (probs <= 1 + 1e-3)).all():
        raise InputError("Probabilities must lie from 0 to 1, and some do not: leave the member out or train it again.")
    if labels.min() < 0 or labels.max() >= classes:
        raise InputError(
            f"Labels must be class indices from 0 to {classes - 1}, received {labels.min()} to {labels.max()}: "
            "check that the class names belong to these images."
        )
