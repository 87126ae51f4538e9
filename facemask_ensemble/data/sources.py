"""Where labelled pictures come from: each source lists the pictures of one kind of data set, without opening them."""

import json
from collections.abc import Sequence
from pathlib import Path

from facemask_ensemble.data.listing import Listing, existing_folder, files_below, is_picture, make_listing, visible
from facemask_ensemble.data.voc import AnnotationError, boxes_of, label_of, read_tree, size_of
from facemask_ensemble.errors import InputError

MASK_CLASSES = ("none", "all", "some")
SPLIT_FOLDERS = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "test": "test",
    "testing": "test",
}


def folders(root: str | Path | None) -> Listing:
    """List one folder per class, also below folders train, validation and test, which are kept as the split.

    The classes are the folders' names in order; the names none, all and some come in this order.
    """
    top = existing_folder(root, "folders")
    below = [entry for entry in visible(top) if entry.is_dir()]
    given = bool(below) and all(entry.name.lower() in SPLIT_FOLDERS for entry in below)
    parents = [(entry, SPLIT_FOLDERS[entry.name.lower()]) for entry in below] if given else [(top, "")]
    homes = [(home, split) for parent, split in parents for home in visible(parent) if home.is_dir()]
    names = sorted({home.name for home, _ in homes})
    if {name.lower() for name in names} == set(MASK_CLASSES) and len(names) == len(MASK_CLASSES):
        names.sort(key=lambda name: MASK_CLASSES.index(name.lower()))
    rows: list[dict] = []
    rejected = []
    for home, split in homes:
        for file in files_below(home):
            path = file.relative_to(top).as_posix()
            if is_picture(file):
                rows.append({"path": path, "label": names.index(home.name), "split": split})
            else:
                rejected.append((path, f"suffix {file.suffix or '(none)'} is not one of a picture read here"))
    loose = [file for parent, _ in parents for file in visible(parent) if file.is_file() and is_picture(file)]
    rejected += [(file.relative_to(top).as_posix(), "lies in no class folder") for file in loose]
    _check_folders(top, names, {row["label"] for row in rows}, len(loose))
    return make_listing(top, names, rows, rejected)


def _check_folders(top: Path, names: list[str], filled: set[int], loose: int) -> None:
    empty = [name for label, name in enumerate(names) if label not in filled]
    advice = "give a folder that holds one folder of pictures per class, at least two"
    if not filled:
        found = f"{loose} pictures but no class folder with one" if loose else "no picture"
        raise InputError(f"dataset.root={top} has {found}: {advice}")
    if len(names) == 1:
        raise InputError(f"dataset.root={top} has one class, {names[0]!r}: {advice}")
    if empty:
        raise InputError(
            f"dataset.root={top} has no picture of class {', '.join(empty)}: add some or remove the folder"
        )


def street_masks(
    root: str | Path | None, worn_incorrectly: str = "unmasked", series_sizes: Sequence[Sequence[int]] = ()
) -> Listing:
    """List `images/` with the label that the face boxes in `annotations/*.xml` (Pascal VOC) give: none, all or some.

    Args:
        root: the folder of both.
        worn_incorrectly: a mask worn incorrectly counts as `unmasked` or `masked`; `drop` leaves out every picture
            whose label would be another one, counted the other way.
        series_sizes: widths and heights; pictures of such a size are one series and stay on one side of a split.
    """
    top = existing_folder(root, "street_masks")
    if worn_incorrectly not in ("unmasked", "masked", "drop"):
        raise InputError(f"dataset.worn_incorrectly={worn_incorrectly} is not known: choose unmasked, masked or drop")
    for name in ("images", "annotations"):
        if not (top / name).is_dir():
            raise InputError(f"dataset.root={top} has no folder {name}/: give the folder of images/ and annotations/")
    pictures = {file.stem: file for file in files_below(top / "images") if is_picture(file)}
    annotations = {file.stem: file for file in files_below(top / "annotations") if file.suffix.lower() == ".xml"}
    series = {tuple(size) for size in series_sizes}
    rows = []
    rejected = [(f"images/{pictures[stem].name}", "no annotation") for stem in pictures.keys() - annotations.keys()]
    for stem, annotation in annotations.items():
        if stem not in pictures:
            rejected.append((f"annotations/{annotation.name}", "no picture of this name"))
            continue
        path = pictures[stem].relative_to(top).as_posix()
        try:
            tree = read_tree(annotation)
            label = label_of([state for _, state in boxes_of(tree)], worn_incorrectly)
        except AnnotationError as error:
            rejected.append((path, str(error)))
            continue
        size = size_of(tree)
        rows.append({"path": path, "label": label, "group": f"series {size[0]}x{size[1]}" if size in series else ""})
    _check_masks(top, rows, rejected)
    return make_listing(top, MASK_CLASSES, rows, rejected)


