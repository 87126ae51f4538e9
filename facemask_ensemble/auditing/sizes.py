"""Sizes and formats: what the images measure, in pixels and bytes, and how they are stored."""

from typing import Any

import numpy as np
import pandas as pd

TINY = 32  # pixels of the shorter side; the smallest input that most backbones take
ELONGATED = 3.0  # times as long as wide: squeezed into a square, nothing in it keeps its shape
STEPS = 24  # of a histogram
COMMONEST = 12  # exact sizes that are named
BUBBLES = 400  # exact sizes that are drawn


def sizes(rows: pd.DataFrame, class_names: tuple[str, ...]) -> dict[str, Any]:
    """Describe the sides, shapes, file sizes and formats of readable images.

    Args:
        rows: with `path`, `label`, `width`, `height`, `size` and `format`.
        class_names: in label order.
    """
    exact = exact_sizes(rows, class_names)
    shorter = rows[["width", "height"]].min(axis=1)
    longer = rows[["width", "height"]].max(axis=1)
    return {
        "width": quartiles(rows["width"]),
        "height": quartiles(rows["height"]),
        "shorter_side": quartiles(shorter),
        "aspect": quartiles(rows["width"] / rows["height"]),
        "bytes": quartiles(rows["size"]),
        "histograms": {
            "shorter_side": histogram(shorter, rows["label"], class_names),
            "aspect": histogram(rows["width"] / rows["height"], rows["label"], class_names),
            "bytes": histogram(rows["size"].clip(lower=1), rows["label"], class_names),
        },
        "different": len(exact),
        "commonest": exact[:COMMONEST],
        "drawn": exact[:BUBBLES],
        "formats": _formats(rows, class_names),
        "tiny": _named(rows[shorter < TINY]),
        "elongated": _named(rows[longer >= ELONGATED * shorter]),
    }


def quartiles(values: pd.Series) -> dict[str, float] | None:
    """Give the smallest, the quartiles and the largest; None of nothing."""
    if values.empty:
        return None
    found = np.quantile(values.to_numpy(float), [0, 0.25, 0.5, 0.75, 1])
    return dict(zip(("smallest", "lower", "median", "upper", "largest"), found.tolist(), strict=True))


def histogram(values: pd.Series, labels: pd.Series, class_names: tuple[str, ...]) -> dict[str, Any] | None:
    """Count values above 0 by class, in `STEPS` equal steps of their logarithm between `edges`; None of nothing."""
    if values.empty:
        return None
    low, high = float(values.min()), float(values.max())
    low, high = (low * 0.999, high * 1.001) if high > 1.2 * low else (low / 1.3, high * 1.3)
    edges = np.geomspace(low, high, STEPS + 1)
    step = np.clip(np.searchsorted(edges, values.to_numpy(float), side="right") - 1, 0, STEPS - 1)
    counts = np.zeros((len(class_names), STEPS), int)
    np.add.at(counts, (labels.to_numpy(int), step), 1)
    return {"edges": edges.tolist(), "counts": dict(zip(class_names, counts.tolist(), strict=True))}


def exact_sizes(rows: pd.DataFrame, class_names: tuple[str, ...]) -> list[dict[str, Any]]:
    """Count the images of every exact size and class, the commonest size first."""
    table = rows.groupby(["width", "height", "label"]).size().unstack("label", fill_value=0)
    table = table.reindex(columns=range(len(class_names)), fill_value=0)
    table = table.iloc[np.argsort(-table.sum(axis=1).to_numpy(), kind="stable")]
    return [
        {
            "width": width,
            "height": height,
            "images": sum(counts),
            "counts": dict(zip(class_names, counts, strict=True)),
        }
        for (width, height), counts in zip(table.index.tolist(), table.to_numpy(int).tolist(), strict=True)
    ]


def _formats(rows: pd.DataFrame, class_names: tuple[str, ...]) -> dict[str, dict[str, int]]:
    table = pd.crosstab(rows["format"], rows["label"]).reindex(columns=range(len(class_names)), fill_value=0)
    order = table.sum(axis=1).sort_values(ascending=False).index
    return {str(name): dict(zip(class_names, table.loc[name].tolist(), strict=True)) for name in order}


def _named(rows: pd.DataFrame) -> list[dict[str, Any]]:
    found = rows.assign(shorter=rows[["width", "height"]].min(axis=1)).sort_values(["shorter", "path"])
    return [
        {"path": str(path), "width": int(width), "height": int(height)}
        for path, width, height in zip(found["path"], found["width"], found["height"], strict=True)
    ]
