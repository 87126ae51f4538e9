"""A listing: labelled images as a source names them, and how sources look into folders."""

import os
import stat
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from facemask_ensemble.data.decoding import SUFFIXES
from facemask_ensemble.errors import InputError

LeftOut = list[tuple[str, str]]  # path relative to the root, and the reason


def _none_left_out() -> pd.DataFrame:
    return pd.DataFrame(columns=["path", "reason"], dtype=str)


@dataclass(frozen=True)
class Listing:
    """Labelled images as a source names them, not yet opened.

    `rows` has `path` (posix, relative to `root`), `label` (an index into `class_names`) and may have `group` (images
    to keep on one side of a split, "" for none) and `split` (train, validation, test, or "" to be drawn). `quarantine`
    has `path` and `reason`.
    """

    root: Path
    class_names: tuple[str, ...]
    rows: pd.DataFrame
    quarantine: pd.DataFrame = field(default_factory=_none_left_out)


def existing_folder(root: str | Path | None, name: str) -> Path:
    """Give the absolute folder of a source, or refuse one that is missing or closed."""
    if root is None or not str(root).strip():
        raise InputError(f"dataset.root=null: dataset={name} needs a folder; give dataset.root=PATH")
    folder = Path(root).expanduser().absolute()
    if not os.path.isdir(folder):
        what = "is not a folder" if os.path.exists(folder) else "does not exist"
        raise InputError(f"dataset.root={root} {what}: give the folder that holds the images")
    return folder


def visible(folder: Path) -> list[Path]:
    """List the entries of a folder by name, without hidden ones."""
    try:
        entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    except OSError as error:
        raise InputError(f"{folder} cannot be opened ({error.strerror}); change its permissions") from None
    return sorted(entries, key=lambda entry: entry.name)


def files_below(folder: Path, root: Path) -> tuple[list[Path], LeftOut]:
    """List the files below a folder, in order, without hidden ones; no link to a folder is followed.

    Args:
        folder: below the root, or the root itself.
        root: of the dataset; a link to a file below it counts as a file.

    Returns:
        The files, and what is not opened: other links, pipes and the like, folders without permission.
    """
    files: list[Path] = []
    left_out: LeftOut = []

    def closed(error: OSError) -> None:
        left_out.append((relative(Path(error.filename), root), f"cannot be opened: {error.strerror}"))

    if folder != root and (why := trouble_with(folder, root)):
        return [], [(relative(folder, root), why)]
    for home, folders, names in os.walk(folder, onerror=closed, followlinks=False):
        folders[:] = [name for name in folders if not name.startswith(".")]
        links = [name for name in folders if os.path.islink(os.path.join(home, name))]
        for entry in (Path(home, name) for name in [*names, *links] if not name.startswith(".")):
            if why := trouble_with(entry, root):
                left_out.append((relative(entry, root), why))
            else:
                files.append(entry)
    return sorted(files, key=lambda path: path.as_posix()), left_out


def trouble_with(entry: Path, root: Path) -> str:
    """Say why an entry below the root is not opened; "" for a file, a folder, or a link to a file below the root."""
    try:
        mode = os.lstat(entry).st_mode
    except OSError as error:
        return f"cannot be opened: {error.strerror}"
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
        return ""
    if not stat.S_ISLNK(mode):
        return "a pipe, a socket or a device: remove it"
    try:
        target, top = Path(os.path.realpath(entry, strict=True)), Path(os.path.realpath(root))
    except FileNotFoundError:
        return "a symbolic link to nothing: restore what it pointed to, or remove it"
    except OSError as error:
        loops = "loops" if not isinstance(error, PermissionError) else f"cannot be followed ({error.strerror})"
        return f"a symbolic link that {loops}: replace it by a copy, or remove it"
    if target != top and top not in target.parents:
        return "a symbolic link that leaves dataset.root: replace it by a copy, or give a root that holds both"
    if target == top or target in Path(os.path.realpath(entry.parent), entry.name).parents:
        return "a symbolic link to a folder that holds it, a loop: remove it"
    if target.is_dir():
        return "a symbolic link to a folder, which is not followed: replace it by the folder"
    return trouble_with(target, top)


def relative(path: Path, root: Path) -> str:
    """Write a path as a listing does: posix, relative to the root."""
    return path.relative_to(root).as_posix()


def is_image(path: Path) -> bool:
    """Tell by its suffix whether a file should be an image."""
    return path.suffix.lower() in SUFFIXES


def no_text(name: str) -> str:
    """Say why a name cannot be written into a table; "" if it can."""
    kinds = {unicodedata.category(sign) for sign in name}
    if "Cs" in kinds:
        return "its name holds bytes that are not text: rename it"
    return "its name holds a line break or another control character: rename it" if "Cc" in kinds else ""


def make_listing(root: Path, class_names: Sequence[str], rows: list[dict], quarantine: LeftOut) -> Listing:
    """Put a source's finds into a Listing; a file whose name cannot be written goes to its quarantine."""
    unnamed = {row["path"]: why for row in rows if (why := no_text(row["path"]))}
    kept = [{"group": "", "split": "", **row} for row in rows if row["path"] not in unnamed]
    table = pd.DataFrame(kept, columns=["path", "label", "group", "split"])
    left_out = sorted((ascii(path) if no_text(path) else path, why) for path, why in [*quarantine, *unnamed.items()])
    return Listing(root, tuple(class_names), table, pd.DataFrame(left_out, columns=["path", "reason"], dtype=str))


def refuse_empty_class(
    root: Path, class_names: Sequence[str], rows: list[dict], quarantine: LeftOut, advice: str
) -> None:
    """Refuse a source without images, or with a class without images.

    Args:
        root: as the user gave it.
        class_names: in label order.
        rows: with `label`.
        quarantine: what was left out; the first of it is named, for it may be the cause.
        advice: the next step.
    """
    count = Counter(row["label"] for row in rows)
    if rows and len(count) == len(class_names):
        return
    why = ""
    if quarantine:
        path, reason = min(quarantine)
        why = f" (left out: {len(quarantine)}, the first {ascii(path) if no_text(path) else path}: {reason})"
    if not rows:
        raise InputError(f"dataset.root={root} has no labelled images{why}: {advice}")
    found = ", ".join(f"{name} {count[label]}" for label, name in enumerate(class_names))
    raise InputError(f"dataset.root={root} has a class without images ({found}){why}: {advice}")
