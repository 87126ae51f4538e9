import os
import subprocess
import sys
from functools import cache

import pytest

# Shuffled, flipped, with dropout and BatchNorm: all that chance has a hand in.
PROGRAM = """
import hashlib, os, sys

import keras
import numpy as np
import tensorflow as tf

from facemask_ensemble.models.classifier import build_classifier
from facemask_ensemble.training.determinism import explain_determinism, prepare


def network(pixels):
    return keras.layers.BatchNormalization()(keras.layers.Conv2D(4, 3)(pixels))


def train(seed):
    prepare(seed, deterministic=True)
    dice = np.random.default_rng(0)
    pixels = dice.integers(0, 256, (40, 16, 16, 3)).astype("float32")
    labels = np.eye(3, dtype="float32")[dice.integers(0, 3, 40)]
    flip = keras.layers.RandomFlip("horizontal")
    data = tf.data.Dataset.from_tensor_slices((pixels, labels)).shuffle(40, seed=seed).batch(8)
    data = data.map(lambda x, y: (flip(x, training=True), y), tf.data.AUTOTUNE).prefetch(2)
    model = build_classifier("small", network, 16, 3, dropout=0.5)
    model.compile("adam", "categorical_crossentropy")
    model.fit(data, epochs=3, verbose=0, shuffle=False)
    return hashlib.sha256(b"".join(weight.tobytes() for weight in model.get_weights())).hexdigest()


for seed in sys.argv[1:]:
    print(train(int(seed)))

tf.random.set_seed(None)
try:
    tf.random.normal([3])
except Exception as error:
    print(explain_determinism(error))

os.environ["XLA_FLAGS"] = ""
try:
    prepare(0, deterministic=True)
except RuntimeError as error:
    print("RuntimeError:", error)
"""


@pytest.fixture(scope="module")
def train():
    """Train a small network in a fresh process by each seed in turn; return the digests and what is refused after."""

    def run(backend, *seeds):
        flags = {"XLA_FLAGS": "--xla_gpu_deterministic_ops=true"}
        environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3", **flags}
        command = [sys.executable, "-c", PROGRAM, *map(str, seeds)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
        lines = done.stdout.splitlines()
        return lines[: len(seeds)], lines[len(seeds) :]

    return cache(run)


@pytest.mark.heavy
@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_the_same_training_twice_gives_the_same_bytes(backend, train):
    pytest.importorskip(backend)
    (first, other), _ = train(backend, 0, 1)
    (again,), _ = train(backend, 0)
    assert again == first
    assert other != first


@pytest.mark.heavy
def test_jax_that_was_not_told_before_its_start_is_a_bug(train):
    pytest.importorskip("jax")
    _, refused = train("jax", 0)
    assert refused[-1].startswith("RuntimeError: XLA_FLAGS: start the process with")


@pytest.mark.heavy
def test_a_random_operation_without_a_seed_is_explained_as_tensorflow_raises_it(train):
    _, (said,) = train("tensorflow", 0)
    assert said.startswith("deterministic=true: Random ops require a seed to be set when determinism is enabled")
    assert said.endswith("or give deterministic=false")


# The words of TensorFlow 2.21's kernels.
@pytest.mark.parametrize(
    ("raised", "named"),
    [
        ("A deterministic GPU implementation of AdjustContrastv2 is not currently available.", "AdjustContrastv2"),
        ("Determinism is not yet supported for Dilation2DBackpropInput.", "Dilation2DBackpropInput"),
        ("GPU MaxPool gradient ops do not yet have a deterministic XLA implementation.", "MaxPool"),
    ],
)
def test_an_operation_without_a_deterministic_version_is_named(raised, named):
    import tensorflow as tf

    from facemask_ensemble.training.determinism import explain_determinism

    error = tf.errors.UnimplementedError(None, None, f"Graph execution error:\n\nDetected at node x\n{raised} [Op:x]")
    explained = explain_determinism(error)
    assert explained.startswith("deterministic=true: ")
    assert named in explained
    assert "\n" not in explained


def test_other_errors_are_not_explained_by_determinism():
    import tensorflow as tf

    from facemask_ensemble.training.determinism import explain_determinism

    assert explain_determinism(tf.errors.UnimplementedError(None, None, "no such convolution on a CPU")) is None
    assert explain_determinism(KeyError("deterministic")) is None
