"""The folder of a training: the same command on the same data finds the same one."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from facemask_ensemble.models.backend import backend
from facemask_ensemble.models.weights import is_path

MEMBER = "member.txt"  # in a job's folder of a sweep: where its training lies
APART = ("output_dir", "study", "dataset", "task", "tracking", "parent_run", "tags", "again")


def folder_of(config: Mapping[str, Any], fingerprint: str) -> Path:
    """Name the folder after everything that decides what is learned.

    Args:
        config: the resolved train config. Where results go decides nothing, and the dataset's settings only by the
            images, labels and split that they give.
        fingerprint: of the manifest.
    """
    decisive = {key: value for key, value in config.items() if key not in APART}
    known = [decisive, fingerprint, backend(), *_content(config["backbone"]["weights"])]
    key = hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()[:10]
    return Path(config["output_dir"]) / "runs" / config["study"] / f"{config['backbone']['name']}-{key}"


def _content(weights: str | None) -> list[str]:
    """Tell a file of weights from another that has taken its place; official files are known by their md5 anyway."""
    if not is_path(weights) or not Path(str(weights)).is_file():
        return []
    with Path(str(weights)).open("rb") as file:
        return [hashlib.file_digest(file, "sha256").hexdigest()]
