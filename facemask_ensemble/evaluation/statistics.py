"""Uncertainty of the numbers: intervals and paired tests."""

from collections.abc import Sequence

import numpy as np
from scipy.stats import binomtest, norm

from facemask_ensemble.errors import InputError


def wilson_interval(right: int, total: int, level: float = 0.95) -> tuple[float, float]:
    """Give the score interval of a share of right answers.

    Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference", Journal of the
    American Statistical Association 22 (1927), without continuity correction.
    """
    if total <= 0 or not 0 <= right <= total:
        raise InputError(f"An interval needs 0 <= right <= total, received {right} of {total}: check the counts.")
    z = float(norm.ppf(0.5 + level / 2))
    share = right / total
    centre = share + z**2 / (2 * total)
    reach = z * float(np.sqrt(share * (1 - share) / total + z**2 / (4 * total**2)))
    scale = 1 + z**2 / total
    # At 0 and at `total` the formula gives the edge exactly; rounding must not push it past the edge.
    low = 0.0 if right == 0 else (centre - reach) / scale
    high = 1.0 if right == total else (centre + reach) / scale
    return low, high


def mcnemar(only_first: int, only_second: int) -> float:
    """Give the exact two-sided p-value that two classifiers, judged on the same images, are equally often right.

    Only the images that one of them alone gets right say something; their split is binomial with one half.
    Source: Q. McNemar, "Note on the sampling error of the difference between correlated proportions", Psychometrika 12
    (1947), in its exact binomial form.
    """
    if only_first < 0 or only_second < 0:
        raise InputError(f"Counts cannot be negative, received {only_first} and {only_second}: check the counts.")
    decisive = only_first + only_second
    return float(binomtest(only_first, decisive, 0.5).pvalue) if decisive else 1.0


def bootstrap_difference(
    first: np.ndarray, second: np.ndarray, *, level: float = 0.95, resamples: int = 10_000, seed: int = 0
) -> tuple[float, float]:
    """Give the percentile interval of accuracy(first) - accuracy(second), resampling images in pairs.

    An image's difference is -1, 0 or 1, so that drawing n images with replacement is one multinomial draw of three
    counts. Source: B. Efron, "Bootstrap methods: another look at the jackknife", Annals of Statistics 7 (1979).

    Args:
        first: Whether each image was answered correctly, bool (n,).
        second: The same of the other classifier, on the same images.
        level: Share of resamples inside the interval.
        resamples: How often the images are drawn again.
        seed: Fixes the draws.
    """
    first, second = _paired(first, second)
    total = len(first)
    better, worse = int((first & ~second).sum()), int((second & ~first).sum())
    shares = np.array([better, worse, total - better - worse]) / total
    draws = np.random.default_rng(seed).multinomial(total, shares, size=resamples)
    low, high = np.quantile((draws[:, 0] - draws[:, 1]) / total, [0.5 - level / 2, 0.5 + level / 2])
    return float(low), float(high)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values for their number, in the order received, so that each may be held against one significance level.

    Source: S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6
    (1979).
    """
    values = np.asarray(p_values, float).reshape(-1)
    wrong = values[~((values >= 0) & (values <= 1))]
    if len(wrong):
        raise InputError(f"A p-value lies from 0 to 1, received {wrong[0]}: check the test that gave it.")
    order = values.argsort(kind="stable")
    stepped = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1))
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(stepped, 1)
    return adjusted.tolist()


def non_inferior(
    new_right: np.ndarray, old_right: np.ndarray, *, margin: float, level: float = 0.95
) -> dict[str, int | float | bool]:
    """Tell whether a new classifier is not worse than an old one by `margin` or more, judged on the same images.

    The lower end of the score interval says so, which stays sensible where no image tells the two apart: it is then
    -z² / (n + z²). Source: T. Tango, "Equivalence test and confidence interval for the difference in proportions for
    the paired-sample design", Statistics in Medicine 17 (1998).

    Args:
        new_right: Whether the new classifier answered each image correctly, bool (n,).
        old_right: The same of the old one.
        margin: The loss of accuracy that would be borne, as a share; chosen before the images were seen.
        level: How sure the one-sided lower bound is.

    Returns:
        `difference`, accuracy(new) - accuracy(old); `lower`, its one-sided lower bound; `not_worse`, whether the bound
        is above -margin; `images`, `only_new_right` and `only_old_right`, the counts it rests on.
    """
    new_right, old_right = _paired(new_right, old_right)
    if not 0 <= margin < 1:
        raise InputError(f"A margin is a share from 0 to below 1, received {margin}: one point is 0.01.")
    if not 0.5 <= level < 1:
        raise InputError(f"A level is a share from 0.5 to below 1, received {level}: 0.95 is usual.")
    total = len(new_right)
    only_new, only_old = int((new_right & ~old_right).sum()), int((old_right & ~new_right).sum())
    lower = _tango_lower(only_new, only_old, total, float(norm.ppf(level)))
    return {
        "difference": (only_new - only_old) / total,
        "lower": lower,
        "not_worse": lower > -margin,
        "images": total,
        "only_new_right": only_new,
        "only_old_right": only_old,
    }


def _tango_lower(only_new: int, only_old: int, total: int, z: float) -> float:
    low, high = -1.0, (only_new - only_old) / total
    for _ in range(60):
        middle = (low + high) / 2
        # The share of "only the old is right", by maximum likelihood where the difference is `middle`.
        b = (2 * total - only_new + only_old) * middle - only_new - only_old
        c = -only_old * middle * (1 - middle)
        share = (np.sqrt(b**2 - 8 * total * c) - b) / (4 * total)
        deviation = np.sqrt(max(total * (2 * share + middle * (1 - middle)), 0.0))
        if only_new - only_old - total * middle > z * deviation:
            low = middle
        else:
            high = middle
    return low


def _paired(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    first, second = np.asarray(first, bool), np.asarray(second, bool)
    if first.ndim != 1 or first.shape != second.shape or not len(first):
        raise InputError(
            f"A paired comparison needs two lists over the same images, received shapes {first.shape} and "
            f"{second.shape}: take both from one split."
        )
    return first, second
