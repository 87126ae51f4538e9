"""Measure in a separate process how fast a network trains in a precision.

`python -m facemask_ensemble.models.throughput POLICY` reads a workload as JSON from its standard input.
"""

import json
import math
import os
import signal
import subprocess
import sys
import time
from typing import Any

from facemask_ensemble.settings import dump, read
from facemask_ensemble.settings.fields import Positive, group
from facemask_ensemble.settings.groups import Backbone

SECONDS = 6.0  # of steps; a slow network makes FEWEST steps all the same
FEWEST = 4
CLASSES = 3
# Beside a training that already runs on the same GPU, take no more of it than this needs.
MODEST = {"TF_FORCE_GPU_ALLOW_GROWTH": "true", "XLA_PYTHON_CLIENT_PREALLOCATE": "false", "TF_CPP_MIN_LOG_LEVEL": "3"}


@group
class Workload:
    """What a training's step does: a network, the side of its images in pixels, and how many there are in a batch."""

    backbone: Backbone
    image_size: Positive
    batch_size: Positive


class NotMeasured(RuntimeError):
    """A network could not be trained in a precision."""


def measure(workload: Workload, policy: str) -> float:
    """Return the images a second that a network learns from under a dtype policy.

    Args:
        workload: what a step does.
        policy: Keras's name of the dtype policy.

    Raises:
        NotMeasured: it could not be trained.
    """
    asked = json.dumps(dump(workload))
    command = [sys.executable, "-m", __name__, policy]
    done = subprocess.run(command, input=asked, capture_output=True, text=True, env={**os.environ, **MODEST})
    if done.returncode:
        raise NotMeasured(_reason(done))
    return float(done.stdout.splitlines()[-1])


def _reason(done: subprocess.CompletedProcess[str]) -> str:
    if done.returncode < 0:
        return f"ended by {signal.Signals(-done.returncode).name}"
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    return lines[-1].strip()[:200] if lines else f"ended with code {done.returncode}"


def images_per_second(workload: Workload, policy: str) -> float:
    """Train on random pixels in this process; the fastest step counts, because other programs can only slow it down.

    The first step, which traces the network, is thrown away.

    Raises:
        FloatingPointError: a loss was not finite.
    """
    import keras
    import numpy as np

    from facemask_ensemble.models.optimizers import Adam

    keras.config.set_dtype_policy(policy)
    keras.utils.set_random_seed(0)
    model = _build(workload)
    model.compile(Adam(1e-4), "categorical_crossentropy")
    size, batch = workload.image_size, workload.batch_size
    rng = np.random.default_rng(0)
    pixels = keras.ops.convert_to_tensor(rng.uniform(0, 255, (batch, size, size, 3)).astype(np.float32))
    labels = keras.ops.convert_to_tensor(np.eye(CLASSES, dtype=np.float32)[rng.integers(CLASSES, size=batch)])
    durations: list[float] = []
    while len(durations) <= FEWEST or sum(durations[1:]) < SECONDS:
        started = time.perf_counter()
        loss = float(model.train_on_batch(pixels, labels))
        durations.append(time.perf_counter() - started)
        if not math.isfinite(loss):
            raise FloatingPointError(f"the loss became {loss} at step {len(durations)}")
    return batch / min(durations[1:])


def _build(workload: Workload) -> Any:
    """Build the classifier with random weights, wherever the training's own would come from."""
    import hydra

    from facemask_ensemble.models.classifier import build_classifier

    backbone, features = workload.backbone, workload.backbone.features
    if features.takes("weights"):
        features = features.changed(weights=None)
    return build_classifier(
        backbone.name,
        hydra.utils.instantiate(features.call),
        workload.image_size,
        CLASSES,
        backbone.dropout,
        pooling=backbone.head.pooling,
        hidden=backbone.head.hidden,
    )


if __name__ == "__main__":
    print(images_per_second(read(Workload, json.load(sys.stdin)), sys.argv[1]))
