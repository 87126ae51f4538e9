"""How sure the numbers are: intervals and paired tests."""

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
    """Give the exact two-sided p-value that two classifiers, judged on the same pictures, are equally often right.

    Only the pictures that one of them alone gets right say something; their split is binomial with one half.
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
    """Give the percentile interval of accuracy(first) - accuracy(second), resampling pictures in pairs.

    A picture's difference is -1, 0 or 1, so that drawing n pictures with replacement is one multinomial draw of three
    counts. Source: B. Efron, "Bootstrap methods: another look at the jackknife", Annals of Statistics 7 (1979).

    Args:
        first: Whether each picture was answered rightly, bool (n,).
        second: The same of the other classifier, on the same pictures.
        level: Share of resamples inside the interval.
        resamples: How often the pictures are drawn again.
        seed: Fixes the draws.
    """
    first, second = np.asarray(first, bool), np.asarray(second, bool)
    if first.ndim != 1 or first.shape != second.shape or not len(first):
        raise InputError(
            f"A paired comparison needs two lists over the same pictures, received shapes {first.shape} and "
            f"{second.shape}: take both from one split."
        )
    total = len(first)
    better, worse = int((first & ~second).sum()), int((second & ~first).sum())
    shares = np.array([better, worse, total - better - worse]) / total
    draws = np.random.default_rng(seed).multinomial(total, shares, size=resamples)
    low, high = np.quantile((draws[:, 0] - draws[:, 1]) / total, [0.5 - level / 2, 0.5 + level / 2])
    return float(low), float(high)
