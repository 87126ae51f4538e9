"""Choose the images to show: few enough to look at, spread over the whole dataset."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

SHEET = 24  # images of a class on its contact sheet
SHEETS = 480  # images of all classes together
INSIDE = 10  # of a shortcut value
GROUPS = 30  # groups of copies
OF_GROUP = 6  # images of one group
PAIRS = 40  # copies of differing classes


def evenly(count: int, chosen: int) -> np.ndarray:
    """Choose places evenly spread over so many, all of them where there are no more."""
    return np.unique(np.linspace(0, count - 1, min(count, chosen)).round().astype(int)) if count else np.empty(0, int)


def contact_sheets(rows: pd.DataFrame, class_names: Sequence[str]) -> dict[str, list[str]]:
    """Choose images of every class, evenly spread over their paths; fewer of each where there are many classes."""
    each = max(1, min(SHEET, SHEETS // len(class_names)))
    found = {}
    for label, name in enumerate(class_names):
        paths = rows.loc[rows["label"] == label, "path"].to_numpy()
        found[name] = paths[evenly(len(paths), each)].tolist() if label < SHEETS else []
    return found


def inside(rows: pd.DataFrame, places: np.ndarray, class_names: Sequence[str]) -> list[dict[str, str]]:
    """Choose images of a shortcut value, every class in its proportion."""
    ordered = rows.iloc[places].sort_values(["label", "path"])
    chosen = ordered.iloc[evenly(len(ordered), INSIDE)]
    return [
        {"path": path, "class": class_names[label]} for path, label in zip(chosen["path"], chosen["label"], strict=True)
    ]


def shown_groups(copies: pd.DataFrame) -> list[dict[str, Any]]:
    """Choose the groups of copies to show: near ones as well as exact ones, large ones as well as pairs."""
    sizes = copies.groupby("group").size()
    chosen = sizes.index[evenly(len(sizes), GROUPS)]
    return [_group(int(number), copies[copies["group"] == number]) for number in chosen]


def _group(number: int, members: pd.DataFrame) -> dict[str, Any]:
    columns = ["path", "class", "split", "kind", "nearest", "bits", "mirrored"]
    shown = members.iloc[evenly(len(members), OF_GROUP)]
    return {"group": number, "images": len(members), "shown": shown[columns].to_dict("records")}


def shown_paths(report: dict[str, Any]) -> list[str]:
    """Name every image that the page shows, once."""
    paths = [path for sheet in report["contact_sheets"].values() for path in sheet]
    paths += [one["path"] for found in report["shortcuts"]["shortcut_values"] for one in found["examples"]]
    paths += [one["path"] for group in report["copies"]["shown"] for one in group["shown"]]
    paths += [path for pair in report["copies"]["conflicts"][:PAIRS] for path in pair["paths"]]
    paths += [path for found in report["files"]["odd"] for path in found["examples"]]
    paths += [one["path"] for kind in ("tiny", "elongated") for one in report["sizes"][kind][:INSIDE]]
    return list(dict.fromkeys(paths))
