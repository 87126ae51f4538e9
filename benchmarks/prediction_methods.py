"""The ways of asking members that are measured side by side, each in a separate process.

`python -m benchmarks.prediction_methods WAY` reads what it is to do as JSON from its standard input, and prints
what it found as a line of JSON.
"""

import json
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import hydra
import numpy as np

from facemask_ensemble.config import CONF_DIR, read_settings
from facemask_ensemble.data.chunks import read_chunks
from facemask_ensemble.data.input_images import Item
from facemask_ensemble.data.resizing import read_content
from facemask_ensemble.prediction.choice import Choice
from facemask_ensemble.prediction.loading import choose_ensemble
from facemask_ensemble.settings.predict import PredictSettings

RULE = {"voting": "majority", "ties": "mean_probability"}
Found = dict[str, Any]


def alone(asked: Found) -> Found:
    """Ask Keras's `predict` about one image after another, read by Keras, one member after another."""
    import keras

    models = _in_keras(_choice(asked)[0])

    def answer(file: str) -> None:
        for model in models:
            size = model.input_shape[1:3]
            image = keras.utils.img_to_array(keras.utils.load_img(file, target_size=size))
            model.predict(image[None], verbose=0)

    answer(asked["files"][0])
    started = time.perf_counter()
    for file in asked["files"]:
        answer(file)
    return {"seconds": (time.perf_counter() - started) / len(asked["files"])}


def batched(asked: Found) -> Found:
    """Ask Keras's `predict` about all images at once, in batches, with their pixels already in memory."""
    seconds = 0.0
    for model in _in_keras(_choice(asked)[0]):
        size = model.input_shape[1]
        pixels = np.stack([read_content(Path(file).read_bytes(), [size])[0] for file in asked["files"]])
        model.predict(pixels[: asked["batch_size"]], batch_size=asked["batch_size"], verbose=0)
        started = time.perf_counter()
        model.predict(pixels, batch_size=asked["batch_size"], verbose=0)
        seconds += time.perf_counter() - started
    return {"seconds": seconds / len(asked["files"])}


def ours(asked: Found) -> Found:
    """Ask as `predict` does, from files to votes; loading the members and a first image are not counted."""
    choice, settings = _choice(asked)
    ensemble = choice.load(settings.runtime, settings.batch_size, settings.votes)
    items = [Item(file, partial(Path(file).read_bytes)) for file in asked["files"]]
    for chunk in read_chunks(iter(items[:1]), ensemble.sizes):
        ensemble.ask(chunk)
    predictions: list[str] = []
    evaluations = 0
    started = time.perf_counter()
    for chunk in read_chunks(iter(items), ensemble.sizes):
        probs = ensemble.ask(chunk)
        predictions += ensemble.answers(chunk, probs)["prediction"].tolist()
        evaluations += int(np.isfinite(probs[:, :, 0]).sum())
    seconds = (time.perf_counter() - started) / len(items)
    milliseconds = {member.name: member.network.milliseconds for member in ensemble.members}
    return {"seconds": seconds, "predictions": predictions, "asked": evaluations, "milliseconds": milliseconds}


def _choice(asked: Found) -> tuple[Choice, PredictSettings]:
    with hydra.initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        settings = read_settings(PredictSettings, hydra.compose("predict", ["input=.", *asked["overrides"]]))
    return choose_ensemble(settings, RULE, settings.runtime.name), settings


def _in_keras(choice: Choice) -> list[Any]:
    from facemask_ensemble.tensorflow_import import start_tensorflow

    start_tensorflow()
    from facemask_ensemble.models.classifier import load_classifier

    return [load_classifier(source.file) for source in choice.sources]


WAYS = {way.__name__: way for way in (alone, batched, ours)}

if __name__ == "__main__":
    print(json.dumps(WAYS[sys.argv[1]](json.load(sys.stdin))))
