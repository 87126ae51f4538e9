"""Send a finished training to MLflow: `python -m facemask_ensemble.upload folder=outputs/runs/…`."""

from pathlib import Path

from omegaconf import DictConfig

from facemask_ensemble.command import run_command
from facemask_ensemble.errors import InputError
from facemask_ensemble.training.unlogged import send


def task(cfg: DictConfig) -> None:
    """Check the folder and send it."""
    folder = Path(cfg.folder).expanduser().resolve()
    if not (folder / "scores.json").is_file():
        raise InputError(f"folder={cfg.folder}: no finished training there; give the folder that the training named")
    if not (folder / "files" / "model.keras").is_file():
        raise InputError(f"folder={cfg.folder}: that training has been logged already; `make ui` shows it")
    send(folder)


def main() -> None:
    """Run the command."""
    run_command("upload", task)


if __name__ == "__main__":
    main()
