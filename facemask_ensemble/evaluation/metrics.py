"""Classification metrics of one set of answers, under scikit-learn's names and definitions."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from facemask_ensemble.ensemble.voting import ABSTAIN
from facemask_ensemble.errors import InputError

AVERAGES = ("micro", "macro", "weighted")
SCORES = ("precision", "recall", "f1")


def classification_metrics(labels: np.ndarray, predictions: np.ndarray, class_names: Sequence[str]) -> dict[str, Any]:
    """Score answers against the truth, in plain numbers that JSON can hold.

    An image without an answer counts as not right: it lowers accuracy and recall, and no precision; the confusion
    matrix lacks it. A score without a denominator is 0. As in scikit-learn, a class that is neither in the truth nor
    answered does not count in an average, and balanced accuracy is the mean recall of the classes in the truth.

    Args:
        labels: True class indices, int (n,).
        predictions: Answered class indices, int (n,), `ABSTAIN` for no answer.
        class_names: Names in label order.

    Raises:
        InputError: The arrays do not match, are empty, or hold an index that is no class.
    """
    labels, predictions = _checked(labels, predictions, len(class_names))
    every = np.arange(len(class_names))
    matrix = confusion_matrix(labels, predictions, labels=every)
    support = np.bincount(labels, minlength=len(class_names))
    recall = matrix.diagonal()[support > 0] / support[support > 0]
    result: dict[str, Any] = {
        "accuracy": float((labels == predictions).mean()),
        "balanced_accuracy": float(recall.mean()),
    }
    known = np.setdiff1d(np.union1d(labels, predictions), ABSTAIN)
    for average in AVERAGES:
        values = precision_recall_fscore_support(labels, predictions, labels=known, average=average, zero_division=0)
        result |= {f"{average}_{score}": float(value) for score, value in zip(SCORES, values, strict=False)}
    columns = precision_recall_fscore_support(labels, predictions, labels=every, zero_division=0)
    result["per_class"] = {
        name: {score: float(column[label]) for score, column in zip(SCORES, columns, strict=False)}
        | {"support": int(support[label])}
        for label, name in enumerate(class_names)
    }
    result["confusion_matrix"] = matrix.tolist()
    return result


def _checked(labels: np.ndarray, predictions: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray]:
    labels, predictions = np.asarray(labels), np.asarray(predictions)
    if labels.ndim != 1 or labels.shape != predictions.shape:
        raise InputError(
            f"Truth and answers must be two lists of one length, received shapes {labels.shape} and "
            f"{predictions.shape}: take both from the same images."
        )
    if not len(labels):
        raise InputError("There are 0 images to score: judge on a split that has images.")
    for what, values, least in (("truth", labels, 0), ("answers", predictions, ABSTAIN)):
        if values.min() < least or values.max() >= classes:
            raise InputError(
                f"The {what} must be class indices from 0 to {classes - 1}, received {values.min()} to "
                f"{values.max()}: check that the class names belong to these images."
            )
    return labels, predictions
