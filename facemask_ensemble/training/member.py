"""Train one member, in this process, and leave everything in its folder."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import hydra
import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from facemask_ensemble import tracking
from facemask_ensemble.data.augmentation import augmentation
from facemask_ensemble.data.loaders import images, read_split
from facemask_ensemble.data.manifest import Manifest
from facemask_ensemble.errors import InputError
from facemask_ensemble.garbage import collection_paused
from facemask_ensemble.models.precision import choose_policy
from facemask_ensemble.models.throughput import Workload
from facemask_ensemble.plots.learning_curves import learning_curves
from facemask_ensemble.settings.train import TrainSettings
from facemask_ensemble.training.class_weights import class_weights, weighted
from facemask_ensemble.training.determinism import explain_determinism, prepare
from facemask_ensemble.training.distribution import Replicas
from facemask_ensemble.training.epoch_report import epoch_line
from facemask_ensemble.training.fit import fit
from facemask_ensemble.training.initialization import build, start_of
from facemask_ensemble.training.recipe import Data, Recipe
from facemask_ensemble.training.run_description import params, tags
from facemask_ensemble.training.run_files import FILES, MODEL, PROBABILITIES, RUN, SCORES, upload
from facemask_ensemble.training.schedules import Phase
from facemask_ensemble.training.scores import kept, scores, speed


def train_member(settings: TrainSettings, folder: Path, *, show_bar: bool) -> dict[str, Any]:
    """Train, judge on validation and test, log to MLflow; resume an earlier training that was stopped.

    Args:
        settings: of the training.
        folder: of this training; holds `files/manifest/` and receives everything else.
        show_bar: a progress bar instead of a line an epoch.

    Returns:
        A summary: validation accuracy, seconds, run id and, if it could not be logged to MLflow, the reason.
    """
    store = tracking.open_store(settings.tracking.uri, settings.output_dir)
    if not (folder / SCORES).exists():
        _train(settings, folder, store, show_bar=show_bar)
    run_id = json.loads((folder / RUN).read_text())["run_id"]
    final = json.loads((folder / SCORES).read_text())
    return {"run_id": run_id, **final, "not_logged": upload(store, folder)}


def _train(settings: TrainSettings, folder: Path, store: tracking.Store, *, show_bar: bool) -> None:
    manifest = Manifest.load(folder / FILES / "manifest")
    phases = hydra.utils.instantiate(settings.schedule.call)
    choice = choose_policy(
        settings.precision,
        Workload(backbone=settings.backbone, image_size=settings.image_size, batch_size=settings.batch_size),
        settings.output_dir / "precision",
        devices=settings.devices,
        deterministic=settings.deterministic,
    )
    replicas = Replicas(settings.devices, settings.batch_size)  # claims the GPUs that measuring needed
    keras.config.set_dtype_policy(choice.policy)
    prepare(settings.seed, deterministic=settings.deterministic)
    start = start_of(settings.backbone.weights, store, _data_folder(settings) / "artifacts")
    with replicas.scope(), collection_paused():
        model = build(settings.backbone, settings.image_size, len(manifest.class_names), start.member_file)
    described = tags(settings, manifest, choice, start.init, model)
    run_id = _run(settings, folder, store, manifest, described, params(settings, choice.policy, phases))
    try:
        data = _data(settings, manifest, replicas)
        with tracking.LiveMetrics(store, run_id) as live, replicas.fitting(model):
            history = _fit(model, data, settings, phases, folder, live, show_bar=show_bar)
        final = _finish(replicas.alone(model), settings, manifest, history, folder / FILES)
    except BaseException as error:
        reason = f"{type(error).__name__}: {error}"
        status = "KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED"
        tracking.protect(lambda: tracking.end_run(store, run_id, status, reason))
        if settings.deterministic and (refused := explain_determinism(error)):
            raise InputError(refused) from error
        raise
    (folder / SCORES).write_text(json.dumps(final, indent=2))


def _run(
    settings: TrainSettings,
    folder: Path,
    store: tracking.Store,
    manifest: Manifest,
    described: dict[str, str],
    compared: dict[str, Any],
) -> str:
    """Start the training's run in MLflow, or resume the earlier one."""
    note = folder / RUN
    if note.exists():
        run_id = str(json.loads(note.read_text())["run_id"])
        if tracking.reopen_run(store, run_id, settings.parent_run):
            return run_id
    run_id = tracking.start_run(store, settings.study, settings.backbone.name, described, compared, settings.parent_run)
    note.write_text(json.dumps({"run_id": run_id, "uri": settings.tracking.uri, "epochs": compared["all_epochs"]}))
    tracking.log_dataset(store, run_id, manifest)
    return run_id


