"""The costs of a member: time per image, and memory."""

import hashlib
import json
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import filelock
import numpy as np
from rich.progress import track

from facemask_ensemble.errors import InputError
from facemask_ensemble.files import write_atomically
from facemask_ensemble.resources import usable_cores

if TYPE_CHECKING:
    import keras

FIELDS = ("milliseconds", "megabytes", "file_megabytes", "image_size", "precision", "measured")
PASSES = 3  # the quickest counts, since whatever else runs only slows it


def member_costs(
    models: Mapping[str, Path], folder: Path, *, batch_size: int = 32, images: int = 64
) -> dict[str, dict[str, Any]]:
    """Measure what each member costs on this machine, once for a machine, a model and a size of batch.

    The time is that of the network from uint8 pixels to probabilities; reading images comes on top of it.

    Args:
        models: `.keras` files by the members' names.
        folder: for what was measured, a file a member.
        batch_size: images a batch.
        images: random ones that are timed; taken up to whole batches.

    Returns:
        By the member's name: `milliseconds` an image, `megabytes` of its weights in memory, `file_megabytes`,
        `image_size` in pixels, `precision` (Keras's dtype policy of its layers), and what was `measured`.

    Raises:
        InputError: a batch or the images would be none.
    """
    if batch_size < 1 or images < 1:
        raise InputError(
            f"Timing needs a batch and images of at least 1, received {batch_size} and {images}: give 32 and 64."
        )
    from facemask_ensemble.tensorflow_import import start_tensorflow

    start_tensorflow()
    key, where = _here(batch_size, images)
    costs = {}
    folder.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(folder / "costs.lock"):  # two that measure at once would slow each other
        for name in track(models, "Timing the members", transient=True, disable=not sys.stdout.isatty()):
            file = folder / f"costs-{_digest(key, models[name])}.json"
            known = _recall(file)
            if known is None:
                known = _measure(models[name], batch_size, images)
                known["measured"] = f"batches of {batch_size} on {where}"
                write_atomically(json.dumps(known | {"key": key}, indent=2), file)
            costs[name] = known
    return costs


def measured_costs(
    models: Mapping[str, Path], folder: Path, *, batch_size: int = 32, images: int = 64
) -> dict[str, dict[str, Any]] | None:
    """Recall what `member_costs` has measured with the same arguments; None unless all of it is known."""
    if not any(folder.glob("costs-*.json")):  # to look for one, every model has to be read
        return None
    key, _ = _here(batch_size, images)
    known = {name: _recall(folder / f"costs-{_digest(key, file)}.json") for name, file in models.items()}
    return {name: cost for name, cost in known.items() if cost is not None} if all(known.values()) else None


def _here(batch_size: int, images: int) -> tuple[dict[str, Any], str]:
    """Describe what a measurement depends on beside the model, and name the machine in words."""
    from facemask_ensemble.models.hardware import this_machine

    machine, cores = this_machine(), usable_cores()
    where = machine.gpus[0] if machine.gpus else f"{machine.processor}, {cores} core{'s' if cores > 1 else ''}"
    return {**asdict(machine), "cores": cores, "batch_size": batch_size, "images": images}, where


def _measure(path: Path, batch_size: int, images: int) -> dict[str, Any]:
    from facemask_ensemble.models.classifier import load_classifier

    model = load_classifier(path)
    size = model.input_shape[1]
    return {
        "milliseconds": round(1000 * _seconds(model, size, batch_size, -(-images // batch_size)), 4),
        "megabytes": _weight_bytes(model) / 1e6,
        "file_megabytes": path.stat().st_size / 1e6,
        "image_size": size,
        "precision": _precision(model),
    }


def _seconds(model: "keras.Model", size: int, batch_size: int, batches: int) -> float:
    """Time per image in the fastest pass; the first pass, which traces the network, does not count."""
    pixels = np.random.default_rng(0).integers(0, 256, (batches, batch_size, size, size, 3), np.uint8)
    durations = []
    for _ in range(1 + PASSES):
        started = time.perf_counter()
        for batch in pixels:
            model.predict_on_batch(batch)
        durations.append(time.perf_counter() - started)
    return min(durations[1:]) / (batches * batch_size)


def _weight_bytes(model: "keras.Model") -> int:
    import tensorflow as tf

    return sum(int(np.prod(weight.shape)) * tf.as_dtype(weight.dtype).size for weight in model.weights)


def _precision(model: "keras.Model") -> str:
    """Name the dtype policy of most layers: the input, the preprocessing and the head are float32 under any."""
    return Counter(layer.dtype_policy.name for layer in model.layers).most_common(1)[0][0]


def _digest(key: Mapping[str, Any], model: Path) -> str:
    with model.open("rb") as file:
        content = hashlib.file_digest(file, "sha256").hexdigest()
    return hashlib.sha256(json.dumps([key, content], sort_keys=True).encode()).hexdigest()[:20]


def _recall(file: Path) -> dict[str, Any] | None:
    """Read saved measurements; a damaged file counts as missing."""
    try:
        known = json.loads(file.read_text())
        return {field: known[field] for field in FIELDS}
    except (FileNotFoundError, UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError):
        return None
