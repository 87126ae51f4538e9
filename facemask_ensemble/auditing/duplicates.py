"""Exact and near copies: which images they are, how near, and whether their classes agree."""

from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from facemask_ensemble.data.duplicates import near_pairs

BITS = 64
WHOLE = 64  # images of a group that are all compared with each other
COLUMNS = ["group", "path", "class", "split", "kind", "nearest", "bits", "mirrored"]


def link(rows: pd.DataFrame, distance: int | None) -> tuple[pd.DataFrame, np.ndarray]:
    """Link the images that are copies and number them by the groups that the links join.

    Args:
        rows: readable images with `sha256`, `look` and `mirrored`.
        distance: the most bits of 64 by which looks may differ; None for exact copies alone.

    Returns:
        Links: `one` and `other` (places in the rows), `bits` apart, `mirrored`, `exact`; all pairs that are near enough
        of a group of up to `WHOLE` images, enough of them to join a larger one. And the number of every row's group.
    """
    pairs = [_same(rows["sha256"])]
    if distance is not None:
        pairs.append(near_pairs(rows["look"].to_numpy(str), rows["mirrored"].to_numpy(str), distance))
    joined = np.concatenate(pairs).astype(int)
    graph = coo_array((np.ones(len(joined)), (joined[:, 0], joined[:, 1])), shape=(len(rows), len(rows)))
    _, component = connected_components(graph, directed=False)
    joined = np.sort(np.concatenate([joined, _pairs_within(component)]), axis=1)
    joined = np.unique(joined[joined[:, 0] != joined[:, 1]], axis=0)
    links = _measured(rows, joined[:, 0], joined[:, 1])
    limit = 0 if distance is None else distance
    return links[links["exact"] | (links["bits"] <= limit)].reset_index(drop=True), component


def _same(values: pd.Series) -> np.ndarray:
    """Link every row with the first row of the same value."""
    _, first, place_of = np.unique(values.to_numpy(str), return_index=True, return_inverse=True)
    return np.stack([first[place_of], np.arange(len(values))], axis=1)


def _pairs_within(component: np.ndarray) -> np.ndarray:
    """Pair all members of every group of up to `WHOLE`, groups of one size at once."""
    order = np.argsort(component, kind="stable")
    starts, sizes = np.unique(component[order], return_index=True, return_counts=True)[1:]
    found = [np.empty((0, 2), int)]
    for size in np.unique(sizes[(sizes > 1) & (sizes <= WHOLE)]):
        members = order[starts[sizes == size][:, None] + np.arange(size)]
        one, other = np.triu_indices(int(size), k=1)
        found.append(np.stack([members[:, one].ravel(), members[:, other].ravel()], axis=1))
    return np.concatenate(found)


def _measured(rows: pd.DataFrame, one: np.ndarray, other: np.ndarray) -> pd.DataFrame:
    """Count the bits by which linked images differ, straight and mirrored; a plain image has no look to compare."""
    look, turn = (np.array([int(text or "0", 16) for text in rows[name]], np.uint64) for name in ("look", "mirrored"))
    straight = np.minimum(_bits(look, look, one, other), _bits(turn, turn, one, other))
    turned = np.minimum(_bits(look, turn, one, other), _bits(turn, look, one, other))
    plain, sha = (rows["look"] == "").to_numpy(), rows["sha256"].to_numpy()
    exact = sha[one] == sha[other]
    bits = np.where(plain[one] | plain[other], BITS, np.minimum(straight, turned))
    found = {"one": one, "other": other, "bits": np.where(exact, 0, bits), "exact": exact}
    found["mirrored"] = (turned < straight) & ~exact
    return pd.DataFrame(found).sort_values(["bits", "one", "other"], ignore_index=True)


def _bits(looks: np.ndarray, others: np.ndarray, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.bitwise_count(looks[one] ^ others[other]).astype(int)


def copy_table(rows: pd.DataFrame, links: pd.DataFrame, component: np.ndarray, names: tuple[str, ...]) -> pd.DataFrame:
    """List every image that has a copy, group by group, with the copy that is nearest to it.

    Returns:
        `COLUMNS`: `group` counts from 1, the largest group first; `kind` is exact where `nearest` is the same file.
    """
    turned = links.rename(columns={"one": "other", "other": "one"})
    nearest = pd.concat([links, turned]).sort_values(["bits", "other"], kind="stable").drop_duplicates("one")
    table = rows.iloc[nearest["one"].to_numpy(int)].reset_index(drop=True)
    table["component"] = component[nearest["one"].to_numpy(int)]
    table["class"] = np.array(names, dtype=object)[table["label"].to_numpy(int)]
    table["nearest"] = rows["path"].to_numpy()[nearest["other"].to_numpy(int)]
    table["kind"] = np.where(nearest["exact"], "exact", "near")
    table["split"] = table["split"].where(table["split"] != "", "left out")
    table["bits"], table["mirrored"] = nearest["bits"].to_numpy(int), nearest["mirrored"].to_numpy(bool)
    table["members"] = table.groupby("component")["path"].transform("size")
    table["first"] = table.groupby("component")["path"].transform("min")
    table = table.sort_values(["members", "first", "path"], ascending=[False, True, True], ignore_index=True)
    table["group"] = table.groupby("component", sort=False).ngroup() + 1
    return table[COLUMNS]


def conflicts(rows: pd.DataFrame, links: pd.DataFrame, names: tuple[str, ...]) -> list[dict[str, Any]]:
    """List the pairs of copies whose labels differ, the nearest first."""
    path, label = rows["path"].to_numpy(), rows["label"].to_numpy(int)
    one, other = links["one"].to_numpy(int), links["other"].to_numpy(int)
    torn = links[label[one] != label[other]]
    return [
        {
            "paths": [str(path[link.one]), str(path[link.other])],
            "classes": [names[label[link.one]], names[label[link.other]]],
            "bits": int(link.bits),
            "mirrored": bool(link.mirrored),
            "exact": bool(link.exact),
        }
        for link in torn.itertuples()
    ]
