"""Splitting: which images are trained on, which choose the epoch, and which judge."""

import hashlib
import warnings

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold

from facemask_ensemble.data.manifest import SPLITS
from facemask_ensemble.errors import InputError

HELD_OUT = ("test", "validation", "train")  # a group that the data itself tears apart stays with the first of these


def assign_splits(
    rows: pd.DataFrame,
    class_names: tuple[str, ...],
    validation: float,
    test: float,
    seed: int,
    folds: int | None = None,
    fold: int = 0,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Give every image a split, stratified by label, groups unparted; the same for the same contents everywhere.

    A split given by the data stays. What is missing, validation or test, is cut from the training images, by its
    proportion of them: a given test image is never moved, and with no given test the validation images, which
    choose the epoch, do not judge as well. Where a given split tears a group apart, its most held-out side stays and
    the other images are left out, so that no copy of a test image is trained on.

    Args:
        rows: with `path`, `sha256`, `label`, `group` and `split` ("" where the data gives none).
        class_names: in label order.
        validation: proportion, between 0 and 1.
        test: proportion, between 0 and 1.
        seed: of the draw.
        folds: cut the images into so many test splits of one size, of which `fold` is taken, in place of `test`.
        fold: 0 to `folds - 1`; over all of them every image is tested once.

    Returns:
        The rows kept, with their split, and `path` and `reason` of those left out.

    Raises:
        InputError: a class has too few images, or folds are asked of data that gives its own split.
    """
    if folds is not None:
        rows = rows.assign(split=_draw_fold(rows, class_names, validation, seed, folds, fold))
        _check_classes(rows, class_names)
        return rows.reset_index(drop=True), pd.DataFrame(columns=["path", "reason"], dtype=str)
    rows, quarantine = _leave_out_torn(rows)
    given = set(rows["split"])
    shares = {"validation": validation, "test": test}
    missing = {split: share for split, share in shares.items() if split not in given}
    pool = rows["split"].isin(["", "train"])
    if pool.any() and (missing or "" in given):
        drawn = _draw(rows[pool], {"train": 1 - sum(missing.values()), **missing}, seed)
        rows = rows.assign(split=rows["split"].mask(pool, drawn.reindex(rows.index)))
    _check_classes(rows, class_names)
    return rows.reset_index(drop=True), quarantine


def _leave_out_torn(rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    found = []
    for group, members in rows[rows["group"] != ""].groupby("group"):
        sides = [split for split in HELD_OUT if split in set(members["split"])]
        if sides and sides[0] != "train":
            kept = members.loc[members["split"] == sides[0], "path"].iloc[0]
            torn = members[members["split"] != sides[0]]
            found += [
                (path, f"near {kept}, which is in the given {sides[0]} split (group {group})") for path in torn["path"]
            ]
    quarantine = pd.DataFrame(found, columns=["path", "reason"], dtype=str)
    return rows[~rows["path"].isin(quarantine["path"])], quarantine


def shuffled(keys: pd.Series, seed: int) -> pd.Series:
    """Give every key a random-looking text that depends on key and seed alone, to sort by on any machine."""
    return keys.map(lambda key: hashlib.sha256(f"{seed} {key}".encode()).hexdigest())


def _draw(pool: pd.DataFrame, shares: dict[str, float], seed: int) -> pd.Series:
    """Place groups, the largest first, each where the squared misses of the class counts, relative to them, grow least.

    With counts n, targets t and a group's counts c that growth is the sum over classes of c (c + 2n - 2t) / t: single
    images go to the split that is least full of their class, a big group to one that can hold it.
    """
    unit = _units(pool)
    counts = pd.crosstab(unit, pool["label"])
    draw = shuffled(pool["sha256"].groupby(unit).min(), seed).loc[counts.index]
    order = np.lexsort([draw.to_numpy(str), -counts.sum(axis=1).to_numpy()])
    # At least one of a class: a rare class should reach every split.
    targets = np.maximum(np.outer(list(shares.values()), counts.sum()), 1.0).tolist()
    filled = np.zeros((len(shares), counts.shape[1])).tolist()
    place, names, table = {}, list(shares), counts.to_numpy().tolist()
    for index in order.tolist():
        group = [(label, count) for label, count in enumerate(table[index]) if count]
        growth = [
            sum(count * (count + 2 * full[label] - 2 * aim[label]) / aim[label] for label, count in group)
            for full, aim in zip(filled, targets, strict=True)
        ]
        rounded = [round(value, 9) for value in growth]
        best = rounded.index(min(rounded))
        for label, count in group:
            filled[best][label] += count
        place[counts.index[index]] = names[best]
    return unit.map(place)


def _units(rows: pd.DataFrame) -> pd.Series:
    """Name what must not be parted: a group, or a single image."""
    return rows["group"].where(rows["group"] != "", rows["sha256"])


def _draw_fold(
    rows: pd.DataFrame, class_names: tuple[str, ...], validation: float, seed: int, folds: int, fold: int
) -> pd.Series:
    """Take one of k test folds of scikit-learn's StratifiedGroupKFold; draw the validation images from the rest."""
    given = sorted(set(rows["split"]) - {""})
    if given:
        raise InputError(
            f"dataset.folds={folds}: the data has its own split ({', '.join(given)}), which is kept; set "
            "dataset.folds=null, or give the images without their split"
        )
    units = _units(rows)
    for label, name in enumerate(class_names):
        groups = units[rows["label"] == label].nunique()
        if groups < folds:
            raise InputError(
                f"dataset.folds={folds}: class {name!r} has {groups} separate groups of images, and each fold needs "
                "one; use fewer folds, or add images of that class"
            )
    ordered = rows.assign(unit=units).sort_values("sha256", kind="stable")  # the same draw wherever the files lie
    cut = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of small classes, which were counted above
        places = [test for _, test in cut.split(ordered, ordered["label"], ordered["unit"])][fold]
    test = rows.index.isin(ordered.index[places])
    share = validation / (1 - 1 / folds)
    drawn = _draw(rows[~test], {"train": 1 - share, "validation": share}, seed)
    return drawn.reindex(rows.index).fillna("test")


def _check_classes(rows: pd.DataFrame, class_names: tuple[str, ...]) -> None:
    for split in SPLITS:
        for label, name in enumerate(class_names):
            of_class = rows[rows["label"] == label]
            if not (of_class["split"] == split).any():
                found = ", ".join(f"{part} {(of_class['split'] == part).sum()}" for part in SPLITS)
                groups = of_class["group"].where(of_class["group"] != "", of_class["path"]).nunique()
                raise InputError(
                    f"the {split} split has no image of class {name!r} (of {len(of_class)} in {groups} separate "
                    f"groups: {found}); add images of that class, raise dataset.limit, or change "
                    "dataset.validation and dataset.test"
                )
