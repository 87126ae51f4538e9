"""Run a training: read and check its settings, prepare its data, and train in a separate process."""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import hydra
from omegaconf import DictConfig

from facemask_ensemble.config import read_settings
from facemask_ensemble.errors import InputError
from facemask_ensemble.models.backend import backend
from facemask_ensemble.settings.train import TrainSettings
from facemask_ensemble.training.member_process import OUTCOME, Outcome, run_isolated
from facemask_ensemble.training.run_folder import MEMBER, folder_of
from facemask_ensemble.training.store_queries import has_run, newest_member, refuse_dead_store
from facemask_ensemble.training.subprocess_call import aside
from facemask_ensemble.training.unlogged import send
from facemask_ensemble.weights import check_weights, member_study


def check(cfg: DictConfig) -> TrainSettings:
    """Read a composed config as settings, and refuse what cannot be trained here.

    Raises:
        InputError: naming the key, the value and the rule.
    """
    return checked(read_settings(TrainSettings, cfg))


def checked(settings: TrainSettings) -> TrainSettings:
    """Refuse settings that cannot be trained here: missing files, or a schedule that does not fit the weights."""
    settings.dataset.check_root()
    backbone = settings.backbone
    pretrained = backbone.features.takes("weights")
    check_weights(backbone.weights, backbone.official, name=backbone.name, pretrained=pretrained)
    backend()  # refuses a missing one
    hydra.utils.instantiate(settings.schedule.call)  # a schedule refuses what it cannot do
    return settings


def train(
    settings: TrainSettings,
    *,
    show_bar: bool = False,
    threads: int | None = None,
    watch: Callable[[Path], bool] | None = None,
    job: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> tuple[Outcome, Path]:
    """Prepare the data and train one member in a separate process, or resume its training.

    A training that is already finished with the same settings and data is not repeated, unless `again` is set.

    Args:
        settings: of the training.
        show_bar: a progress bar instead of a line an epoch.
        threads: of TensorFlow's operations; None for all cores.
        watch: called with the training's folder, twice a second; stops the training when it says False.
        job: a folder in which to note the folder of the training.
        environment: variables of the process beside those of this one.

    Returns:
        How it ended, and the folder of the training.
    """
    from facemask_ensemble.data.dataset import open_dataset

    where = settings.tracking.uri, settings.output_dir
    if settings.tracking.uri is not None:
        aside(refuse_dead_store, *where)
    if (study := member_study(settings.backbone.weights)) is not None:
        start = aside(newest_member, *where, study, settings.backbone.name)
        settings = replace(settings, backbone=replace(settings.backbone, weights=start))
    manifest = open_dataset(settings.dataset, settings.output_dir)
    for row in manifest.quarantine.itertuples():
        print(f"left out: {row.path}: {row.reason}")
    folder = folder_of(settings, manifest.fingerprint)
    if job is not None:
        (job / MEMBER).write_text(str(folder))
    if (folder / OUTCOME).exists() and (before := Outcome.read(folder)).state == "finished":
        if not settings.again and (before.summary["not_logged"] or aside(has_run, *where, before.summary["run_id"])):
            return _send(before, folder), folder
        _clear(before, folder)
    manifest.save(folder / "files" / "manifest")
    options = {"show_bar": show_bar, "threads": threads, "watch": watch, "environment": environment}
    return run_isolated(settings, folder, **options), folder  # type: ignore[arg-type]


def _send(before: Outcome, folder: Path) -> Outcome:
    """Give the outcome of a finished training; log it to MLflow if that failed before."""
    summary = before.summary
    if summary["not_logged"]:
        send(folder)
        summary = summary | {"not_logged": None}
        replace(before, summary=summary).write(folder)
    return replace(before, message="already trained; again=true trains it again", summary=summary)


def _clear(before: Outcome, folder: Path) -> None:
    if before.summary["not_logged"]:
        raise InputError(
            f"again=true: the training in {folder} is not logged yet ({before.summary['not_logged']}); log it first: "
            f"python -m facemask_ensemble.upload folder={folder}"
        )
    shutil.rmtree(folder)
