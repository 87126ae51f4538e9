"""The ways of training that ours is measured beside, each in a separate process.

`python -m benchmarks.training_baselines WAY PATH EPOCHS` reads a training's settings as JSON from its standard input
and prints a line an epoch.
"""

import json
import sys
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import hydra
import keras
import numpy as np
import tensorflow as tf

from facemask_ensemble.data.arrays import write_arrays
from facemask_ensemble.data.dataset import open_dataset
from facemask_ensemble.data.loaders import read_split
from facemask_ensemble.settings import read
from facemask_ensemble.settings.train import TrainSettings
from facemask_ensemble.training import fit
from facemask_ensemble.training import member as training_member
from facemask_ensemble.training.initialization import build
from facemask_ensemble.training.run_files import FILES

RATE = 1e-4


def arrays(settings: TrainSettings, file: Path, epochs: int) -> None:
    """Write pixels, uint8 (n, s, s, 3), and one-hot labels of training and validation into one file."""
    output_dir = settings.output_dir
    manifest = open_dataset(settings.dataset, output_dir)
    one_hot = np.eye(len(manifest.class_names), dtype=np.float32)
    found = {}
    for split in ("train", "validation"):
        found[f"{split}_pixels"] = np.asarray(read_split(manifest, split, settings.image_size, output_dir / "data"))
        found[f"{split}_labels"] = one_hot[manifest.split(split)["label"]]
    write_arrays(file, found)


def bare(settings: TrainSettings, file: Path, epochs: int) -> None:
    """Fit on the arrays in memory and keep nothing."""
    train, validation = _held(file)
    keras.config.set_dtype_policy(settings.precision)
    model = build(settings.backbone, settings.image_size, train[1].shape[1])
    _compile(model, settings)
    model.fit(*train, validation_data=validation, batch_size=settings.batch_size, **_told(epochs))


def frozen(settings: TrainSettings, file: Path, epochs: int) -> None:
    """Fit on the arrays with a frozen backbone, through which every image goes every epoch."""
    train, validation = _held(file)
    model = build(settings.backbone, settings.image_size, train[1].shape[1])
    for layer in model.layers[:-1]:
        layer.trainable = False
    _compile(model, settings)
    model.fit(*train, validation_data=validation, batch_size=settings.batch_size, **_told(epochs))


def reference(settings: TrainSettings, folder: Path, epochs: int) -> None:
    """Fit in float32 on what the legacy generator decodes from the files of `train` and `validation`, every epoch."""
    files = tf.keras.preprocessing.image.ImageDataGenerator()
    size, batch_size = settings.image_size, settings.batch_size
    train, validation = (
        files.flow_from_directory(folder / split, target_size=(size, size), batch_size=batch_size)
        for split in ("train", "validation")
    )
    model = build(settings.backbone, settings.image_size, train.num_classes)
    _compile(model, settings)
    model.fit(train, validation_data=validation, **_told(epochs))


def member(settings: TrainSettings, file: Path, epochs: int) -> None:
    """Save a member with random weights, to start others from."""
    build(settings.backbone, settings.image_size, 3).save(file)


def folder(settings: TrainSettings, place: Path, epochs: int) -> None:
    """Prepare the folder of a training, as the command does before it starts the training's process."""
    open_dataset(settings.dataset, settings.output_dir).save(place / FILES / "manifest")


def first(settings: TrainSettings, place: Path, epochs: int) -> None:
    """Train a member as its process does."""
    training_member.train_member(settings, place, show_bar=False)


def first_by_keras(settings: TrainSettings, place: Path, epochs: int) -> None:
    """Train a member with Keras's Adam, two traces of its step, and a graph each for validation and prediction.

    Python's garbage collection goes on all the time.
    """
    make = settings.optimizer.make
    keras_own = make.changed(_target_=f"keras.optimizers.{make.name}")
    fit.share_inference = lambda network: None
    fit.build_metrics = lambda *_: None
    for module in (fit, training_member):
        vars(module)["collection_paused"] = lambda: nullcontext(lambda: None)
    settings = replace(settings, optimizer=replace(settings.optimizer, make=keras_own))
    training_member.train_member(settings, place, show_bar=False)


def operations(settings: TrainSettings, file: Path, epochs: int) -> None:
    """Print the floating-point operations of one image's way forward: a multiplication and an addition are two."""
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    model = build(settings.backbone, settings.image_size, 3)
    traced = tf.function(model).get_concrete_function(tf.TensorSpec((1, *model.input_shape[1:])))
    profiler = tf.compat.v1.profiler
    options = profiler.ProfileOptionBuilder(profiler.ProfileOptionBuilder.float_operation()).with_empty_output()
    graph = convert_variables_to_constants_v2(traced).graph
    print(profiler.profile(graph, options=options.build()).total_float_ops)


def _held(file: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """Read pixels and labels of training and of validation into memory."""
    with np.load(file) as held:
        return [(held[f"{split}_pixels"], held[f"{split}_labels"]) for split in ("train", "validation")]


def _compile(model: keras.Model, settings: TrainSettings) -> None:
    optimizer = hydra.utils.instantiate(settings.optimizer.make.call)(learning_rate=RATE)
    model.compile(optimizer, "categorical_crossentropy", metrics=["accuracy"])


def _told(epochs: int) -> dict[str, Any]:
    """Give the arguments of a fit that prints a line an epoch."""

    def tell(epoch: int, logs: dict[str, Any]) -> None:
        print(f"epoch {epoch + 1}/{epochs}", flush=True)

    return {"epochs": epochs, "verbose": 0, "callbacks": [keras.callbacks.LambdaCallback(on_epoch_end=tell)]}


WAYS = {
    way.__name__: way for way in (arrays, bare, frozen, reference, member, folder, first, first_by_keras, operations)
}

if __name__ == "__main__":
    WAYS[sys.argv[1]](read(TrainSettings, json.load(sys.stdin)), Path(sys.argv[2]), int(sys.argv[3]))
