"""Abstaining: risk and coverage, and images sent to a person.

An image that the vote leaves without an answer has the confidence nan: it counts as the least sure, and as not right.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from facemask_ensemble.errors import InputError
from facemask_ensemble.evaluation.statistics import wilson_interval
from facemask_ensemble.rounding import DOUBLE, negligible

SHARES = (0.01, 0.02, 0.04, 0.08, 0.16)
POINTS = 200  # of a curve; more cannot be seen


def risk_coverage(confidence: np.ndarray, right: np.ndarray) -> dict[str, Any]:
    """Give the error of the most confident images, for every share of them.

    Images of equal confidence come together. The area is the mean risk over all coverages, each coverage taking the
    risk of the next point: 1/n of the sum of the n risks where all confidences differ. Source: R. El-Yaniv and
    Y. Wiener, "On the foundations of noise-free selective classification", Journal of Machine Learning Research 11
    (2010); Y. Geifman and R. El-Yaniv, "Selective classification for deep neural networks", NeurIPS (2017).

    Args:
        confidence: Of every image's answer, float (n,).
        right: Whether it is right, bool (n,).

    Returns:
        `coverage` and `risk`, lists of at most 200 points with both ends, and `area`, of the curve before thinning.
    """
    confidence, right, _ = _judged(confidence, right)
    order = np.argsort(-confidence, kind="stable")
    ends = np.append(np.flatnonzero(~negligible(np.diff(confidence[order]), tolerance=DOUBLE)), len(order) - 1)
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
    """Measure the error if the least confident images are sent to a person.

    A share's threshold is that quantile of the validation images' confidences; test images below it are sent, and
    those without an answer. Images at the threshold are answered, so that many of equal confidence are not sent for
    the sake of a few.

    Args:
        validation_confidence: Of the answers to the validation images, float (m,).
        confidence: Of the answers to the test images, float (n,).
        right: Whether these are right, bool (n,).
        shares: Of the images that may be sent, each between 0 and 1.

    Returns:
        One entry a share; `error` is of the images still answered, with its Wilson interval; both are None where
        every image is sent.
    """
    confidence, right, unanswered = _judged(confidence, right)
    known = _numbers(validation_confidence)
    if any(not 0 <= share <= 1 for share in shares):
        raise InputError(f"A share of images to send lies between 0 and 1, received {list(shares)}: fix the shares.")
    thresholds = np.quantile(known, shares).tolist()
    return [
        _sent(share, threshold, (confidence >= threshold - DOUBLE) & ~unanswered, right)
        for share, threshold in zip(shares, thresholds, strict=True)
    ]


def _sent(share: float, threshold: float, answered: np.ndarray, right: np.ndarray) -> dict[str, Any]:
    kept, wrong = int(answered.sum()), int((answered & ~right).sum())
    result = {
        "asked": float(share),
        "threshold": threshold,
        "sent": float((~answered).mean()),
        "images_sent": len(right) - kept,
        "error": wrong / kept if kept else None,
        "interval": list(wilson_interval(wrong, kept)) if kept else None,
        "error_before": float((~right).mean()),
    }
    return result | {"sentence": _sending(result)}


def _sending(result: dict[str, Any]) -> str:
    if result["error"] is None:
        return "Every image is sent to a person: none is left to answer."
    before, after = percent(result["error_before"]), percent(result["error"])
    if not result["images_sent"]:
        return f"No image is sent to a person, and the error stays at {before}."
    change = f"{'falls' if result['error'] < result['error_before'] else 'rises'} from {before} to {after}"
    if before == after:
        change = f"stays at {before}"
    return f"Send {percent(result['sent'])} of the images to a person and the error of the others {change}."


def percent(share: float) -> str:
    """Write a share for a sentence; a small share is not rounded to 0."""
    return f"{100 * share:.1f} %" if share == 0 or share >= 0.001 else f"{100 * share:.2g} %"


def _judged(confidence: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    numbers, right = _numbers(confidence), np.asarray(right, bool)
    if numbers.shape != right.shape:
        raise InputError(
            f"Confidences and right answers must be on the same images, received shapes {numbers.shape} and "
            f"{right.shape}: take both from one vote."
        )
    return numbers, right, np.isnan(np.asarray(confidence, np.float64))


def _numbers(confidence: np.ndarray) -> np.ndarray:
    confidence = np.asarray(confidence, np.float64)
    if confidence.ndim != 1 or not len(confidence) or np.isinf(confidence).any():
        raise InputError(
            f"Confidences must be one finite number an image, received shape {confidence.shape} with "
            f"{int(np.isinf(confidence).sum())} infinite: take them from a split that has images."
        )
    # An image without an answer is no surer than any other: 0, or the lowest where confidences go below.
    return np.where(np.isnan(confidence), np.fmin.reduce(confidence, initial=0.0), confidence)
