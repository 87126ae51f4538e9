"""Graphs to be exported: raw pixels in, uint8, one input for each size of square; probabilities and the vote out.

Members of different sizes see the same image squeezed to squares of different sizes. Resizing inside the graph would
not give the pixels that they were trained with, so that an ensemble takes one input a size instead.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from facemask_ensemble.ensemble.rules import FittedRule
from facemask_ensemble.exporting.votes import vote_graph

SIGNATURE = "serving_default"
PIXELS, PROBABILITIES = "pixels", "probabilities"
PREPROCESSING = (
    "RGB, uint8, 0 to 255, upright as its EXIF orientation says, transparency laid on white; the whole image "
    "squeezed to the square, whatever its shape: a side that is halved or more averaged over areas, the rest bilinear. "
    "All other preprocessing is inside."
)


@dataclass(frozen=True)
class Graph:
    """A graph by its name: the Keras networks in it, `inputs` (sides in pixels by name), and what it computes."""

    name: str
    models: Sequence[keras.Model]
    inputs: Mapping[str, int]
    run: Callable[..., dict[str, tf.Tensor]]

    def save(self, folder: Path) -> Path:
        """Write it as a SavedModel, for any number of images."""
        from keras.export import ExportArchive

        archive = ExportArchive()
        for model in self.models:
            archive.track(model)
        specs = [tf.TensorSpec((None, side, side, 3), tf.uint8, name) for name, side in self.inputs.items()]
        archive.add_endpoint(SIGNATURE, self.run, input_signature=specs)
        archive.write_out(str(folder), verbose=False)
        return folder

    def described_inputs(self) -> dict[str, Any]:
        """Say what it takes, as JSON can hold it."""
        return {
            name: {"dtype": "uint8", "shape": [None, side, side, 3], "size": side} for name, side in self.inputs.items()
        }


def member_graph(name: str, model: keras.Model) -> Graph:
    """Make the graph of one member: `pixels` to `probabilities`, float32 (n, classes)."""

    def run(pixels: tf.Tensor) -> dict[str, tf.Tensor]:
        return {PROBABILITIES: _ask(model, pixels)}

    return Graph(name, [model], {PIXELS: model.input_shape[1]}, run)


def ensemble_graph(models: Sequence[keras.Model], vote: FittedRule) -> Graph:
    """Make an ensemble's graph: `pixels_SIZE` a size to `probabilities`, float32 (n, members, classes), and a vote.

    Raises:
        InputError: the rule cannot be part of a graph.
    """
    decide = vote_graph(vote)
    sides = [int(model.input_shape[1]) for model in models]
    inputs = {f"{PIXELS}_{side}": side for side in sorted(set(sides))}

    def run(*pixels: tf.Tensor) -> dict[str, tf.Tensor]:
        by_side = dict(zip(inputs.values(), pixels, strict=True))
        probs = tf.stack([_ask(model, by_side[side]) for model, side in zip(models, sides, strict=True)], axis=1)
        return {PROBABILITIES: probs, **decide(probs)}

    return Graph("ensemble", models, inputs, run)


def _ask(model: keras.Model, pixels: tf.Tensor) -> tf.Tensor:
    return tf.cast(model(tf.cast(pixels, tf.float32), training=False), tf.float32)
