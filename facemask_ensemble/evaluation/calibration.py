"""Calibration: whether a probability of 0.9 is right nine times in ten, and one temperature a member that fixes it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar

from facemask_ensemble.errors import InputError
from facemask_ensemble.evaluation.statistics import wilson_interval
from facemask_ensemble.rounding import negligible

BINS = 15
SMALLEST = 1e-12
TEMPERATURES = (0.05, 20.0)
MEAN = "mean of members"
LEVEL = 1e-9  # log losses that differ by less are the same


def fit_temperature(probs: np.ndarray, labels: np.ndarray) -> float:
    """Find the temperature, from 0.05 to 20, under which `probs`, float (n, classes), have the least log loss.

    Fewer than two images teach nothing and leave 1, as do probabilities that are all alike, or whose loss no
    temperature lowers by more than rounding. Source: C. Guo, G. Pleiss, Y. Sun and K. Q. Weinberger, "On
    calibration of modern neural networks", ICML 2017.
    """
    probs, labels = _checked(probs, labels, least=0)
    if len(labels) < 2:
        return 1.0
    logs = _logs(probs)
    logs -= logs[np.arange(len(labels)), labels][:, None]  # the right class at 0: its loss is what all sum to
    if negligible(logs).all():
        return 1.0

    def loss(log_temperature: float) -> float:
        return float(np.log(np.exp(logs * np.exp(-log_temperature)).sum(axis=1)).mean())

    found = minimize_scalar(loss, bounds=np.log(TEMPERATURES), method="bounded", options={"xatol": 1e-6})
    return float(np.exp(found.x)) if loss(0) - loss(found.x) > LEVEL else 1.0


def apply_temperature(probs: np.ndarray, temperature: float) -> np.ndarray:
    """Give softmax(log p / temperature) over the last axis, float64 of the shape of `probs`; a zero counts as 1e-12."""
    if not (np.isfinite(temperature) and temperature > 0):
        raise InputError(f"A temperature is a number above 0, received {temperature}: 1 changes nothing.")
    scaled = _logs(probs) / temperature
    scaled -= scaled.max(axis=-1, keepdims=True)
    np.exp(scaled, out=scaled)
    scaled /= scaled.sum(axis=-1, keepdims=True)
    return scaled


def losses(probs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Give every image's log loss, float (n,); a zero for the right class counts as 1e-12."""
    probs, labels = _checked(probs, labels)
    return -_logs(probs[np.arange(len(labels)), labels])


def log_loss(probs: np.ndarray, labels: np.ndarray) -> float:
    """Give the mean negative log probability of the right class, in nats."""
    return float(losses(probs, labels).mean())


