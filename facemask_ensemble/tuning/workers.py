"""Take part in a search: in this process, or in several processes of this machine.

`python -m facemask_ensemble.tuning.workers` is one of several; it reads its part of the work from standard input.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import hydra
import optuna

from facemask_ensemble.config import CONF_DIR
from facemask_ensemble.data.dataset import open_dataset
from facemask_ensemble.error_lines import one_line_errors
from facemask_ensemble.errors import InputError
from facemask_ensemble.resources import usable_cores
from facemask_ensemble.search_path import open_own_folders
from facemask_ensemble.settings.train import TrainSettings
from facemask_ensemble.signals import STOPS, Stopped, started, stop_with_parent
from facemask_ensemble.training.devices import lease
from facemask_ensemble.training.launch import train
from facemask_ensemble.training.member_process import LIVE, Outcome
from facemask_ensemble.tuning.plan import Plan, read_plan
from facemask_ensemble.tuning.progress import Progress
from facemask_ensemble.tuning.sampler import Numbered
from facemask_ensemble.tuning.search import search
from facemask_ensemble.tuning.storage import answering, default_storage, open_storage, open_study
from facemask_ensemble.tuning.trial import DIRECTIONS, Objective, Watching


def address(plan: Plan) -> str:
    """Give the address of the search's storage."""
    return plan.storage or default_storage(plan.output_dir)


def open_plan(plan: Plan) -> optuna.Study:
    """Check the data and open the study that the plan belongs to.

    Raises:
        InputError: the data cannot be trained on, the storage cannot be used, or the study searched something else.
    """
    manifest = open_dataset(plan.training.dataset, plan.output_dir)
    sampler = Numbered(hydra.utils.instantiate(plan.sampler.call), plan.training.seed)
    pruner = hydra.utils.instantiate(plan.pruner.call)
    storage = open_storage(address(plan), plan.output_dir)
    with answering(address(plan)):
        return open_study(
            storage, plan.study, DIRECTIONS[plan.metric], plan.terms(manifest.fingerprint), sampler, pruner
        )


def take_part(plan: Plan, study: optuna.Study, *, live: bool, threads: int | None = None) -> None:
    """Run trials in this process until the study has all of them.

    Args:
        plan: of the search; Hydra must be initialised.
        study: as opened.
        live: show every epoch in a line that changes.
        threads: of each training; None for all cores.
    """
    progress = Progress(study, plan.metric, plan.trials, live=live)
    os.environ[LIVE] = "1"  # what a training says goes to its log

    def run(settings: TrainSettings, watch: Watching) -> tuple[Outcome, Path]:
        return train(settings, threads=threads, watch=watch)

    objective = Objective(plan.space, plan.metric, plan.compose, run, progress.tell)
    with answering(address(plan)):
        search(study, objective, plan.trials, progress.ended, plan.timeout)


def side_by_side(plan: Plan) -> None:
    """Run the plan's jobs, each in a separate process, and wait for all.

    Raises:
        InputError: the message of the first refused job.
        SystemExit: one of them failed; its traceback has been shown.
    """
    work = json.dumps({"overrides": list(plan.overrides), "jobs": plan.jobs})
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    command = [sys.executable, "-m", __name__]
    with ThreadPoolExecutor(plan.jobs) as waiting, started(command, plan.jobs, **pipes) as processes:
        said = list(waiting.map(lambda process: process.communicate(work)[1], processes))
    _judge([process.returncode for process in processes], said)


def _judge(codes: Sequence[int], said: Sequence[str]) -> None:
    for code, text in zip(codes, said, strict=True):
        if code == 2:
            raise InputError(text.strip().removeprefix("error: "))
    for code in codes:
        if code - 128 in STOPS:
            raise Stopped(code - 128)
    for code, text in zip(codes, said, strict=True):
        if code:
            print(text, file=sys.stderr)
            raise SystemExit(1)


def main() -> None:
    """Take part with one GPU and a share of the cores."""
    work = json.loads(sys.stdin.read())
    open_own_folders([])
    with one_line_errors(), hydra.initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        stop_with_parent(orderly=True)
        cfg = hydra.compose("tune", work["overrides"])
        plan = read_plan(cfg, work["overrides"])
        with lease(plan.output_dir) as environment:
            os.environ.update(environment)
            threads = max(1, usable_cores() // work["jobs"])
            take_part(plan, open_plan(plan), live=False, threads=threads)


if __name__ == "__main__":
    main()
