"""Train one member, or a sweep of them: `python -m facemask_ensemble.train backbone=xception`."""

import sys
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from facemask_ensemble.command import run_command
from facemask_ensemble.config import absolute_paths, check_training, plain
from facemask_ensemble.errors import InputError
from facemask_ensemble.training.isolation import Outcome, outcome_of, run_isolated
from facemask_ensemble.training.sweep import parent_run, threads_per_job


def task(cfg: DictConfig) -> None:
    """Compose the config and train; in a sweep, how it ended is noted for the sweep's end."""
    context = HydraConfig.get()
    folder = Path(context.runtime.output_dir).resolve()
    if context.mode != RunMode.MULTIRUN:
        report(train(check(cfg), folder, show_bar=sys.stdout.isatty()), folder)
        return
    try:
        config = check(cfg) | {"parent_run": parent_run(folder.parent)}
        train(config, folder, threads=threads_per_job(context))
    except Exception as error:  # the other members go on
        outcome_of(cfg.backbone.name, error).write(folder)


def check(cfg: DictConfig) -> dict[str, Any]:
    """Refuse a config that cannot be trained; return it resolved, with absolute paths."""
    check_training(absolute_paths(cfg))
    hydra.utils.instantiate(cfg.schedule)  # a schedule refuses what it cannot do
    return plain(cfg)


def train(config: dict[str, Any], folder: Path, *, show_bar: bool = False, threads: int | None = None) -> Outcome:
    """Prepare the data and train one member in a process of its own.

    Args:
        config: the resolved train config.
        folder: of this training.
        show_bar: a progress bar instead of a line an epoch.
        threads: of TensorFlow's operations; None for all cores.
    """
    from facemask_ensemble.data.dataset import open_dataset

    if config["tracking"]["uri"] is not None:
        from facemask_ensemble import tracking

        tracking.open_store(config["tracking"]["uri"], Path(config["output_dir"]))  # refuse a dead one at once
    manifest = open_dataset(config["dataset"], Path(config["output_dir"]))
    for row in manifest.quarantine.itertuples():
        print(f"left out: {row.path}: {row.reason}")
    manifest.save(folder / "files" / "manifest")
    return run_isolated(config, folder, show_bar=show_bar, threads=threads)


def report(outcome: Outcome, folder: Path) -> None:
    """Say how a training ended; one that did not finish ends the command."""
    if outcome.state == "stopped":
        sys.exit(130)
    if outcome.state == "refused":
        raise InputError(outcome.message)
    if outcome.state == "failed":
        print(f"error: {outcome.name} failed: {outcome.message}; see {folder / 'log.txt'}", file=sys.stderr)
        sys.exit(1)
    summary = outcome.summary
    print(f"{outcome.name}: validation accuracy {summary['validation_accuracy']:.3f} after {summary['seconds']:.0f} s")
    if summary["not_logged"]:
        print(not_logged(summary["not_logged"], folder))
    else:
        print(f"logged as MLflow run {summary['run_id']}")


def not_logged(reason: str, folder: Path) -> str:
    """Tell where an unlogged training lies and how to send it."""
    return (
        f"MLflow could not be told ({reason}). Everything is kept in {folder}; once it answers: "
        f"python -m facemask_ensemble.upload folder={folder}"
    )


def main() -> None:
    """Run the command."""
    run_command("train", task)


if __name__ == "__main__":
    main()
