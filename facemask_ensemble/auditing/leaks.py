"""Leaks: held-out images that have a copy in the training split."""

from typing import Any

import numpy as np
import pandas as pd

DRAWS = 20  # random splits over which the share is averaged


def given_leaks(rows: pd.DataFrame, component: np.ndarray) -> dict[str, Any] | None:
    """Count the held-out images of the data's own split that have a copy in its training part.

    Args:
        rows: readable images; `given` is the split that the data gives them, "" for none.
        component: the number of every image's group of copies.

    Returns:
        `held_out` and `leaking` of each given part, and `paths` of those that leak; None without a given split.
    """
    given = rows["given"].to_numpy(str)
    parts = [part for part in ("validation", "test") if (given == part).any()]
    if not parts or not (given == "train").any():
        return None
    trained = np.isin(component, component[given == "train"])
    found = {
        part: {"held_out": int((given == part).sum()), "leaking": int((trained & (given == part)).sum())}
        for part in parts
    }
    leaking = rows["path"][trained & np.isin(given, parts)].tolist()
    return {"parts": found, "leaking": len(leaking), "paths": leaking}


def random_leaks(label: np.ndarray, component: np.ndarray, held_out: float, seed: int = 0) -> float | None:
    """Estimate the share of held-out images with a copy in training, for a random split.

    Args:
        label: of every image; each class is split by itself.
        component: the number of every image's group of copies.
        held_out: the proportion that is not trained on.
        seed: of the draws.
    """
    if not len(label):
        return None
    generator = np.random.default_rng(seed)
    size = np.bincount(label)[label]
    shares = []
    for _ in range(DRAWS):
        order = np.lexsort([generator.random(len(label)), label])
        rank = np.empty(len(label))
        start = np.searchsorted(label[order], label[order])
        rank[order] = np.arange(len(label)) - start
        out = rank < np.round(held_out * size)
        trained = np.zeros(component.max() + 1, bool)
        trained[component[~out]] = True
        shares.append(trained[component[out]].mean() if out.any() else 0.0)
    return float(np.mean(shares))
