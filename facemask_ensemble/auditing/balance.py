"""Balance: how many images every class has, and whether that is even."""

from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import chisquare

from facemask_ensemble.data.manifest import SPLITS


def balance(rows: pd.DataFrame, class_names: tuple[str, ...]) -> dict[str, Any]:
    """Count the images of every class and split and test whether all classes are equally frequent.

    Args:
        rows: the images that are used, with `label` and `split` ("" where there is none).
        class_names: in label order.

    Returns:
        `counts` by class, `splits` (counts by split and class, only of splits that have images), `ratio` of the
        largest class to the smallest (None where one is empty), `largest` (the accuracy of always answering the
        largest class) and the chi-square test of uniformity, `statistic` and `p_value`.
    """
    counts = np.bincount(rows["label"].to_numpy(int), minlength=len(class_names))
    total = int(counts.sum())
    test = chisquare(counts) if total else None
    return {
        "counts": dict(zip(class_names, counts.tolist(), strict=True)),
        "splits": _by_split(rows, class_names),
        "ratio": float(counts.max() / counts.min()) if counts.min() else None,
        "largest": float(counts.max() / total) if total else None,
        "statistic": float(test.statistic) if test else None,
        "p_value": float(test.pvalue) if test else None,
    }


def _by_split(rows: pd.DataFrame, class_names: tuple[str, ...]) -> dict[str, dict[str, int]]:
    found = {}
    for split in SPLITS:
        of_split = rows.loc[rows["split"] == split, "label"].to_numpy(int)
        if len(of_split):
            counts = np.bincount(of_split, minlength=len(class_names)).tolist()
            found[split] = dict(zip(class_names, counts, strict=True))
    return found
