"""Where a backbone's weights come from, checked before TensorFlow is imported."""

import hashlib
import json
import re
import zipfile
import zlib
from pathlib import Path

from facemask_ensemble.errors import InputError
from facemask_ensemble.settings.groups import Official

IMAGENET = "imagenet"
MEMBER_FILE = "model.keras"
_RUN = re.compile(rf"runs:/([0-9a-f]{{32}})(?:/({re.escape(MEMBER_FILE)}))?")
_SCHEMES = ("runs:", "members:")
_STUDY = re.compile(r"members:/(.+)")
_CHOICES = (
    "give a weights file without top, a folder of the official files, a member's .keras file, runs:/RUN_ID, "
    "members:/STUDY, imagenet, or null for random initialisation"
)


def check_weights(
    weights: str | None, official: Official | None, *, name: str | None = None, pretrained: bool = True
) -> None:
    """Refuse weights that cannot work, without building a network.

    Args:
        weights: null, `imagenet`, a file without top, a folder of official files, a member's `.keras` file,
            `runs:/RUN_ID` or `members:/STUDY`, which are only checked for their form.
        official: `file` (name), `md5` or `sha256`, and `address` (the folder it is fetched from) of the backbone's
            official weights without top, or None where there are none.
        name: of the backbone, which a member's file must have too.
        pretrained: whether the backbone takes weights without top; small networks start from null or a member alone.

    Raises:
        InputError: no such file or folder, a file missing in the folder, a wrong check sum, a member's file that is
            damaged or of another backbone, or a run id of another form.
    """
    if weights is None:
        return
    if member_run(weights) is not None or member_study(weights) is not None:
        return
    if is_member(weights):
        check_member(Path(weights), name)
    elif not pretrained:
        raise InputError(
            f"backbone.weights={weights}: {name} has no weights without top; give null for random initialisation, "
            "a member's .keras file or runs:/RUN_ID"
        )
    else:
        weights_file(weights, official)


def is_path(weights: str | None) -> bool:
    """Tell a path, which can be made absolute, from null, `imagenet` and a run."""
    return weights is not None and weights != IMAGENET and not str(weights).startswith(_SCHEMES)


def is_member(weights: str | None) -> bool:
    """Tell whether a saved member is asked for, by its run, its study or its `.keras` file."""
    return weights is not None and (str(weights).startswith(_SCHEMES) or Path(weights).suffix == ".keras")


def member_run(weights: str | None) -> str | None:
    """Return the run id in `runs:/RUN_ID` or `runs:/RUN_ID/model.keras`, and None for anything but a run.

    Raises:
        InputError: it starts like a run but has another form.
    """
    if weights is None or not str(weights).startswith("runs:"):
        return None
    found = _RUN.fullmatch(str(weights))
    if found is None:
        raise InputError(
            f"backbone.weights={weights}: a run is written runs:/RUN_ID, with the 32 hexadecimal digits that MLflow "
            f"shows, or runs:/RUN_ID/{MEMBER_FILE}"
        )
    return found[1]


def member_study(weights: str | None) -> str | None:
    """Return the study in `members:/STUDY`, or None; its newest member of the same backbone is used.

    Raises:
        InputError: it starts like a study but names none.
    """
    if weights is None or not str(weights).startswith("members:"):
        return None
    found = _STUDY.fullmatch(str(weights))
    if found is None:
        raise InputError(f"backbone.weights={weights}: a study's members are written members:/STUDY; name the study")
    return found[1]


def weights_file(weights: str | None, official: Official | None) -> str | None:
    """Resolve what Keras Applications take: None, `imagenet`, or the path of a file without top.

    A file that bears the official name, alone or in the folder given, must have the official check sum.

    Raises:
        InputError: no such file or folder, the official file missing in the folder, or a wrong check sum.
    """
    if weights is None or weights == IMAGENET:
        return weights
    path = Path(weights).expanduser()
    if path.is_dir():
        path = _in_folder(path, official)
    elif not path.is_file():
        raise InputError(f"backbone.weights={weights}: no such file or folder; {_CHOICES}")
    if official and path.name == official.file:
        _check_sum(path, official)
    return str(path)


def check_member(path: Path, name: str | None) -> None:
    """Refuse a file that is not a complete member, or a member of another backbone.

    Args:
        path: of a `.keras` file.
        name: the backbone that is to start from it, or None for any.

    Raises:
        InputError: naming what the file holds.
    """
    if not path.expanduser().is_file():
        raise InputError(f"backbone.weights={path}: no such file; {_CHOICES}")
    config = _config(path.expanduser())
    layers = {layer.get("name") for layer in config.get("layers", [])}
    if not {"pixels", "features"} <= layers:
        raise InputError(
            f"backbone.weights={path}: not a member of this package, which has the layers `pixels` and `features`; "
            f"give the {MEMBER_FILE} of a run of train"
        )
    if name is not None and config["name"] != name:
        raise InputError(
            f"backbone.weights={path}: a member with the backbone {config['name']}, not {name}; "
            f"give a member of {name}, or backbone={config['name']}"
        )


def _in_folder(folder: Path, official: Official | None) -> Path:
    if not official:
        raise InputError(
            f"backbone.weights={folder}: a folder, but this backbone has no known official file; give a file"
        )
    path = folder / official.file
    if not path.is_file():
        raise InputError(f"backbone.weights={folder}: {path.name} is not in it; fetch it from {_address(official)}")
    return path


def _check_sum(path: Path, official: Official) -> None:
    kind, expected = official.checksum  # Keras knows some by one, some by the other
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, lambda: hashlib.new(kind, usedforsecurity=False)).hexdigest()
    except OSError as error:
        raise InputError(
            f"backbone.weights={path}: cannot be read ({error.strerror}); change its permissions"
        ) from error
    if found != expected:
        raise InputError(
            f"backbone.weights={path}: its {kind} is {found} and the official file's {expected}; "
            f"fetch it again from {_address(official)}, or rename a file of your own"
        )


def _address(official: Official) -> str:
    return f"{official.address}/{official.file}"


def _config(path: Path) -> dict:
    """Read the network's config out of a `.keras` file, an archive whose check sums must all be right."""
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
            config = json.loads(archive.read("config.json"))["config"]
    except (zipfile.BadZipFile, zlib.error, OSError, KeyError, ValueError) as error:
        raise InputError(f"backbone.weights={path}: not a valid .keras file ({error}); copy it again") from error
    if damaged is not None:
        raise InputError(f"backbone.weights={path}: damaged in {damaged}; copy it again")
    return config
