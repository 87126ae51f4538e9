"""Send a finished training to MLflow: `python -m facemask_ensemble.upload folder=outputs/runs/…`."""

import json
from pathlib import Path

from omegaconf import DictConfig

from facemask_ensemble.command import run_command
from facemask_ensemble.errors import InputError


def task(cfg: DictConfig) -> None:
    """Check the folder and send it."""
    folder = Path(cfg.folder).expanduser().resolve()
    if not (folder / "scores.json").is_file():
        raise InputError(f"folder={cfg.folder}: no finished training there; give the folder that the training named")
    if not (folder / "files" / "model.keras").is_file():
        raise InputError(f"folder={cfg.folder}: that training has been logged already; `make ui` shows it")
    send(folder)


def send(folder: Path) -> None:
    """Log a training's folder to the run that it began."""
    import yaml

    from facemask_ensemble import tracking
    from facemask_ensemble.training.run_files import upload

    output_dir = Path(yaml.safe_load((folder / "files" / "config.yaml").read_text())["output_dir"])
    uri = json.loads((folder / "run.json").read_text())["uri"]
    reason = upload(tracking.open_store(uri, output_dir), folder)
    if reason:
        raise InputError(f"folder={folder}: MLflow still refuses ({reason}); nothing is lost, try again later")
    print(f"logged {folder.name} to {uri or 'the embedded store'}")


def main() -> None:
    """Run the command."""
    run_command("upload", task)


if __name__ == "__main__":
    main()
