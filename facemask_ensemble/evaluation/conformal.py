"""Conformal prediction: sets of classes that hold the true class with a given coverage."""

from collections.abc import Sequence
from math import ceil
from typing import Any

import numpy as np

from facemask_ensemble.errors import InputError
from facemask_ensemble.evaluation.abstention import percent
from facemask_ensemble.evaluation.statistics import wilson_interval
from facemask_ensemble.rounding import DOUBLE

ROUNDING = 1e-9  # that (n + 1)(1 - error) = 93 may not become 94


def conformal(
    validation: np.ndarray,
    validation_labels: np.ndarray,
    test: np.ndarray,
    test_labels: np.ndarray,
    class_names: Sequence[str],
    error: float = 0.1,
) -> dict[str, Any]:
    """Answer with sets of classes that miss the true one in at most the given share of images, and measure them.

    A class is in the set if 1 - p(class) is at most the threshold: the ceil((n + 1)(1 - error))-th smallest of the n
    validation images' 1 - p(true class). The promise holds on average over images like the validation images,
    not for every class, and a set may be empty. Source: V. Vovk, A. Gammerman and G. Shafer, "Algorithmic Learning in
    a Random World" (2005); M. Sadinle, J. Lei and L. Wasserman, "Least ambiguous set-valued classifiers with bounded
    error levels", Journal of the American Statistical Association 114 (2019).

    Args:
        validation: Probabilities that the threshold is learned on, float (m, classes); m may be 0.
        validation_labels: Their true classes, int (m,).
        test: Probabilities that the sets are made of, float (n, classes).
        test_labels: Their true classes, int (n,).
        class_names: Names in label order.
        error: The share of sets that may miss the true class, between 0 and 1.

    Returns:
        The measured `coverage` with its Wilson interval, `mean_size`, `sizes` (sets of 0, 1, ... classes), `by_class`
        (coverage, None without images). `threshold` is None where validation images are too few: then every set
        holds all classes, and `note` says so.
    """
    if not 0 < error < 1:
        raise InputError(f"The error of sets of classes lies between 0 and 1, received {error}: try 0.1.")
    validation, validation_labels = _probabilities(
        validation, validation_labels, len(class_names), "validation", least=0
    )
    test, test_labels = _probabilities(test, test_labels, len(class_names), "test")
    learned_on = len(validation_labels)
    threshold = _threshold(1 - validation[np.arange(learned_on), validation_labels], error)
    sets = 1 - test <= (np.inf if threshold is None else threshold + DOUBLE)  # equal ones may differ by rounding
    covered = sets[np.arange(len(test)), test_labels]
    result = {
        "error": float(error),
        "threshold": threshold,
        "learned_on": learned_on,
        "coverage": float(covered.mean()),
        "interval": list(wilson_interval(int(covered.sum()), len(covered))),
        "mean_size": float(sets.sum(axis=1).mean()),
        "sizes": np.bincount(sets.sum(axis=1), minlength=len(class_names) + 1).tolist(),
        "by_class": {name: _share(covered[test_labels == label]) for label, name in enumerate(class_names)},
        "note": _too_few(error) if threshold is None else "",
    }
    return result | {"sentence": _covering(result)}


def _threshold(scores: np.ndarray, error: float) -> float | None:
    rank = max(1, ceil((len(scores) + 1) * (1 - error) - ROUNDING))
    return float(np.sort(scores)[rank - 1]) if rank <= len(scores) else None


def _too_few(error: float) -> str:
    needed = ceil(1 / error - 1 - ROUNDING)
    return f"Every set holds all classes: an error of {percent(error)} needs {needed} validation images or more."


def _covering(result: dict[str, Any]) -> str:
    low, high = (percent(edge) for edge in result["interval"])
    return (
        f"Sets of {result['mean_size']:.2f} classes on average hold the true class of {percent(result['coverage'])} "
        f"of the images (95 % interval {low} to {high}); the target is {percent(1 - result['error'])}."
    )


def _share(marks: np.ndarray) -> float | None:
    return float(marks.mean()) if len(marks) else None


def _probabilities(
    probs: np.ndarray, labels: np.ndarray, classes: int, what: str, least: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    probs, labels = np.asarray(probs, np.float64), np.asarray(labels)
    if labels.ndim != 1 or len(labels) < least or probs.shape != (len(labels), classes):
        raise InputError(
            f"Sets of classes need {what} probabilities of shape (images, {classes}) and one label an image, "
            f"received shapes {probs.shape} and {labels.shape}: take both from one split."
        )
    if not ((probs >= 0) & (probs <= 1 + 1e-3)).all():
        raise InputError(f"The {what} probabilities must lie from 0 to 1, and some do not or are nan: train again.")
    if len(labels) and (labels.min() < 0 or labels.max() >= classes):
        raise InputError(
            f"The {what} labels must be class indices from 0 to {classes - 1}, received {labels.min()} to "
            f"{labels.max()}: check that the class names belong to these images."
        )
    return probs, labels
