"""The files of a finished training, and how they are logged to MLflow."""

import json
from pathlib import Path

import pandas as pd

from facemask_ensemble import tracking
from facemask_ensemble.training.run_folder import RUN

FILES = "files"  # everything in it becomes an artifact of the run
SCORES = "scores.json"
HISTORY = "history.csv"
PROBABILITIES = "probabilities.parquet"
MODEL = "model.keras"


def upload(store: tracking.Store, folder: Path) -> str | None:
    """Log a finished training's folder to its run; return the reason if the store refuses.

    The model stays in the folder until the store has it.
    """
    run_id = json.loads((folder / RUN).read_text())["run_id"]
    files = folder / FILES

    def send() -> None:
        tracking.replay_history(store, run_id, pd.read_csv(files / HISTORY))
        scores = json.loads((folder / SCORES).read_text())
        tracking.finish_run(store, run_id, files=files, metrics=scores)

    reason = tracking.protect(send)
    if reason is None:
        (files / MODEL).unlink(missing_ok=True)  # a training that was killed here has already sent it
        for state in folder.glob("*.npz*"):  # checkpoints are no longer needed
            state.unlink()
    return reason
