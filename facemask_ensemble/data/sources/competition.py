"""The competition's folder `MaskDataset/`."""

import json
from pathlib import Path

from facemask_ensemble.data.listing import (
    LeftOut,
    Listing,
    existing_folder,
    files_below,
    is_image,
    make_listing,
    refuse_empty_class,
)
from facemask_ensemble.data.voc import MASK_CLASSES
from facemask_ensemble.errors import InputError


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
    labels = _labels(table)
    found, links = files_below(training, top)
    files = {file.relative_to(training).as_posix(): file for file in found}
    rows, quarantine = [], links
    for name, label in sorted(labels.items()):
        if name in files and is_image(files[name]):
            rows.append({"path": f"training/{name}", "label": label})
        elif name in files:
            quarantine.append((f"training/{name}", "not an image"))
    quarantine += _unpaired(labels.keys() - files.keys(), f"named in {table.name}, but missing", links)
    quarantine += _unpaired(files.keys() - labels.keys(), f"no entry in {table.name}", [])
    refuse_empty_class(top, MASK_CLASSES, rows, quarantine, "give the folder as it was published")
    return make_listing(top, MASK_CLASSES, rows, quarantine)


def _unpaired(names: set[str], reason: str, explained: LeftOut) -> LeftOut:
    known = {path for path, _ in explained}
    return [(f"training/{name}", reason) for name in names if f"training/{name}" not in known]


def _labels(table: Path) -> dict[str, int]:
    try:
        labels = json.loads(table.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{table} is not JSON ({error}): restore the competition's file") from None
    except OSError as error:
        raise InputError(f"{table} cannot be opened ({error.strerror}); change its permissions") from None
    if not isinstance(labels, dict):
        raise InputError(f"{table} holds a {type(labels).__name__}: it must map each file name to 0, 1 or 2")
    for name, label in labels.items():
        if type(label) is not int or label not in (0, 1, 2):
            raise InputError(f"{table} gives {name} the label {label!r}: use 0 none, 1 all or 2 some")
    return labels
