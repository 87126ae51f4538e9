"""Check whether a member has seen images of the split that it is judged on."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from facemask_ensemble.data.duplicates import as_codes
from facemask_ensemble.data.hash_index import neighbours
from facemask_ensemble.data.manifest import Manifest
from facemask_ensemble.errors import InputError

SEEN = {"test": ("train", "validation"), "validation": ("train",)}  # what a member may not have read of each split


@dataclass(frozen=True)
class Overlap:
    """Images of one split of the judged dataset that a member has learned from, or near copies of such."""

    split: str
    learned: pd.DataFrame
    judged: pd.DataFrame
    how: str


def overlaps(learned: pd.DataFrame, judged: Manifest, bits: int | None) -> list[Overlap]:
    """Find what a member has learned from among the images it would be judged on.

    A copy is known again when it was renamed, moved, encoded again, scaled or mirrored. The test split must be new to
    the member; the validation split, by which the best member is chosen, may have chosen its epochs too.

    Args:
        learned: the rows of the manifest that it was trained with.
        judged: the dataset it would be judged on.
        bits: in which the looks of near copies may differ; None to know exact copies alone.
    """
    found = []
    for split, read in SEEN.items():
        seen, asked = learned[learned["split"].isin(read)], judged.split(split)
        for first, second, how in (_exact(seen, asked), _near(seen, asked, bits)):
            if len(first):
                found.append(Overlap(split, seen.iloc[first], asked.iloc[second], how))
    return found


def refuse_seen(member: str, found: Sequence[Overlap], judged: Manifest) -> None:
    """Refuse a member that has learned from an image it would be judged on, or from a near copy of one.

    Raises:
        InputError: naming the first such image, and what it is a copy of.
    """
    for overlap in found:
        one, other = overlap.learned.iloc[0], overlap.judged.iloc[0]
        raise InputError(
            f"{member} was trained on {one['path']} ({one['split']} split), which is {overlap.how} {other['path']}, "
            f"one of {overlap.judged['path'].nunique()} such images in the {overlap.split} split of {judged.name}: "
            "its score there would be too high; leave the member out, or leave these images out (seen=leave_out)"
        )


def without_seen(judged: Manifest, found: Iterable[Overlap]) -> Manifest:
    """Keep the images that no member has learned from.

    Raises:
        InputError: no test or no validation image is left.
    """
    gone = {(overlap.split, path) for overlap in found for path in overlap.judged["path"]}
    keep = [(split, path) not in gone for split, path in zip(judged.rows["split"], judged.rows["path"], strict=True)]
    left = replace(judged, rows=judged.rows[keep].reset_index(drop=True))
    for split in SEEN:
        if not len(left.split(split)):
            raise InputError(
                f"seen=leave_out: no {split} image of {judged.name} is left: each of the "
                f"{len(judged.split(split))} was used to train a member; give other images, or fewer members"
            )
    return left


def _exact(seen: pd.DataFrame, asked: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, str]:
    known = pd.Series(np.arange(len(seen)), index=seen["sha256"].to_numpy())
    place = known[~known.index.duplicated()].reindex(asked["sha256"]).to_numpy(float)
    found = np.flatnonzero(~np.isnan(place))
    return place[found].astype(int), found, "the same image as"


def _near(seen: pd.DataFrame, asked: pd.DataFrame, bits: int | None) -> tuple[np.ndarray, np.ndarray, str]:
    known = np.flatnonzero(seen["look"].to_numpy(str) != "")
    queried = np.flatnonzero(asked["look"].to_numpy(str) != "")
    pairs: list[tuple[np.ndarray, np.ndarray]] = [(np.array([], int), np.array([], int))]
    if bits is not None:
        codes = as_codes(seen["look"].to_numpy(str)[known])
        for way in ("look", "mirrored"):
            queries = as_codes(asked[way].to_numpy(str)[queried])
            pairs += [(known[code], queried[query]) for query, code in neighbours(codes, queries, bits)]
    first, second = (np.concatenate(side) for side in zip(*pairs, strict=True))
    return first, second, "nearly the same image as"
