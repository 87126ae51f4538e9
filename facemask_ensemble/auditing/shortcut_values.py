"""shortcut values: an exact size, a name pattern, a format or a colour whose classes differ from those of the rest."""

from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import chi2

FEWEST = 10  # images, copies counted once
SHIFT = 0.15  # share of a value's images that would need another class to look like the rest
P_VALUE = 0.001  # after Bonferroni's correction over all values tried
MOST = 50


def shortcut_values(
    rows: pd.DataFrame, values: dict[str, np.ndarray], component: np.ndarray, class_names: tuple[str, ...]
) -> list[dict[str, Any]]:
    """Find the values whose class mix differs clearly from that of all other images.

    Args:
        rows: readable images with `path`, `label` and `group`.
        values: by cue, the value of every image, "" where it has none worth a name.
        component: the number of every image's group of copies; a group counts once in the test.
        class_names: in label order.

    Returns:
        At most `MOST`, those that shift the most images first: `cue`, `value`, `images`, `counts` and `elsewhere`
        by class, `shift`, `p_value`, `kept_together` (all are of one given group) and `places` in the rows.
    """
    first = np.unique(component, return_index=True)[1]
    label = rows["label"].to_numpy(int)
    tables = [_table(cue, found[first], label[first], len(class_names)) for cue, found in values.items()]
    table = pd.concat(tables, ignore_index=True)
    table["p_value"] = (table["p_value"] * max(1, len(table))).clip(upper=1)
    table["weight"] = table["shift"] * table["units"]
    chosen = table[(table["p_value"] < P_VALUE) & (table["shift"] >= SHIFT)]
    chosen = chosen.sort_values(["weight", "value"], ascending=[False, True]).head(MOST)
    return [_describe(found, rows, values[str(found.cue)], class_names) for found in chosen.itertuples()]


def _table(cue: str, values: np.ndarray, label: np.ndarray, classes: int) -> pd.DataFrame:
    """Test every value of a cue against all images without it, by a chi-square test of two rows."""
    names, code = np.unique(values, return_inverse=True)
    counts = np.zeros((len(names), classes))
    np.add.at(counts, (code, label), 1)
    rest = counts.sum(axis=0) - counts
    units, others = counts.sum(axis=1), rest.sum(axis=1)
    total = np.maximum(counts.sum(), 1)
    pooled = np.maximum(counts.sum(axis=0) / total, 1e-12)
    share, share_rest = counts / np.maximum(units, 1)[:, None], rest / np.maximum(others, 1)[:, None]
    # For a table of two rows the statistic is the squared difference of their shares over the pooled ones.
    statistic = units * others / total * ((share - share_rest) ** 2 / pooled).sum(axis=1)
    found = pd.DataFrame({"cue": cue, "value": names, "units": units})
    found["shift"] = np.abs(share - share_rest).sum(axis=1) / 2
    found["p_value"] = chi2.sf(statistic, max(1, classes - 1))
    return found[(names != "") & (units >= FEWEST) & (units <= others)]  # of two halves the smaller stands out


def _describe(found: Any, rows: pd.DataFrame, values: np.ndarray, class_names: tuple[str, ...]) -> dict[str, Any]:
    inside = values == found.value
    groups = set(rows.loc[inside, "group"])
    counts = [np.bincount(rows.loc[part, "label"], minlength=len(class_names)).tolist() for part in (inside, ~inside)]
    return {
        "cue": str(found.cue),
        "value": str(found.value),
        "images": int(inside.sum()),
        "counts": dict(zip(class_names, counts[0], strict=True)),
        "elsewhere": dict(zip(class_names, counts[1], strict=True)),
        "shift": float(found.shift),
        "p_value": float(found.p_value),
        "kept_together": len(groups) == 1 and groups != {""},
        "places": np.flatnonzero(inside),
    }
