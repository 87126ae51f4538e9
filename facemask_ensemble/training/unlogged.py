"""Finished trainings that could not be logged to MLflow: describe them, and log them later."""

import json
from pathlib import Path

from facemask_ensemble.errors import InputError


def not_logged(reason: str, folder: Path) -> str:
    """Say where an unlogged training is and how to log it."""
    return (
        f"the training could not be logged to MLflow ({reason}). Everything is kept in {folder}; "
        "when MLflow answers again, run: "
        f"python -m facemask_ensemble.upload folder={folder}"
    )


def send(folder: Path) -> None:
    """Log a training's folder to the run that it began."""
    from facemask_ensemble import tracking
    from facemask_ensemble.training.member_process import settings_in
    from facemask_ensemble.training.run_files import upload

    output_dir = settings_in(folder).output_dir
    uri = json.loads((folder / "run.json").read_text())["uri"]
    reason = upload(tracking.open_store(uri, output_dir), folder)
    if reason:
        raise InputError(f"folder={folder}: MLflow still returns an error ({reason}); nothing is lost, try again later")
    print(f"logged {folder.name} to {uri or 'the embedded store'}")
