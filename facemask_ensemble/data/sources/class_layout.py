"""Folders of one's own: one per class, perhaps below folders train, validation and test."""

import os
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from facemask_ensemble.data.listing import (
    LeftOut,
    Listing,
    existing_folder,
    files_below,
    is_image,
    make_listing,
    no_text,
    relative,
    trouble_with,
    visible,
)
from facemask_ensemble.data.manifest import SPLITS
from facemask_ensemble.data.voc import MASK_CLASSES
from facemask_ensemble.errors import InputError

SPLIT_FOLDERS = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "test": "test",
    "testing": "test",
}
UNLABELED = ("unlabeled", "unlabelled")
NO_CLASS = "is not in a class folder"


def folders(root: str | Path | None) -> Listing:
    """List one folder per class, also below folders train, validation and test, which are kept as the split.

    The classes are the folders' names in order; the names none, all and some come in this order. Names that differ in
    case alone are one class, spelled as in the first split. Images in a folder `unlabeled` are left out.
    """
    top = existing_folder(root, "folders")
    splits = _split_folders(top)
    homes: list[tuple[Path, str]] = []
    quarantine = [finding for entry in visible(top) if splits for finding in _beside(entry, top)]
    for parent, split in splits or [(top, "")]:
        for entry in [] if splits and os.path.islink(parent) else visible(parent):
            if _is_folder(entry) and entry.name.lower() not in UNLABELED:
                homes.append((entry, split))
            else:
                quarantine += _beside(entry, top)
    names = _class_names([home.name for home, _ in homes])
    rows: list[dict] = []
    for home, split in homes:
        images, left_out = _images(home, top)
        label = list(names).index(_key(home.name))
        rows += [{"path": path, "label": label, "split": split} for path in images]
        quarantine += left_out
    _refuse_lack(top, list(names.values()), homes, {row["label"] for row in rows}, quarantine)
    return make_listing(top, list(names.values()), rows, quarantine)


def _images(home: Path, top: Path) -> tuple[list[str], LeftOut]:
    files, left_out = files_below(home, top)
    for file in files:
        if not is_image(file):
            suffix = ascii(file.suffix) if no_text(file.suffix) else file.suffix or "(none)"
            left_out.append((relative(file, top), f"suffix {suffix} is not a supported image type"))
    return [relative(file, top) for file in files if is_image(file)], left_out


def _split_folders(top: Path) -> list[tuple[Path, str]]:
    """Find the folders of a given split, training first; none if the class folders are in the root itself."""
    below = [entry for entry in visible(top) if _is_folder(entry)]
    splits = [entry for entry in below if entry.name.lower() in SPLIT_FOLDERS]
    if not splits:
        return []
    named = {*SPLIT_FOLDERS, *UNLABELED}
    strangers = [entry for entry in below if entry.name.lower() not in named and _holds_image(entry, top)]
    if not strangers:
        return sorted(
            ((entry, SPLIT_FOLDERS[entry.name.lower()]) for entry in splits), key=lambda pair: SPLITS.index(pair[1])
        )
    if [entry.name.lower() for entry in splits] == ["train"] and not _holds_class(splits[0], top):
        return []  # a class of railway trains
    what, where = (", ".join(f"{entry.name}/" for entry in part[:3]) for part in (strangers, splits))
    raise InputError(
        f"dataset.root={top} has the split {where} and images in {what}, whose split is unknown; move {what} "
        f"into a split or out of the folder, or move {where} out of it, or give every image a split with dataset=table"
    )


def _beside(entry: Path, top: Path) -> LeftOut:
    """Give the reasons why entries beside the classes or splits are left out; other folders and files have none."""
    if entry.name.lower() in UNLABELED and _is_folder(entry):
        files, left_out = files_below(entry, top)
        return left_out + [(relative(file, top), "it has no label") for file in files if is_image(file)]
    if why := trouble_with(entry, top):
        return [(relative(entry, top), why)]
    return [(relative(entry, top), NO_CLASS)] if os.path.isfile(entry) and is_image(entry) else []


def _is_folder(entry: Path) -> bool:
    """Tell whether an entry is, or once was, a folder: a broken link may have led to the images of a class."""
    return os.path.isdir(entry) or (os.path.islink(entry) and not os.path.exists(entry) and not entry.suffix)


def _holds_image(folder: Path, top: Path) -> bool:
    return any(is_image(file) for file in files_below(folder, top)[0])


def _holds_class(split: Path, top: Path) -> bool:
    inside = [] if os.path.islink(split) else visible(split)
    return any(os.path.isdir(entry) and _holds_image(entry, top) for entry in inside)


def _key(name: str) -> str:
    """Give one key for all spellings of a class name, on every system."""
    return unicodedata.normalize("NFC", name).casefold()


def _class_names(found: Sequence[str]) -> dict[str, str]:
    """Map the key of every class to its first spelling, in label order."""
    spelling = {_key(name): name for name in reversed(found)}
    if set(spelling) == set(MASK_CLASSES):
        return {key: spelling[key] for key in MASK_CLASSES}
    return dict(sorted(spelling.items(), key=lambda pair: pair[1]))


def _refuse_lack(
    top: Path, names: list[str], homes: list[tuple[Path, str]], filled: set[int], quarantine: LeftOut
) -> None:
    advice = "give a folder that holds one folder of images per class, at least two"
    empty = [name for label, name in enumerate(names) if label not in filled]
    links = {relative(home, top) for home, _ in homes} & {path for path, _ in quarantine}
    cause = "".join(f" ({path}: {why})" for path, why in quarantine if path in links)
    if not filled:
        loose = sum(why == NO_CLASS for _, why in quarantine)
        found = f"{loose} images outside class folders, and none in a class folder" if loose else "no image"
        raise InputError(f"dataset.root={top} has {found}{cause}: {advice}")
    if empty:
        raise InputError(
            f"dataset.root={top} has no image of class {', '.join(empty)}{cause}; add images, or remove the folder"
        )
    if len(names) == 1:
        raise InputError(f"dataset.root={top} has one class, {names[0]!r}: {advice}")