def kaggle_masks(root: str | Path | None) -> Listing:
    """List the competition's `MaskDataset/`: `training/` with the labels of `train_gt.json` (0 none, 1 all, 2 some).

    Its `test/` has no labels: it is for prediction. `root` is `MaskDataset` or the folder that holds it.
    """
    top = existing_folder(root, "kaggle_masks")
    top = top / "MaskDataset" if (top / "MaskDataset").is_dir() else top
    table, training = top / "train_gt.json", top / "training"
    for needed in (table, training):
        if not needed.exists():
            raise InputError(f"dataset.root={root} has no {needed.name}: give the unpacked folder MaskDataset")
    labels = _competition_labels(table)
    files = {file.relative_to(training).as_posix(): file for file in files_below(training)}
    rows = [
        {"path": f"training/{name}", "label": label}
        for name, label in sorted(labels.items())
        if name in files and is_picture(files[name])
    ]
    rejected = [(f"training/{name}", f"named in {table.name}, but missing") for name in labels.keys() - files.keys()]
    rejected += [(f"training/{name}", f"no entry in {table.name}") for name in files.keys() - labels.keys()]
    rejected += [
        (f"training/{name}", "not a picture") for name in labels if name in files and not is_picture(files[name])
    ]
    _check_masks(top, rows, rejected)
    return make_listing(top, MASK_CLASSES, rows, rejected)


def _competition_labels(table: Path) -> dict[str, int]:
    try:
        labels = json.loads(table.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{table} is not JSON ({error}): restore the competition's file") from None
    if not isinstance(labels, dict):
        raise InputError(f"{table} holds a {type(labels).__name__}: it should map each file name to 0, 1 or 2")
    for name, label in labels.items():
        if type(label) is not int or label not in (0, 1, 2):
            raise InputError(f"{table} gives {name} the label {label!r}: use 0 none, 1 all or 2 some")
    return labels


def _check_masks(top: Path, rows: list[dict], rejected: list[tuple[str, str]]) -> None:
    counts = {name: sum(row["label"] == label for row in rows) for label, name in enumerate(MASK_CLASSES)}
    if not rows:
        why = f" (left out {len(rejected)}, the first {rejected[0][0]}: {rejected[0][1]})" if rejected else ""
        raise InputError(f"dataset.root={top} has no labelled picture{why}: give the folder as it was published")
    if 0 in counts.values():
        found = ", ".join(f"{name} {count}" for name, count in counts.items())
        raise InputError(
            f"dataset.root={top} lacks a class ({found}): add pictures of it, or sort into dataset=folders"
        )


def scenes(
    folder: str | Path,
    count: int,
    size: int,
    difficulty: str,
    seed: int,
    people: tuple[int, int] | None = None,
) -> Listing:
    """Draw scenes into the folder, unless they lie there already, and list them."""
    from facemask_ensemble.data.scenes import CLASS_NAMES, draw_folder  # the other sources need no drawing

    target = Path(folder).absolute()
    rows = draw_folder(target, count, size=size, seed=seed, difficulty=difficulty, people=people)
    return Listing(target, tuple(CLASS_NAMES), rows[["path", "label"]].reset_index(drop=True))
