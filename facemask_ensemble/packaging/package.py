"""A shipped ensemble as a folder: description, members, card. Nothing in it is run; everything is checked.

`ensemble.json`, `members/NAME.keras`, `card.json`, `card.html`, and OpenVINO's conversions where members have them.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from facemask_ensemble.ensemble.rule_io import restored
from facemask_ensemble.errors import InputError
from facemask_ensemble.packaging.description import ABOUT, read_description, refuse_older

if TYPE_CHECKING:
    from facemask_ensemble.ensemble.rules import FittedRule
    from facemask_ensemble.tracking import Store

CARDS, MEMBERS = ("card.json", "card.html"), "members"
MODEL = "MLmodel"  # beside it MLflow keeps a model's artifacts
INSIDE = ("artifacts", "ensemble")  # of a model of MLflow
CONVERSIONS, DIGITS = "openvino", 20  # the folder beside a member; as many digits of its file's sha256 name its own
REGISTERED = "models:/"
HERE = Path("outputs")  # the default folder of a store


@dataclass(frozen=True)
class PackagedMember:
    """A member to be packed: its `.keras` file, the side of its images in pixels, and how its weights began.

    `price` is what it costs, in any unit that all members of an ensemble share.
    """

    file: Path
    image_size: int
    price: float
    init: str


@dataclass(frozen=True)
class Package:
    """A package that was read: its description, the members' files, which are as they were packed, and its rule."""

    folder: Path
    about: Mapping[str, Any]
    files: Sequence[Path]
    vote: "FittedRule"

    @property
    def card(self) -> Path | None:
        """Give the ship card's page, if there is one."""
        page = self.folder / CARDS[1]
        return page if page.is_file() else None


def packaged_members(store: "Store", about: Mapping[str, Any], cache: Path) -> list[PackagedMember]:
    """Fetch the members that a description names from the store; their cost is in milliseconds if all were timed.

    Raises:
        InputError: a member or its file is lost, or the description is an older one, which cannot be restored.
    """
    refuse_older(about)
    from facemask_ensemble import tracking
    from facemask_ensemble.ensemble.members import model_file

    found = tracking.finished_members(store, run_ids=[member["run_id"] for member in about["members"]])
    times = [member.get("milliseconds") for member in about["members"]]
    return [
        PackagedMember(
            model_file(store, member, cache),
            int(member.tags["image_size"]),
            float(member.tags["parameters"]) if None in times else time,
            member.tags["init"],
        )
        for member, time in zip(found, times, strict=True)
    ]


def write_package(about: Mapping[str, Any], members: Sequence[PackagedMember], cards: Path, folder: Path) -> None:
    """Write a package.

    Args:
        about: what a report's `ensemble.json` says.
        members: in the order of its `members`.
        cards: the folder of the ship card.
        folder: to be written.

    Raises:
        InputError: the description is an older one, which cannot be restored.
    """
    refuse_older(about)
    (folder / MEMBERS).mkdir(parents=True, exist_ok=True)
    packed = []
    for known, member in zip(about["members"], members, strict=True):
        file = folder / MEMBERS / f"{known['name']}.keras"
        link_or_copy(member.file, file)
        sha256 = _sha256(file)
        _copy_conversions(member.file.parent, folder / MEMBERS, sha256)
        more = {"file": file.name, "sha256": sha256, "image_size": member.image_size}
        packed.append({**known, **more, "price": member.price, "init": member.init})
    text = json.dumps({**about, "members": packed}, indent=2, allow_nan=False)
    (folder / ABOUT).write_text(text, encoding="utf-8")
    for name in CARDS:
        shutil.copyfile(cards / name, folder / name)


def link_or_copy(source: str | Path, target: str | Path) -> None:
    """Hard-link a file, or copy it if that is not possible."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def read_package(folder: Path) -> Package:
    """Read a package, and check that its members are those that were packed.

    Raises:
        InputError: it is none, a part is missing, changed or unknown, or its rule cannot be restored.
    """
    about = read_description(folder / ABOUT)
    vote = restored(about)
    files = [folder / MEMBERS / member["file"] for member in about["members"]]
    for member, file in zip(about["members"], files, strict=True):
        if not file.is_file():
            raise InputError(f"ensemble={folder}: {MEMBERS}/{file.name} is missing; ship it again")
        if _sha256(file) != member["sha256"]:
            raise InputError(
                f"ensemble={folder}: {MEMBERS}/{file.name} is not the file that was shipped (another sha256); "
                "restore it, or ship it again"
            )
    return Package(folder, about, files, vote)


def package_folder(ensemble: str, uri: str | None = None, output_dir: Path = HERE) -> Path:
    """Find the folder of a shipped ensemble.

    Args:
        ensemble: a package's folder or a model's of MLflow, or `models:/NAME@champion` or `models:/NAME/VERSION`.
        uri: of the store that a registered one is looked for in.
        output_dir: of the embedded store, and of what is fetched from another.

    Raises:
        InputError: there is no such ensemble.
    """
    if ensemble.startswith(REGISTERED):
        from facemask_ensemble import tracking
        from facemask_ensemble.tracking.registry import version_folder

        store = tracking.open_store(uri, output_dir)
        folder = version_folder(store, ensemble, output_dir / "data" / "artifacts")
    else:
        folder = Path(ensemble).expanduser()
    inside = folder.joinpath(*INSIDE)
    folder = inside if (folder / MODEL).is_file() and inside.is_dir() else folder
    if not (folder / ABOUT).is_file():
        raise InputError(
            f"ensemble={ensemble}: not a shipped ensemble; give models:/NAME@champion, models:/NAME/VERSION, "
            f"or a folder with {ABOUT} and {MEMBERS}/"
        )
    return folder


def _copy_conversions(beside: Path, members: Path, sha256: str) -> None:
    """Copy a member's conversions and the records of their checks."""
    for found in (beside / CONVERSIONS).glob(f"{sha256[:DIGITS]}-*"):
        if not found.name.endswith(".part"):
            copy = shutil.copytree if found.is_dir() else shutil.copyfile
            (members / CONVERSIONS).mkdir(exist_ok=True)
            copy(found, members / CONVERSIONS / found.name)


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
