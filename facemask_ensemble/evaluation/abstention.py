"""When not to answer: risk and coverage, pictures sent to a person, and sets of classes instead of one.

A picture that the vote leaves without an answer has the confidence nan: it counts as the least sure, and as not right.
"""

from collections.abc import Sequence
from math import ceil
from typing import Any

import numpy as np

from facemask_ensemble.errors import InputError
from facemask_ensemble.evaluation.statistics import wilson_interval

SHARES = (0.01, 0.02, 0.04, 0.08, 0.16)
POINTS = 200  # of a curve; more cannot be seen
ROUNDING = 1e-9  # that (n + 1)(1 - error) = 93 may not become 94


def risk_coverage(confidence: np.ndarray, right: np.ndarray) -> dict[str, Any]:
    """Give the error among the surest pictures, for every share of them.

    Pictures of equal confidence come together. The area is the mean risk over all coverages, each coverage taking the
    risk of the next point: 1/n of the sum of the n risks where all confidences differ. Source: R. El-Yaniv and
    Y. Wiener, "On the foundations of noise-free selective classification", Journal of Machine Learning Research 11
    (2010); Y. Geifman and R. El-Yaniv, "Selective classification for deep neural networks", NeurIPS (2017).

    Args:
        confidence: Of every picture's answer, float (n,).
        right: Whether it is right, bool (n,).

    Returns:
        `coverage` and `risk`, lists of at most 200 points with both ends, and `area`, of the curve before thinning.
    """
    confidence, right, _ = _judged(confidence, right)
    order = np.argsort(-confidence, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(confidence[order])), len(order) - 1)
    coverage = (ends + 1) / len(order)
    risk = np.cumsum(~right[order])[ends] / (ends + 1)
    shown = np.unique(np.linspace(0, len(ends) - 1, POINTS).round().astype(int))
    return {
        "coverage": coverage[shown].tolist(),
        "risk": risk[shown].tolist(),
        "area": float(risk @ np.diff(coverage, prepend=0)),
    }


def send_to_person(
    validation_confidence: np.ndarray, confidence: np.ndarray, right: np.ndarray, shares: Sequence[float] = SHARES
) -> list[dict[str, Any]]:
    """Measure what it brings to send the least sure pictures to a person.

    A share's threshold is that quantile of the validation pictures' confidences; test pictures below it are sent, and
    those without an answer. Pictures at the threshold are answered, so that many of equal confidence are not sent for
    the sake of a few.

    Args:
        validation_confidence: Of the answers to the validation pictures, float (m,).
        confidence: Of the answers to the test pictures, float (n,).
        right: Whether these are right, bool (n,).
        shares: Of the pictures that may be sent, each between 0 and 1.

    Returns:
        One entry a share; `error` is of the pictures still answered, with its Wilson interval; both are None where
        every picture is sent.
    """
    confidence, right, unanswered = _judged(confidence, right)
    known = _numbers(validation_confidence)
    if any(not 0 <= share <= 1 for share in shares):
        raise InputError(f"A share of pictures to send lies between 0 and 1, received {list(shares)}: mend the shares.")
    thresholds = np.quantile(known, shares).tolist()
    return [
        _sent(share, threshold, (confidence >= threshold) & ~unanswered, right)
        for share, threshold in zip(shares, thresholds, strict=True)
    ]


def _sent(share: float, threshold: float, answered: np.ndarray, right: np.ndarray) -> dict[str, Any]:
    kept, wrong = int(answered.sum()), int((answered & ~right).sum())
    result = {
        "asked": float(share),
        "threshold": threshold,
        "sent": float((~answered).mean()),
        "pictures_sent": len(right) - kept,
        "error": wrong / kept if kept else None,
        "interval": list(wilson_interval(wrong, kept)) if kept else None,
        "error_before": float((~right).mean()),
    }
    return result | {"sentence": _sending(result)}


def _sending(result: dict[str, Any]) -> str:
    if result["error"] is None:
        return "Every picture is sent to a person: none is left to answer."
    before, after = _percent(result["error_before"]), _percent(result["error"])
    if not result["pictures_sent"]:
        return f"No picture is sent to a person, and the error stays at {before}."
    change = f"{'falls' if result['error'] < result['error_before'] else 'rises'} from {before} to {after}"
    if before == after:
        change = f"stays at {before}"
    return f"Send {_percent(result['sent'])} of the pictures to a person and the error of the others {change}."


def conformal(
    validation: np.ndarray,
    validation_labels: np.ndarray,
    test: np.ndarray,
    test_labels: np.ndarray,
    class_names: Sequence[str],
    error: float = 0.1,
) -> dict[str, Any]:
    """Answer with sets of classes that miss the true one in at most the given share of pictures, and measure them.

    A class is in the set if 1 - p(class) is at most the threshold: the ceil((n + 1)(1 - error))-th smallest of the n
    validation pictures' 1 - p(true class). The promise holds on average over pictures like the validation pictures,
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
        (coverage, None without pictures). `threshold` is None where validation pictures are too few: then every set
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
    sets = 1 - test <= (np.inf if threshold is None else threshold)
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
    return f"Every set holds all classes: an error of {_percent(error)} needs {needed} validation pictures or more."


def _covering(result: dict[str, Any]) -> str:
    low, high = (_percent(edge) for edge in result["interval"])
    return (
        f"Sets of {result['mean_size']:.2f} classes on average hold the true class of {_percent(result['coverage'])} "
        f"of the pictures (95 % interval {low} to {high}), where {_percent(1 - result['error'])} were asked for."
    )


def _share(marks: np.ndarray) -> float | None:
    return float(marks.mean()) if len(marks) else None


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %" if share == 0 or share >= 0.001 else f"{100 * share:.2g} %"


def _judged(confidence: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    numbers, right = _numbers(confidence), np.asarray(right, bool)
    if numbers.shape != right.shape:
        raise InputError(
            f"Confidences and right answers must be on the same pictures, received shapes {numbers.shape} and "
            f"{right.shape}: take both from one vote."
        )
    return numbers, right, np.isnan(np.asarray(confidence, np.float64))


def _numbers(confidence: np.ndarray) -> np.ndarray:
    confidence = np.asarray(confidence, np.float64)
    if confidence.ndim != 1 or not len(confidence) or np.isinf(confidence).any():
        raise InputError(
            f"Confidences must be one finite number a picture, received shape {confidence.shape} with "
            f"{int(np.isinf(confidence).sum())} infinite: take them from a split that has pictures."
        )
    # A picture without an answer is no surer than any other: 0, or the lowest where confidences go below.
    return np.where(np.isnan(confidence), np.fmin.reduce(confidence, initial=0.0), confidence)


def _probabilities(
    probs: np.ndarray, labels: np.ndarray, classes: int, what: str, least: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    probs, labels = np.asarray(probs, np.float64), np.asarray(labels)
    if labels.ndim != 1 or len(labels) < least or probs.shape != (len(labels), classes):
        raise InputError(
            f"Sets of classes need {what} probabilities of shape (pictures, {classes}) and one label a picture, "
            f"received shapes {probs.shape} and {labels.shape}: take both from one split."
        )
    if not ((probs >= 0) & (probs <= 1 + 1e-3)).all():
        raise InputError(f"The {what} probabilities must lie from 0 to 1, and some do not or are nan: train again.")
    if len(labels) and (labels.min() < 0 or labels.max() >= classes):
        raise InputError(
            f"The {what} labels must be class indices from 0 to {classes - 1}, received {labels.min()} to "
            f"{labels.max()}: check that the class names belong to these pictures."
        )
    return probs, labels
