import importlib.util
import json
import os
import subprocess
import sys
from functools import cache

import pytest

from facemask_ensemble.errors import InputError

BACKENDS = [
    "tensorflow",
    pytest.param("jax", marks=pytest.mark.skipif(not importlib.util.find_spec("jax"), reason="jax is not installed")),
]
# One process imports what takes seconds, and forks for every training before anything is computed.
PROGRAM = """
import json, os, sys
from pathlib import Path

from facemask_ensemble.training.distribution import Replicas

import keras
import numpy as np
import tensorflow as tf

from facemask_ensemble.models.classifier import build_classifier, load_classifier
from facemask_ensemble.training.fit import fit
from facemask_ensemble.training.recipe import Data, Recipe
from facemask_ensemble.training.schedules import Phase


def network(pixels):
    scale = keras.layers.Normalization()
    scaled = scale(pixels)
    scale.set_weights([np.array([120.0, 130, 140]), np.array([60.0, 70, 80]) ** 2, np.array(0)])
    scale.finalize_state()
    x = keras.layers.Conv2D(4, 3, use_bias=False)(scaled)
    return keras.layers.BatchNormalization(momentum=0.5)(x)


def train(devices, images):
    replicas = Replicas(devices, batch_size=8)
    keras.utils.set_random_seed(0)
    dice = np.random.default_rng(0)
    pixels = dice.integers(0, 256, (24, 8, 8, 3)).astype("float32")[:images]
    labels = np.eye(3, dtype="float32")[dice.integers(0, 3, 24)][:images]
    batches = tf.data.Dataset.from_tensor_slices((pixels, labels)).batch(8)
    data = Data(lambda passes: batches, batches, images, 8, share=replicas.even)
    frozen = Phase(2, 0.1, "constant", freeze_backbone=True, copies=1, patience=None)
    with replicas.scope():
        model = build_classifier("small", network, 8, 3, dropout=0.0)
    with replicas.fitting(model):
        phases = [frozen, Phase(3, 0.1, "constant", patience=None)]
        fitted = fit(model, data, phases, Path(), recipe=Recipe(keras.optimizers.SGD))
    kernel = model.get_layer("probabilities").kernel.value
    if keras.backend.backend() == "jax":
        used = sorted(str(device) for device in kernel.sharding.device_set)
    else:
        used = sorted(part.device for part in getattr(kernel, "values", [kernel]))
    alone = replicas.alone(model)
    probs = alone.predict(pixels[:17], batch_size=8, verbose=0)
    alone.save("model.keras")
    again = load_classifier("model.keras").predict(pixels[:17], verbose=0)
    return {
        "devices": used,
        "loss": fitted["loss"].tolist(),
        "val_loss": fitted["val_loss"].tolist(),
        "probs": probs.ravel().tolist(),
        "saved": again.ravel().tolist(),
        "norms": [layer.synchronized for layer in model.layers if hasattr(layer, "synchronized")],
    }


for devices, images in json.loads(sys.argv[1]):
    os.mkdir(str(devices))
    if child := os.fork():
        assert os.waitpid(child, 0)[1] == 0
        continue
    os.chdir(str(devices))
    print(json.dumps(train(devices, images)), flush=True)
    os._exit(0)
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Train a small network in a separate process, on one device, on two and on all; tell how each went."""

    def run(backend):
        environment = {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
        command = [sys.executable, "-c", PROGRAM, json.dumps([(1, 20), (2, 21), ("all", 8)])]
        place = tmp_path_factory.mktemp(backend)
        done = subprocess.run(
            command, env=os.environ | environment, cwd=place, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return [json.loads(line) for line in done.stdout.splitlines()[-3:]]

    return cache(run)


@pytest.mark.heavy
@pytest.mark.parametrize("backend", BACKENDS)
def test_two_devices_learn_what_one_learns_batch_norm_included(backend, trained):
    """A frozen phase, then all: of 21 images two devices leave out the last: 8, 8 and 4 are shared out.

    What predicts and is saved is a copy on one device, with the mean and variance of a Normalization.
    """
    one, two, _ = trained(backend)
    assert len(one["devices"]) == 1
    assert len(two["devices"]) == len(set(two["devices"])) == 2
    assert len(two["loss"]) == 5
    assert two["loss"] == pytest.approx(one["loss"], abs=1e-3)
    assert two["val_loss"] == pytest.approx(one["val_loss"], abs=1e-3)
    assert two["probs"] == pytest.approx(one["probs"], abs=1e-3)
    assert two["saved"] == pytest.approx(two["probs"], abs=1e-6)
    assert two["norms"] == [False]


@pytest.mark.heavy
@pytest.mark.parametrize("backend", BACKENDS)
def test_all_devices_of_a_machine_without_gpus_are_its_processor(backend, trained):
    _, _, whole = trained(backend)
    assert len(whole["devices"]) == 1


@pytest.fixture
def gpus(monkeypatch):
    """Let TensorFlow report so many GPUs, and note which it is left with."""
    import tensorflow as tf

    left = []

    def report(count):
        monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [f"{kind}:{i}" for i in range(count)])
        monkeypatch.setattr(tf.config, "set_visible_devices", lambda devices, kind: left.append((devices, kind)))
        return left

    return report


@pytest.mark.parametrize(("devices", "count"), [(1, 1), ("all", 1)])
def test_the_first_gpu_is_taken_and_the_others_left_alone(devices, count, gpus):
    from facemask_ensemble.training.distribution import Replicas

    left = gpus(1 if devices == "all" else 4)
    assert Replicas(devices, batch_size=32).count == count
    assert left == [(["GPU:0"], "GPU")]


@pytest.mark.parametrize(("there", "words"), [(1, "1 GPU;"), (2, "2 GPUs;")])
def test_more_devices_than_there_are_gpus_are_refused(there, words, gpus):
    from facemask_ensemble.training.distribution import Replicas

    gpus(there)
    with pytest.raises(InputError, match=f"devices=8: this machine has {words} give {there}, or all"):
        Replicas(8, batch_size=32)


def test_a_batch_that_cannot_be_shared_out_is_refused(gpus):
    from facemask_ensemble.training.distribution import Replicas

    gpus(4)
    with pytest.raises(InputError, match="batch_size=30: 4 devices share each batch; give a multiple of 4"):
        Replicas("all", batch_size=30)


@pytest.mark.parametrize(
    ("images", "batch_size", "devices", "expected"),
    [
        (12, 4, 2, [4, 4, 4]),
        (14, 4, 2, [4, 4, 4, 2]),
        (15, 4, 2, [4, 4, 4, 2]),
        (13, 4, 2, [4, 4, 4]),
        (11, 6, 3, [6, 3]),
        (13, 4, 1, [4, 4, 4, 1]),
    ],
)
def test_batches_are_whole_shares(images, batch_size, devices, expected):
    import numpy as np
    import tensorflow as tf

    from facemask_ensemble.training.distribution import Replicas

    replicas = Replicas(1, batch_size)
    replicas.count = devices
    numbers = np.arange(images)
    data = replicas.even(tf.data.Dataset.from_tensor_slices((numbers, -numbers, numbers)).batch(batch_size))
    got = [[part.numpy() for part in parts] for parts in data]
    assert [len(pixels) for pixels, *_ in got] == expected
    assert np.concatenate([pixels for pixels, *_ in got]).tolist() == list(range(sum(expected)))
    assert all((pixels == -labels).all() and (pixels == weights).all() for pixels, labels, weights in got)