def _fit(
    model: keras.Model,
    data: Data,
    settings: TrainSettings,
    phases: Sequence[Phase],
    folder: Path,
    live: Callable[[int, dict[str, float]], None],
    *,
    show_bar: bool,
) -> pd.DataFrame:
    lines = [] if show_bar else [epoch_line(model.name, sum(phase.epochs for phase in phases))]
    recipe = Recipe(
        hydra.utils.instantiate(settings.optimizer.make.call),
        _loss(settings.loader.loss, settings.label_smoothing),
        settings.backbone.block_ends,
    )
    return fit(model, data, phases, folder, [*lines, live], recipe=recipe, show_bar=show_bar)


def _data(settings: TrainSettings, manifest: Manifest, replicas: Replicas) -> Data:
    read = hydra.utils.instantiate(settings.loader.batches.call)
    size, batch_size, seed = settings.image_size, settings.batch_size, settings.seed
    layers = [hydra.utils.instantiate(layer.call) for layer in settings.augmentation.layers]
    augment = augmentation(layers, settings.augmentation.mixup, seed)
    weights = class_weights(manifest.split("train")["label"], len(manifest.class_names), settings.class_weights)

    def train(passes: int) -> tf.data.Dataset:
        options = {"shuffle_seed": seed, "passes": passes, "augment": augment}
        return weighted(read(manifest, "train", size, batch_size, _data_folder(settings), **options), weights)

    validation = read(manifest, "validation", size, batch_size, _data_folder(settings))
    images = len(manifest.split("train"))
    randomness = augment.variables if augment else ()
    return Data(train, validation, images, batch_size, seed, randomness, replicas.even)


def _loss(name: str, smoothing: float) -> str | keras.losses.Loss:
    return keras.losses.CategoricalCrossentropy(label_smoothing=smoothing) if smoothing else name


def _finish(
    model: keras.Model, settings: TrainSettings, manifest: Manifest, history: pd.DataFrame, files: Path
) -> dict[str, float]:
    """Write probabilities, model and curves; return the final scores."""
    table = pd.concat([_probabilities(model, settings, manifest, split) for split in ("validation", "test")])
    table.to_parquet(files / PROBABILITIES, index=False)
    keras.Model(model.input, model.output, name=model.name).save(files / MODEL)  # without the optimizer's state
    curves = learning_curves([{"backbone": model.name, "history": history.to_dict("list")}])
    if curves is not None:
        curves.savefig(files / "learning_curves.png", dpi=120)
    final = scores(table, manifest.class_names) | kept(history) | speed(history)
    return final | {"seconds": float(history["epoch_seconds"].sum())}


def _probabilities(model: keras.Model, settings: TrainSettings, manifest: Manifest, split: str) -> pd.DataFrame:
    """Answer for a split through our own reader, whatever loader was used: prediction uses it too."""
    rows = manifest.split(split)
    pixels = read_split(manifest, split, settings.image_size, _data_folder(settings))
    probs = np.asarray(model.predict(images(pixels, settings.batch_size), verbose=0), dtype=np.float32)
    columns = {f"p_{name}": probs[:, label] for label, name in enumerate(manifest.class_names)}
    return rows[["split", "path", "sha256", "label"]].assign(**columns)


def _data_folder(settings: TrainSettings) -> Path:
    return settings.output_dir / "data"