def squares(probs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Give every image's squared distance of its probabilities from the truth, float (n,), 0 to 2."""
    probs, labels = _checked(probs, labels)
    return ((probs - np.eye(probs.shape[1])[labels]) ** 2).sum(axis=1)


def brier_score(probs: np.ndarray, labels: np.ndarray) -> float:
    """Give the mean over images of the squared error summed over the classes, 0 to 2.

    Source: G. W. Brier, "Verification of forecasts expressed in terms of probability", Monthly Weather Review 78
    (1950).
    """
    return float(squares(probs, labels).mean())


def top_label(probs: np.ndarray, labels: np.ndarray, bins: int = BINS) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give the bin, int (n,), the probability of the likeliest class, float (n,), and whether it is right, bool (n,).

    Bin k, counted from 0, holds the probabilities above k / bins and up to (k + 1) / bins.
    """
    probs, labels = _checked(probs, labels)
    if bins < 1:
        raise InputError(f"Probabilities are sorted into at least one bin, received {bins}: 15 is usual.")
    confidence = probs.max(axis=1)
    places = np.digitize(confidence, np.linspace(0, 1, bins + 1)[1:-1], right=True)
    return places, confidence, probs.argmax(axis=1) == labels


def expected_calibration_error(probs: np.ndarray, labels: np.ndarray, bins: int = BINS) -> float:
    """Give the mean gap between confidence and accuracy over bins of equal width, weighted by their images, 0 to 1.

    Source: M. P. Naeini, G. F. Cooper and M. Hauskrecht, "Obtaining well calibrated probabilities using Bayesian
    binning", AAAI 2015, for the likeliest class as in Guo et al. (2017).
    """
    places, confidence, right = top_label(probs, labels, bins)
    return float(np.abs(np.bincount(places, confidence - right)).sum() / len(places))


def reliability(probs: np.ndarray, labels: np.ndarray, bins: int = BINS) -> list[dict[str, Any]]:
    """Give mean confidence and accuracy of every bin that holds images, with the accuracy's 95 % interval."""
    places, confidence, right = top_label(probs, labels, bins)
    counts, hits = (np.bincount(places, weights, bins).astype(int) for weights in (None, right))
    means = np.bincount(places, confidence, bins) / np.maximum(counts, 1)
    return [
        {
            "low": place / bins,
            "high": (place + 1) / bins,
            "images": int(counts[place]),
            "confidence": float(means[place]),
            "accuracy": float(hits[place] / counts[place]),
            "interval": list(wilson_interval(int(hits[place]), int(counts[place]))),
        }
        for place in np.flatnonzero(counts).tolist()
    ]


def calibrate(
    validation: np.ndarray,
    validation_labels: np.ndarray,
    test: np.ndarray,
    test_labels: np.ndarray,
    names: Sequence[str],
) -> dict[str, Any]:
    """Learn the temperatures on the validation split, and tell what they do on the test split.

    After the members comes their mean: `before` it is of their plain probabilities; then every member takes its own
    temperature, and the mean of these takes one more. Source for a temperature after the averaging: R. Rahaman and
    A. H. Thiery, "Uncertainty quantification and deep ensembles", NeurIPS 2021.

    Args:
        validation: Probabilities (members, m, classes); m may be 0, and then every temperature is 1.
        validation_labels: True class indices, int (m,).
        test: Probabilities (members, n, classes).
        test_labels: True class indices, int (n,).
        names: The members' names.
    """
    validation, test = np.asarray(validation), np.asarray(test)
    if validation.ndim != 3 or test.ndim != 3 or not len(names) == len(validation) == len(test) > 0:
        raise InputError(
            f"Calibration needs probabilities (members, images, classes) of {len(names)} members, received shapes "
            f"{validation.shape} and {test.shape}: stack one (images, classes) array a member."
        )
    temperatures = [fit_temperature(probs, validation_labels) for probs in validation]
    learned, changed = (
        np.mean([apply_temperature(probs, t) for probs, t in zip(split, temperatures, strict=True)], axis=0)
        for split in (validation, test)
    )
    rows = [
        _row(name, temperature, probs, apply_temperature(probs, temperature), test_labels)
        for name, temperature, probs in zip(names, temperatures, test, strict=True)
    ]
    last = fit_temperature(learned, validation_labels)
    plain_mean = test.mean(axis=0, dtype=np.float64)
    rows.append(_row(MEAN, last, plain_mean, apply_temperature(changed, last), test_labels))
    return {
        "bins": BINS,
        "binning": f"{BINS} bins of equal width over the likeliest class's probability; a bin holds its upper edge.",
        "learned_on": len(validation_labels),
        "rows": rows,
    }


def _row(name: str, temperature: float, before: np.ndarray, after: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    return {
        "name": name,
        "temperature": temperature,
        "before": _scores(before, labels),
        "after": _scores(after, labels),
        "reliability_before": reliability(before, labels),
        "reliability_after": reliability(after, labels),
    }


def _scores(probs: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    metrics = (log_loss, brier_score, expected_calibration_error)
    return {metric.__name__: metric(probs, labels) for metric in metrics}


def _logs(probs: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(np.asarray(probs, np.float64), SMALLEST))


def _checked(probs: np.ndarray, labels: np.ndarray, least: int = 1) -> tuple[np.ndarray, np.ndarray]:
    probs, labels = np.asarray(probs, np.float64), np.asarray(labels)
    if probs.ndim != 2 or labels.shape != probs.shape[:1]:
        raise InputError(
            f"Probabilities (images, classes) and labels (images,) must match, received shapes {probs.shape} and "
            f"{labels.shape}: take both from the same images."
        )
    if len(labels) < least:
        raise InputError("There are 0 images to judge probabilities on: judge on a split that has images.")
    if len(labels) and (labels.min() < 0 or labels.max() >= probs.shape[1]):
        raise InputError(
            f"Labels must be class indices from 0 to {probs.shape[1] - 1}, received {labels.min()} to "
            f"{labels.max()}: check that the labels belong to these images."
        )
    if not ((probs >= 0) & (probs <= 1 + 1e-3)).all():
        raise InputError(
            "Probabilities must lie from 0 to 1, and some do not or are nan: leave the member out or train it again."
        )
    return probs, labels
