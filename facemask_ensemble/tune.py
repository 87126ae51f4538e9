"""Search for the best training settings with Optuna: `python -m facemask_ensemble.tune backbone=deep_cnn trials=20`."""

import sys
from typing import TYPE_CHECKING

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from facemask_ensemble.command import run_command
from facemask_ensemble.errors import InputError
from facemask_ensemble.tuning.plan import Plan, read_plan

if TYPE_CHECKING:
    import optuna


def task(cfg: DictConfig) -> None:
    """Compose the config and search."""
    plan = read_plan(cfg, HydraConfig.get().overrides.task)
    try:
        import optuna  # noqa: F401
    except ImportError as error:
        raise InputError('tune: Optuna is not installed; pip install "facemask-ensemble[tune]"') from error
    tune(plan)


def tune(plan: Plan) -> None:
    """Run trials until the study has as many as the plan asks for, and show the results.

    Raises:
        InputError: a trial's config, the data or the storage is refused.
        SystemExit: no trial was completed.
    """
    from facemask_ensemble.tuning.workers import open_plan, side_by_side, take_part

    study = open_plan(plan)
    try:
        if plan.jobs == 1:
            take_part(plan, study, live=sys.stdout.isatty())
        else:
            side_by_side(plan)
    except KeyboardInterrupt:
        print("stopped; run the same command again to resume the stopped trial")
        raise
    finish(plan, study)


def finish(plan: Plan, study: "optuna.Study") -> None:
    """Show the best trials and write the search's tables and images."""
    from rich.console import Console

    from facemask_ensemble.tuning.progress import ranking
    from facemask_ensemble.tuning.results import best_table, counted, train_command, write_results
    from facemask_ensemble.tuning.search import tally

    done = tally(study).done
    if done < plan.trials:
        print(f"timeout={plan.timeout}: {done} of {plan.trials} trials done; run the same command again to continue")
    trials = ranking(study)
    paths = write_results(study, plan.metric, plan.folder)
    if not trials:
        print(f"error: no trial was completed ({counted(study) or 'none was run'}); see {paths[0]}", file=sys.stderr)
        sys.exit(1)
    Console().print(best_table(study, plan.metric))
    print(f"{counted(study)}; {', '.join(path.name for path in paths)} in {plan.folder}")
    print("train the best one:")
    print(train_command(plan.overrides, trials[0].user_attrs["overrides"]))


def main() -> None:
    """Run the command."""
    run_command("tune", task)


if __name__ == "__main__":
    main()
