"""Preparing a dataset: from a source's listing to a manifest, remembered until the files or the settings change."""

import hashlib
import json
from pathlib import Path

import pandas as pd

from facemask_ensemble.data.duplicates import contradictions, group_copies
from facemask_ensemble.data.file_checks import check, stat_files
from facemask_ensemble.data.listing import Listing
from facemask_ensemble.data.manifest import COLUMNS, Manifest
from facemask_ensemble.data.splits import assign_splits, shuffled
from facemask_ensemble.errors import InputError
from facemask_ensemble.files import write_atomically

LISTED = ["path", "label", "group", "split", "size", "mtime_ns"]
RULES = 2  # raise it when the same listing and settings would give another manifest
MOST_BITS = 16  # unrelated images differ in some 32 of 64 bits; closer than 16 they begin to chain


def prepare(
    name: str,
    listing: Listing,
    folder: Path,
    *,
    limit: int | None,
    validation: float,
    test: float,
    seed: int,
    near_duplicates: int | None,
    folds: int | None = None,
    fold: int = 0,
    checked: pd.DataFrame | None = None,
) -> Manifest:
    """Check, group and split a listing's images; reuse the manifest in the folder if nothing has changed.

    Args:
        name: of the dataset.
        listing: what a source found.
        folder: receives the manifest and the index of checked files.
        limit: the most images to use, a random sample in the proportions of the classes; None for all.
        validation: proportion of the images.
        test: proportion of the images.
        seed: of the sample and the split.
        near_duplicates: bits of 64 in which the looks of near copies may differ; None to look for exact copies alone.
        folds: number of test folds to cut in place of `test`; None for none.
        fold: the one of them that is taken, from 0.
        checked: what `examine` found with the same limit and seed; None to check the files now.
    """
    _check_settings(limit, validation, test, near_duplicates)
    _check_folds(folds, fold, validation)
    rows = _listed(listing, limit, seed) if checked is None else checked[LISTED]
    settings = [RULES, name, str(listing.root), list(listing.class_names), validation, test, seed, near_duplicates]
    settings += [folds, fold]
    key = _key(settings, rows, listing.quarantine)
    remembered = _remembered(folder, key)
    if remembered:
        return remembered

    checked = check(listing.root, rows, folder) if checked is None else checked
    unreadable = checked.loc[checked["reason"] != "", ["path", "reason"]]
    sound = checked[checked["reason"] == ""].reset_index(drop=True)
    _refuse_lost_class(rows, sound, unreadable, listing)
    torn = contradictions(sound)
    sound = sound[~sound["path"].isin(torn["path"])].reset_index(drop=True)
    sound["group"] = group_copies(sound, near_duplicates)
    split, left_out = assign_splits(sound, listing.class_names, validation, test, seed, folds, fold)
    quarantine = pd.concat([listing.quarantine, unreadable, torn, left_out], ignore_index=True).sort_values("path")
    manifest = Manifest(
        name, listing.root, listing.class_names, split[COLUMNS], quarantine.reset_index(drop=True), near_duplicates
    )
    manifest.save(folder)
    write_atomically(json.dumps({"key": key, "fingerprint": manifest.fingerprint}), folder / "prepared.json")
    return manifest


def examine(listing: Listing, folder: Path, limit: int | None = None, seed: int = 0) -> pd.DataFrame:
    """Check a listing's files as `prepare` does, remembered in the same folder; every row with its findings."""
    return check(listing.root, _listed(listing, limit, seed), folder)


def _listed(listing: Listing, limit: int | None, seed: int) -> pd.DataFrame:
    rows = _sample(_complete(listing.rows), limit, seed)
    return pd.concat([rows, stat_files(listing.root, rows["path"])], axis=1)[LISTED]


def _check_settings(limit: int | None, validation: float, test: float, near_duplicates: int | None) -> None:
    if limit is not None and (not isinstance(limit, int) or limit < 1):
        raise InputError(f"dataset.limit={limit}: must be a number of images above 0, or null for all")
    if near_duplicates is not None and (not isinstance(near_duplicates, int) or not 0 <= near_duplicates <= MOST_BITS):
        raise InputError(f"dataset.near_duplicates={near_duplicates}: must be from 0 to {MOST_BITS} bits, or null")
    numbers = all(isinstance(share, int | float) for share in (validation, test))
    if not numbers or min(validation, test) <= 0 or validation + test >= 1:
        raise InputError(
            f"dataset.validation={validation} and dataset.test={test} leave no images for training or testing; "
            "give two proportions above 0 that add up to less than 1"
        )


def _check_folds(folds: int | None, fold: int, validation: float) -> None:
    if folds is None:
        return
    if not isinstance(folds, int) or folds < 2:
        raise InputError(f"dataset.folds={folds}: must be at least 2, or null")
    if not isinstance(fold, int) or not 0 <= fold < folds:
        raise InputError(f"dataset.fold={fold}: must be from 0 to {folds - 1} (dataset.folds={folds})")
    if validation + 1 / folds >= 1:
        raise InputError(
            f"dataset.validation={validation} and a test fold of 1/{folds} leave no images for "
            "training; lower dataset.validation"
        )


def _complete(rows: pd.DataFrame) -> pd.DataFrame:
    """Give a source's rows the columns it may leave out, in the order of their paths."""
    group, split = (rows.get(name, pd.Series("", rows.index)).fillna("") for name in ("group", "split"))
    return rows.assign(group=group, split=split).sort_values("path").reset_index(drop=True)


def _sample(rows: pd.DataFrame, limit: int | None, seed: int) -> pd.DataFrame:
    """Take the images that come first when those of each class and given split are spread evenly from 0 to 1."""
    if limit is None or limit >= len(rows):
        return rows
    drawn = rows.assign(draw=shuffled(rows["path"], seed))
    place = drawn.groupby(["label", "split"])["draw"].rank(method="first")
    spread = (place - 0.5) / drawn.groupby(["label", "split"])["draw"].transform("size")
    chosen = drawn.assign(spread=spread).sort_values(["spread", "draw"]).index[:limit]
    return rows.loc[chosen.sort_values()].reset_index(drop=True)


def _key(settings: list, rows: pd.DataFrame, quarantine: pd.DataFrame) -> str:
    text = [json.dumps(settings), rows.to_csv(index=False), quarantine.to_csv(index=False)]
    return hashlib.sha256("\n".join(text).encode()).hexdigest()


def _remembered(folder: Path, key: str) -> Manifest | None:
    """Load the manifest that belongs to the key; None if there is none, or two processes mixed theirs."""
    note = folder / "prepared.json"
    about = json.loads(note.read_text()) if note.exists() else {}
    if about.get("key") != key or not (folder / "dataset.json").exists():
        return None
    manifest = Manifest.load(folder)
    return manifest if manifest.fingerprint == about["fingerprint"] else None


def _refuse_lost_class(rows: pd.DataFrame, sound: pd.DataFrame, unreadable: pd.DataFrame, listing: Listing) -> None:
    for label in sorted(set(rows["label"]) - set(sound["label"])):
        first = unreadable[unreadable["path"].isin(rows.loc[rows["label"] == label, "path"])].iloc[0]
        raise InputError(
            f"no image of class {listing.class_names[label]!r} in {listing.root} can be read "
            f"(the first, {first.path}: {first.reason}); replace the files"
        )
