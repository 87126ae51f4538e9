"""Measure heatmaps in a separate process.

`python -m benchmarks.explanation_methods WAY` reads what it is to do as JSON from its standard input, and prints
what it found as a line of JSON.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import hydra
import keras
import numpy as np
from omegaconf import DictConfig, OmegaConf
from tf_keras_vis.gradcam import Gradcam
from tf_keras_vis.gradcam_plus_plus import GradcamPlusPlus
from tf_keras_vis.layercam import Layercam
from tf_keras_vis.scorecam import Scorecam
from tf_keras_vis.utils.model_modifiers import ReplaceToLinear
from tf_keras_vis.utils.scores import CategoricalScore

from benchmarks.process_watch import peak_memory
from facemask_ensemble.config import CONF_DIR, read_settings
from facemask_ensemble.explanation.heatmaps import heatmaps
from facemask_ensemble.models.classifier import FEATURES, build_classifier
from facemask_ensemble.settings.groups import Backbone

CLASSES = 3
LIBRARY = {"gradcam": Gradcam, "gradcam_plus_plus": GradcamPlusPlus, "layercam": Layercam}
Asked = dict[str, Any]
Way = Callable[[int], object]


def speed(asked: Asked) -> dict[str, dict[str, list[float]]]:
    """Give the images a second of every round of ours and of tf-keras-vis, by method."""
    model = member(asked)
    return {method: _in_turn(model, method, asked) for method in asked["methods"]}


def memory(asked: Asked) -> float | None:
    """Explain images by one method, and give the peak resident memory of this process in MB."""
    [method] = asked["methods"]
    _ours(member(asked), method, asked)(asked["images"])
    return peak_memory(os.getpid())


def member(asked: Asked) -> keras.Model:
    """Build a member of random weights."""
    given = [f"backbone={asked['backbone']}", f"image_size={asked['image_size']}", "backbone.weights=null"]
    with hydra.initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        backbone = read_settings(Backbone, hydra.compose("train", given), "backbone")
    keras.config.set_dtype_policy(asked["precision"])
    keras.utils.set_random_seed(0)
    features = hydra.utils.instantiate(backbone.features.call)
    head = backbone.head
    return build_classifier(
        backbone.name, features, asked["image_size"], CLASSES, pooling=head.pooling, hidden=head.hidden
    )


def _in_turn(model: keras.Model, method: str, asked: Asked) -> dict[str, list[float]]:
    """Let both ways explain images in turn; a first time each, which traces the network, does not count."""
    dear = method == "scorecam"
    ways: dict[str, tuple[Way, int]] = {
        "ours": (_ours(model, method, asked), asked["scorecam" if dear else "images"]),
        "theirs": (_theirs(model, method, asked), asked["scorecam" if dear else "alone"]),
    }
    for way, count in ways.values():
        way(min(count, asked["batch_size"]))
    speeds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(asked["rounds"]):
        for name, (way, count) in ways.items():
            started = time.perf_counter()
            way(count)
            speeds[name].append(count / (time.perf_counter() - started))
    return speeds


def _ours(model: keras.Model, method: str, asked: Asked) -> Way:
    explain = hydra.utils.instantiate(_config(method).method)

    def way(count: int) -> object:
        pixels, classes = _images(model, count)
        return heatmaps(model, pixels, classes, explain, asked["batch_size"])

    return way


def _theirs(model: keras.Model, method: str, asked: Asked) -> Way:
    """Call tf-keras-vis with the whole member as its manual says: a linear last layer, but for Score-CAM."""
    options = {"penultimate_layer": FEATURES, "seek_penultimate_conv_layer": False}
    if method == "scorecam":
        explain = Scorecam(model)
        options["max_N"] = min(_config(method).channels, model.get_layer(FEATURES).output.shape[-1])
    else:
        explain = LIBRARY[method](model, model_modifier=ReplaceToLinear(), clone=True)

    def way(count: int) -> object:
        images = zip(*_images(model, count), strict=True)
        return [explain(CategoricalScore(int(label)), one.astype(np.float32), **options) for one, label in images]

    return way


def _config(method: str) -> DictConfig:
    config = OmegaConf.load(CONF_DIR / "heatmap" / f"{method}.yaml")
    assert isinstance(config, DictConfig)
    return config


def _images(model: keras.Model, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Give random pixels, uint8 (count, h, w, 3), and a class for each."""
    pixels = np.random.default_rng(0).integers(0, 256, (count, *model.input_shape[1:]), np.uint8)
    return pixels, np.arange(count) % CLASSES


WAYS: dict[str, Callable[[Asked], Any]] = {"speed": speed, "memory": memory}

if __name__ == "__main__":
    print(json.dumps(WAYS[sys.argv[1]](json.load(sys.stdin))))
