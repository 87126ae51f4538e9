"""Log a finished training to MLflow: `python -m facemask_ensemble.upload folder=outputs/runs/…`."""

from omegaconf import DictConfig

from facemask_ensemble.command import run_command
from facemask_ensemble.config import read_settings
from facemask_ensemble.errors import InputError
from facemask_ensemble.settings.upload import UploadSettings
from facemask_ensemble.training.unlogged import send


def task(cfg: DictConfig) -> None:
    """Check the folder and send it."""
    given = read_settings(UploadSettings, cfg).folder
    folder = given.expanduser().resolve()
    if not (folder / "scores.json").is_file():
        raise InputError(f"folder={given}: no finished training there; give the folder that the training printed")
    if not (folder / "files" / "model.keras").is_file():
        raise InputError(f"folder={given}: this training is already logged; `make ui` shows it")
    send(folder)


def main() -> None:
    """Run the command."""
    run_command("upload", task)


if __name__ == "__main__":
    main()
