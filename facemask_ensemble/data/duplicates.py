"""Find copies: images that are the same, or nearly, and must stay in one split."""

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from facemask_ensemble.data.hash_index import Joined, neighbours

MANY = 2_000_000  # links; more are thinned out to those that join the same images


def contradictions(rows: pd.DataFrame) -> pd.DataFrame:
    """List the images whose exact copy has another label, as `path` and `reason`."""
    torn = rows[rows.groupby("sha256")["label"].transform("nunique") > 1]
    found = []
    for _, copies in torn.groupby("sha256", sort=False):
        for row in copies.itertuples():
            other = copies.loc[copies["label"] != row.label, "path"].iloc[0]
            found.append((row.path, f"same image as {other}, which has another label"))
    return pd.DataFrame(found, columns=["path", "reason"], dtype=str)


def group_copies(rows: pd.DataFrame, distance: int | None) -> pd.Series:
    """Name the group of every image: copies, near copies and given groups that touch become one.

    Args:
        rows: with `path`, `sha256`, `look`, `mirrored` and `group`.
        distance: the most bits in which the looks of near copies, mirrored or not, may differ; None for exact copies
            alone.

    Measured with 8 bits, by looking at the pairs: 15 among 706 street photographs, all of one scene or series; 46 among
    1000 single faces, 29 of them so (28 of 29 up to 6 bits); 220 among 810 hands. Joining different images only limits
    the split; a missed copy makes the score too high. From 10 bits on, faces of
    different people join into groups: of 11, with 12 bits of 95. Copies that were cropped, or turned by some degrees,
    are not found.

    Returns:
        The name of a given group, or the first path of several copies, or "".
    """
    count = len(rows)
    links = [_same(rows["sha256"]), _same(rows["group"].where(rows["group"] != ""))]
    if distance is not None:
        links.append(near_pairs(rows["look"].to_numpy(str), rows["mirrored"].to_numpy(str), distance))
    pairs = np.concatenate(links)
    component = _components(pairs, count)
    names = rows.groupby(component)[["path", "group"]].agg({"path": ["min", "size"], "group": "max"})
    names.columns = ["path", "size", "given"]
    chosen = names["given"].where(names["given"] != "", names["path"].where(names["size"] > 1, ""))
    return pd.Series(chosen.loc[component].to_numpy(), index=rows.index, dtype=str)


def _same(values: pd.Series) -> np.ndarray:
    """Link every row with the first row of the same value; missing values link nothing."""
    place = pd.Series(np.arange(len(values)), index=values.index)
    first = place.groupby(values).transform("first")
    return np.stack([first, place], axis=1)[values.notna().to_numpy()].astype(int)


def near_pairs(looks: np.ndarray, mirrored: np.ndarray, distance: int) -> np.ndarray:
    """Link near copies: images whose looks, one of them perhaps mirrored, differ in at most `distance` bits.

    Args:
        looks: hexadecimal hashes (n,), "" for a plain image, which is like no other.
        mirrored: of the mirror images.
        distance: in bits.

    Returns:
        Places (links, 2): near copies are joined, perhaps over others. Where there are very many links, only as many
        as join the same images.
    """
    seen = np.flatnonzero(looks != "")
    codes, owner, links = _unlike(looks, seen)
    flipped, twin, _ = _unlike(mirrored, seen)
    found, waiting = [links], 0
    for queries, owners in ((codes, owner), (flipped, twin)):
        joined = Joined(owner, owners)
        for query, code in neighbours(codes, queries, distance, joined):
            pairs = np.stack([owners[query], owner[code]], axis=1)
            found.append(pairs[pairs[:, 0] != pairs[:, 1]])
            waiting += len(found[-1])
            if waiting > MANY:
                group = _components(np.concatenate(found), len(looks))
                found, waiting = [_same(pd.Series(group))], 0
                joined.update(group[owner], group[owners])
    # Images of one mirrored hash may have looks of their own.
    found.append(_same(pd.Series(mirrored).where(mirrored != "")))
    return np.concatenate(found)


def _unlike(texts: np.ndarray, seen: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give the differing hashes, the first image of each, and links from it to all others of the same."""
    codes, code_of = np.unique(as_codes(texts[seen]), return_inverse=True)
    owner = np.zeros(len(codes), int)
    owner[code_of[::-1]] = seen[::-1]
    return codes, owner, np.stack([owner[code_of], seen], axis=1)


def as_codes(texts: np.ndarray) -> np.ndarray:
    """Turn hexadecimal hashes into uint64."""
    return np.array([int(text, 16) for text in texts], dtype=np.uint64)


def _components(pairs: np.ndarray, count: int) -> np.ndarray:
    graph = coo_array((np.ones(len(pairs), np.int8), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    return connected_components(graph, directed=False)[1]
