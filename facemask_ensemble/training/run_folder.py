"""The folder of a training: the same command on the same data finds the same one."""

import hashlib
import json
from pathlib import Path

from facemask_ensemble.models.backend import backend
from facemask_ensemble.settings import dump
from facemask_ensemble.settings.train import TrainSettings
from facemask_ensemble.weights import is_path

MEMBER = "member.txt"  # in the folder of a sweep's job: names the folder of its training
RUN = "run.json"  # in a training's folder: its run in MLflow
APART = ("output_dir", "study", "dataset", "task", "tracking", "parent_run", "tags", "again")


def folder_of(settings: TrainSettings, fingerprint: str) -> Path:
    """Name the folder after everything that decides what is learned.

    Args:
        settings: of the training. Where results go decides nothing, and the dataset's settings only by the
            images, labels and split that they give.
        fingerprint: of the manifest.
    """
    decisive = {key: value for key, value in dump(settings).items() if key not in APART}
    known = [decisive, fingerprint, backend(), *_content(settings.backbone.weights)]
    key = hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()[:10]
    return settings.output_dir / "runs" / settings.study / f"{settings.backbone.name}-{key}"


def _content(weights: str | None) -> list[str]:
    """Tell a file of weights from another that has taken its place; official files are known by their md5 anyway."""
    if not is_path(weights) or not Path(str(weights)).is_file():
        return []
    with Path(str(weights)).open("rb") as file:
        return [hashlib.file_digest(file, "sha256").hexdigest()]
