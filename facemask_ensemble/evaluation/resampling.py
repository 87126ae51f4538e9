"""The bootstrap of every metric of every name at once: images are drawn again, and one product gives all the sums."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from facemask_ensemble.ensemble.voting import ABSTAIN
from facemask_ensemble.errors import InputError
from facemask_ensemble.evaluation.calibration import losses, squares

FEWEST = 200
CELLS = 32_000_000  # counts in memory at once, 128 MB


def resampled(
    features: np.ndarray,
    statistic: Callable[[np.ndarray], np.ndarray],
    *,
    draws: int = 10_000,
    seed: int = 0,
    level: float = 0.95,
    most: int = 2_000_000_000,
    cells: int = CELLS,
) -> dict[str, Any]:
    """Give the percentile intervals of statistics that are functions of sums over the images.

    A draw of n images with replacement is a count an image, and its sums are these counts times the features.
    Source: B. Efron, "Bootstrap methods: another look at the jackknife", Annals of Statistics 7 (1979).

    Args:
        features: What is summed, float32 (n, k); float32 holds a sum to about one part in a million.
        statistic: Turns sums, float64 (d, k), into statistics (d, s); they must be finite.
        draws: How often the images are drawn again.
        seed: Fixes the draws.
        level: Share of draws inside the interval.
        most: Images drawn altogether; more images get fewer draws, but never fewer than 200.
        cells: Counts held in memory at once, four bytes each; it does not change the draws.

    Returns:
        `low` and `high`, float (s,), and `draws`, how many were made.
    """
    features = np.asarray(features, np.float32)
    if features.ndim != 2 or not len(features):
        raise InputError(f"A bootstrap needs features (images, columns), received shape {features.shape}: add some.")
    if draws < 1 or not 0 < level < 1:
        raise InputError(f"A bootstrap needs a draw and a level below 1, received {draws} and {level}: 0.95 is usual.")
    images = len(features)
    draws = min(draws, max(FEWEST, most // images))
    rng = np.random.default_rng(seed)
    chunk = max(1, cells // images)
    found = [
        statistic((_counts(rng, images, min(chunk, draws - start)) @ features).astype(np.float64))
        for start in range(0, draws, chunk)
    ]
    low, high = np.quantile(np.concatenate(found), [0.5 - level / 2, 0.5 + level / 2], axis=0)
    return {"low": low, "high": high, "draws": draws}


def metric_intervals(
    labels: np.ndarray,
    answers: Mapping[str, np.ndarray],
    probs: Mapping[str, np.ndarray],
    classes: int,
    reference: str,
    *,
    draws: int = 10_000,
    seed: int = 0,
) -> dict[str, Any]:
    """Give the 95 % intervals of the metrics of every name, all from the same draws of the images.

    Definitions are those of `metrics` and `calibration`; no answer is not right and counts for no class. There is none
    of the expected calibration error: a draw's own noise adds to that error, so that the interval of probabilities that
    are calibrated lies above it.

    Args:
        labels: True class indices, int (n,).
        answers: Answered class indices by name, int (n,), or `ABSTAIN`.
        probs: Probabilities by name, float (n, classes), for all or some of these names.
        classes: How many classes there are.
        reference: The name that `difference` is counted from.
        draws: How often the images are drawn again.
        seed: Fixes the draws.

    Returns:
        `draws`, and `names`: by name and metric [low, high]. Metrics are accuracy, balanced_accuracy, macro_f1 and
        difference (accuracy less the reference's), and with probabilities log_loss and brier_score.
    """
    labels, answers = _checked(labels, answers, probs, classes, reference)
    features = _features(labels, answers, probs, classes)

    def scores(sums: np.ndarray) -> dict[tuple[str, str], np.ndarray]:
        return _scores(sums, [(name, name in probs) for name in answers], classes, reference)

    keys = list(scores(features[:1]))
    found = resampled(features, lambda sums: np.stack(list(scores(sums).values()), axis=1), draws=draws, seed=seed)
    names: dict[str, dict[str, list[float]]] = {name: {} for name in answers}
    for (name, metric), low, high in zip(keys, found["low"].tolist(), found["high"].tolist(), strict=True):
        names[name][metric] = [low, high]
    return {"draws": found["draws"], "names": names}


def _counts(rng: np.random.Generator, images: int, draws: int) -> np.ndarray:
    counts = np.empty((draws, images), np.float32)
    for row in counts:  # one draw at a time: its numbers stay in the cache, and no chunk size can change them
        row[:] = np.bincount(rng.integers(images, size=images), minlength=images)
    return counts


def _features(
    labels: np.ndarray, answers: Mapping[str, np.ndarray], probs: Mapping[str, np.ndarray], classes: int
) -> np.ndarray:
    """Lay out the columns: the labels' classes, then name by name what `_scores` reads."""
    every = np.arange(len(labels))
    widths = [2 * classes + 2 * (name in probs) for name in answers]
    features = np.zeros((len(labels), classes + sum(widths)), np.float32)
    features[every, labels] = 1
    starts = classes + np.cumsum([0, *widths[:-1]])
    for (name, given), start in zip(answers.items(), starts, strict=True):
        right, answered = given == labels, given != ABSTAIN
        features[every[right], start + labels[right]] = 1
        features[every[answered], start + classes + given[answered]] = 1
        if name in probs:
            start += 2 * classes
            features[:, start] = losses(probs[name], labels)
            features[:, start + 1] = squares(probs[name], labels)
    return features


def _scores(
    sums: np.ndarray, names: Sequence[tuple[str, bool]], classes: int, reference: str
) -> dict[tuple[str, str], np.ndarray]:
    """Turn sums, float (draws, columns), into every name's metrics, float (draws,); a name says if it has probs."""
    support, rest = sums[:, :classes], sums[:, classes:]
    images = support.sum(axis=1)
    scores = {}
    for name, probabilistic in names:
        right, answered, rest = np.split(rest, [classes, 2 * classes], axis=1)
        scores[name, "accuracy"] = right.sum(axis=1) / images
        scores[name, "balanced_accuracy"] = _mean_share(right, support)
        scores[name, "macro_f1"] = _mean_share(2 * right, support + answered)
        if probabilistic:
            loss, square, rest = np.split(rest, [1, 2], axis=1)
            scores[name, "log_loss"] = loss[:, 0] / images
            scores[name, "brier_score"] = square[:, 0] / images
    baseline = scores[reference, "accuracy"]
    return scores | {(name, "difference"): scores[name, "accuracy"] - baseline for name, _ in names}


def _mean_share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Average part / whole over the classes that occur, float (draws,)."""
    shares = np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
    return shares.sum(axis=1) / (whole > 0).sum(axis=1)


def _checked(
    labels: np.ndarray,
    answers: Mapping[str, np.ndarray],
    probs: Mapping[str, np.ndarray],
    classes: int,
    reference: str,
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    labels, answers = np.asarray(labels), {name: np.asarray(given) for name, given in answers.items()}
    strangers = [name for name in (reference, *probs) if name not in answers]
    if strangers:
        raise InputError(f"There are no answers of {strangers[0]!r}: choose from {', '.join(answers)}.")
    if labels.ndim != 1 or not len(labels):
        raise InputError(f"A bootstrap needs labels (images,), received shape {labels.shape}: give it some images.")
    for name, given in ({"the labels": labels} | answers).items():
        if given.shape != labels.shape:
            raise InputError(
                f"Answers of {name} must have the shape {labels.shape} of the labels, received {given.shape}: "
                "take both from the same images."
            )
        least = 0 if given is labels else ABSTAIN
        if given.min() < least or given.max() >= classes:
            raise InputError(
                f"The class indices of {name} must lie from {least} to {classes - 1}, received {given.min()} to "
                f"{given.max()}: check that they belong to these classes."
            )
    for name, given in probs.items():
        if np.shape(given) != (len(labels), classes):
            raise InputError(
                f"Probabilities of {name} must have the shape {(len(labels), classes)}, received {np.shape(given)}: "
                "take all from the same images."
            )
    return labels, answers
