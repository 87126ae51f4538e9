"""Train one member from a resolved config, in this process, and leave everything in its folder."""

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import hydra
import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from facemask_ensemble import tracking
from facemask_ensemble.data.augmentation import augment
from facemask_ensemble.data.loaders import batches, read_split
from facemask_ensemble.data.manifest import Manifest
from facemask_ensemble.models.classifier import build_classifier
from facemask_ensemble.models.precision import set_policy
from facemask_ensemble.report.figures import learning_curves
from facemask_ensemble.training.callbacks import epoch_line
from facemask_ensemble.training.description import params, tags
from facemask_ensemble.training.fit import fit
from facemask_ensemble.training.record import FILES, HISTORY, MODEL, PROBABILITIES, RUN, SCORES, upload
from facemask_ensemble.training.schedules import Phase
from facemask_ensemble.training.scores import scores, speed


def train_member(config: dict[str, Any], folder: Path, *, show_bar: bool) -> dict[str, Any]:
    """Train, judge on validation and test, log to MLflow.

    Args:
        config: the resolved train config.
        folder: of this training; holds `manifest/` and receives everything else under `files/`.
        show_bar: a progress bar instead of a line an epoch.

    Returns:
        A summary: validation accuracy, seconds, run id and, where MLflow could not be told, why.
    """
    output_dir = Path(config["output_dir"])
    store = tracking.open_store(config["tracking"]["uri"], output_dir)
    manifest = Manifest.load(folder / FILES / "manifest")
    phases = hydra.utils.instantiate(config["schedule"])
    policy = set_policy(config["precision"])
    keras.utils.set_random_seed(config["seed"])
    model = _build(config, len(manifest.class_names))
    described = tags(config, manifest, policy, model)
    run_id = tracking.start_run(
        store, config["study"], config["backbone"]["name"], described, params(config, policy), config["parent_run"]
    )
    (folder / RUN).write_text(json.dumps({"run_id": run_id, "uri": config["tracking"]["uri"]}))
    tracking.log_dataset(store, run_id, manifest)
    started = time.monotonic()
    try:
        with tracking.LiveMetrics(store, run_id) as live:
            _fit(model, config, manifest, phases, folder / FILES, live, show_bar=show_bar)
        seconds = time.monotonic() - started
        final = _finish(model, config, manifest, folder / FILES, seconds)
    except BaseException as error:
        reason = f"{type(error).__name__}: {error}"
        status = "KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED"
        tracking.protect(lambda: tracking.end_run(store, run_id, status, reason))
        raise
    (folder / SCORES).write_text(json.dumps(final, indent=2))
    return {"run_id": run_id, **final, "not_logged": upload(store, folder)}


def _build(config: dict[str, Any], classes: int) -> keras.Model:
    backbone = config["backbone"]
    return build_classifier(
        backbone["name"],
        hydra.utils.instantiate(backbone["features"]),
        config["image_size"],
        classes,
        backbone["dropout"],
    )


def _fit(
    model: keras.Model,
    config: dict[str, Any],
    manifest: Manifest,
    phases: Sequence[Phase],
    files: Path,
    live: Callable[[int, dict[str, float]], None],
    *,
    show_bar: bool,
) -> pd.DataFrame:
    read = hydra.utils.instantiate(config["loader"]["batches"])

    def data(split: str, **options: Any) -> tf.data.Dataset:
        return read(manifest, split, config["image_size"], config["batch_size"], _data_folder(config), **options)

    layers = [hydra.utils.instantiate(layer) for layer in config["augmentation"]["layers"]]
    train = data("train", shuffle_seed=config["seed"], augment=augment(layers))
    lines = [] if show_bar else [epoch_line(model.name, sum(phase.epochs for phase in phases))]
    return fit(
        model,
        train,
        data("validation"),
        phases,
        files,
        [*lines, live],
        pictures=len(manifest.split("train")),
        loss=config["loader"]["loss"],
        show_bar=show_bar,
    )


def _finish(
    model: keras.Model, config: dict[str, Any], manifest: Manifest, files: Path, seconds: float
) -> dict[str, float]:
    """Write probabilities, model and curves; return the final scores."""
    table = pd.concat([_probabilities(model, config, manifest, split) for split in ("validation", "test")])
    table.to_parquet(files / PROBABILITIES, index=False)
    model.save(files / MODEL, include_optimizer=False)
    history = pd.read_csv(files / HISTORY)
    curves = learning_curves({"members": [{"backbone": model.name, "history": history.to_dict("list")}]})
    if curves is not None:
        curves.savefig(files / "learning_curves.png", dpi=120)
    return scores(table, manifest.class_names) | speed(history) | {"seconds": seconds}


def _probabilities(model: keras.Model, config: dict[str, Any], manifest: Manifest, split: str) -> pd.DataFrame:
    """Answer for a split through our own reader, whatever the loader was: prediction will read so too."""
    rows = manifest.split(split)
    pixels = read_split(manifest, split, config["image_size"], _data_folder(config))
    data = batches(pixels, rows["label"].to_numpy(), len(manifest.class_names), config["batch_size"])
    probs = np.asarray(model.predict(data, verbose=0), dtype=np.float32)
    columns = {f"p_{name}": probs[:, label] for label, name in enumerate(manifest.class_names)}
    return rows[["split", "path", "sha256", "label"]].assign(**columns)


def _data_folder(config: dict[str, Any]) -> Path:
    return Path(config["output_dir"]) / "data"
