"""Train one member, or a sweep of them: `python -m facemask_ensemble.train backbone=xception`."""

import signal
import sys
from dataclasses import replace
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from facemask_ensemble.command import run_command
from facemask_ensemble.errors import InputError
from facemask_ensemble.signals import Stopped
from facemask_ensemble.training.launch import check, train
from facemask_ensemble.training.member_process import LOG, Outcome, outcome_of
from facemask_ensemble.training.sweep import environment_of_job, parent_run, threads_per_job
from facemask_ensemble.training.unlogged import not_logged


def task(cfg: DictConfig) -> None:
    """Compose the config and train; in a sweep, note the outcome for the end of the sweep."""
    context = HydraConfig.get()
    if context.mode != RunMode.MULTIRUN:
        try:
            report(*train(check(cfg), show_bar=sys.stdout.isatty()))
        except KeyboardInterrupt:
            print("stopped; run the same command again to resume after the last finished epoch")
            raise
        return
    job = Path(context.runtime.output_dir).resolve()
    try:
        settings = replace(check(cfg), parent_run=parent_run(job.parent))
        with environment_of_job(context, settings.output_dir) as environment:
            train(settings, threads=threads_per_job(context), job=job, environment=environment)
    except Exception as error:  # the other members continue
        outcome_of(cfg.backbone.name, error).write(job)


def report(outcome: Outcome, folder: Path) -> None:
    """Say how a training ended; one that did not finish ends the command."""
    if outcome.state == "stopped":
        raise Stopped(signal.SIGTERM)  # which was sent to the training alone
    if outcome.state == "refused":
        raise InputError(outcome.message)
    if outcome.state == "failed":
        print(f"error: {outcome.name} failed: {outcome.message}; see {folder / LOG}", file=sys.stderr)
        sys.exit(1)
    summary = outcome.summary
    before = f" ({outcome.message})" if outcome.message else ""
    accuracy, seconds = summary["validation_accuracy"], summary["seconds"]
    print(f"{outcome.name}: validation accuracy {accuracy:.3f} after {seconds:.0f} s{before}")
    if summary["not_logged"]:
        print(not_logged(summary["not_logged"], folder))
    else:
        print(f"logged as MLflow run {summary['run_id']}")


def main() -> None:
    """Run the command."""
    run_command("train", task)


if __name__ == "__main__":
    main()
