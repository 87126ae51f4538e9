"""A folder of photographs and their Pascal VOC annotations."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from facemask_ensemble.data.listing import (
    LeftOut,
    existing_folder,
    files_below,
    is_image,
    no_text,
    relative,
)
from facemask_ensemble.errors import InputError


@dataclass(frozen=True)
class Photo:
    """A photograph and its annotation: `path` relative to the root, `name` without folder and suffix."""

    path: str
    name: str
    file: Path
    annotation: Path


def annotated_photos(root: str | Path | None, dataset: str) -> tuple[Path, list[Photo], LeftOut]:
    """Pair `images/` and `annotations/*.xml` by name.

    Returns:
        The root, the pairs in the order of their names, and what has no partner or more than one.
    """
    top = existing_folder(root, dataset)
    for name in ("images", "annotations"):
        if not (top / name).is_dir():
            raise InputError(f"dataset.root={top} has no folder {name}/: give the folder of images/ and annotations/")
    images, left_out = files_below(top / "images", top)
    annotations, links = files_below(top / "annotations", top)
    left_out += links
    by_name, twins = _named([file for file in images if is_image(file)], top)
    notes, doubled = _named([file for file in annotations if file.suffix.lower() == ".xml"], top)
    left_out += twins + doubled
    known = {Path(path).stem for path, _ in left_out}
    for there, partners, what in ((by_name, notes, "annotation"), (notes, by_name, "image")):
        for name in there.keys() - partners.keys():
            why = f"its {what} is left out" if name in known else f"no {what} of this name"
            left_out.append((relative(there[name], top), why))
    photos = [
        Photo(relative(by_name[name], top), name, by_name[name], notes[name]) for name in by_name if name in notes
    ]
    unnamed = [photo for photo in photos if no_text(photo.path)]
    left_out += [(photo.path, no_text(photo.path)) for photo in unnamed]
    return top, [photo for photo in photos if photo not in unnamed], left_out


def _named(files: Sequence[Path], top: Path) -> tuple[dict[str, Path], LeftOut]:
    """Look files up by their names without suffix; those that share one cannot be told apart."""
    groups: dict[str, list[Path]] = {}
    for file in files:
        groups.setdefault(file.stem, []).append(file)
    twins = [
        (relative(file, top), f"another file has the name {stem!r} too, and annotations are found by name: rename one")
        for stem, group in groups.items()
        if len(group) > 1
        for file in group
    ]
    return {stem: group[0] for stem, group in groups.items() if len(group) == 1}, twins


def series_name(size: tuple[int, int], series_sizes: Sequence[Sequence[int]]) -> str:
    """Name the series that images of a size are, "" if they are none."""
    return f"series {size[0]}x{size[1]}" if list(size) in [list(known) for known in series_sizes] else ""
