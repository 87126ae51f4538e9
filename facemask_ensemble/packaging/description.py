"""The description of an ensemble in a package, `ensemble.json`: its required keys, and that it holds only data."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from facemask_ensemble.errors import InputError

ABOUT = "ensemble.json"
NEEDED = ("rule", "ties", "tie_arguments", "learned", "class_names", "members", "name")
NEEDED_OF_MEMBERS = ("name", "run_id", "file", "sha256", "image_size", "price")
AGAIN = "evaluate and ship again: python -m facemask_ensemble.evaluate, then python -m facemask_ensemble.ship"


def read_description(file: Path) -> dict[str, Any]:
    """Read the description of a package.

    Raises:
        InputError: it is not plain data of the expected kind.
    """
    try:
        about = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise InputError(f"ensemble={file}: cannot be read as JSON; ship it again") from None
    if not isinstance(about, dict):
        raise InputError(f"ensemble={file}: is not a description of an ensemble; ship it again")
    if "_target_" in set(_keys(about)):
        raise InputError(f"ensemble={file}: has a _target_; code named in a file is never run; ship it again")
    refuse_older(about)
    if not _is_sound(about):
        raise InputError(f"ensemble={file}: its members, their files or numbers are missing or not valid; {AGAIN}")
    return about


def refuse_older(about: Mapping[str, Any]) -> None:
    """Refuse a description of an older version, which lacks keys that are needed to restore the ensemble."""
    missing = [key for key in NEEDED if key not in about]
    if missing:
        raise InputError(
            f"ensemble: {ABOUT} has no {missing[0]}: it was written by an older version and cannot be loaded; {AGAIN}"
        )


def _is_sound(about: Mapping[str, Any]) -> bool:
    """Tell whether names are texts, files are inside the folder, and numbers are numbers."""
    members, classes = about["members"], about["class_names"]
    return (
        all(isinstance(about[key], str) for key in ("rule", "ties", "name"))
        and isinstance(about.get("task", ""), str)
        and all(isinstance(about.get(key, {}), dict) for key in ("rule_settings", "tie_arguments", "learned"))
        and isinstance(classes, list)
        and all(isinstance(name, str) for name in classes)
        and isinstance(members, list)
        and bool(members)
        and all(_is_sound_member(member) for member in members)
        and len({member["name"] for member in members}) == len(members)
    )


def _is_sound_member(member: Any) -> bool:
    return (
        isinstance(member, dict)
        and set(NEEDED_OF_MEMBERS) <= set(member)
        and all(isinstance(member[key], str) for key in ("name", "file", "sha256"))
        and member["file"] == Path(member["file"]).name
        and member["file"].endswith(".keras")
        and all(isinstance(member[key], int | float) for key in ("image_size", "price"))
    )


def _keys(value: Any) -> Iterator[str]:
    """Yield every key of nested dicts and lists."""
    if isinstance(value, dict):
        yield from value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _keys(inner)
