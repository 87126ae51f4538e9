"""Score-CAM in bounded memory, the map of an image whatever images are beside it."""

from functools import partial
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import tf_keras_vis.scorecam
from tf_keras_vis.utils.scores import CategoricalScore

from facemask_ensemble.errors import InputError

AT_ONCE = 16  # masked images that go through the network, as in `heatmaps`


class Scorecam:
    """Explain by Score-CAM with tf-keras-vis, one image after another.

    Wang et al., Score-CAM: Score-Weighted Visual Explanations for Convolutional Neural Networks, CVPR Workshops 2020:
    the image is multiplied by each channel of the features, enlarged to its size and scaled to 0..1; the class's
    probability then is the channel's weight. Only the channels of highest spread count, the library's `max_N` (Faster
    Score-CAM). Called with many images, the library holds all of them times the channels in memory at once, lets
    each choose channels for the others, and prints the progress of `predict`.
    """

    def __init__(self, model: keras.Model, channels: int = 32) -> None:
        """Take a model from pixels to logits, and how many channels count; all where the features have fewer.

        Raises:
            InputError: no whole number of at least one channel.
        """
        if not isinstance(channels, int) or isinstance(channels, bool) or channels < 1:
            raise InputError(f"heatmap.channels={channels}: must be a whole number of at least 1, such as 32")
        self.channels = channels
        parts = {"inputs": model.inputs, "outputs": model.outputs, "layers": model.layers}
        self._explain = tf_keras_vis.scorecam.Scorecam(SimpleNamespace(**parts, predict=partial(_predict, model)))

    def __call__(
        self, score: CategoricalScore, seed_input: tf.Tensor, penultimate_layer: keras.Layer, **options: Any
    ) -> np.ndarray:
        """Explain images, float32 (n, h, w, 3), as the library's callables do.

        Args:
            score: of one class for each image.
            seed_input: the images.
            penultimate_layer: whose output, (n, rows, columns, channels), is the features.
            options: the library's.
        """
        options |= {"penultimate_layer": penultimate_layer, "batch_size": AT_ONCE}
        options["max_N"] = min(self.channels, penultimate_layer.output.shape[-1])
        maps = [
            self._explain(CategoricalScore(label), image[None], **options)
            for label, image in zip(score.indices, seed_input, strict=True)
        ]
        return np.concatenate(maps)


def _predict(model: keras.Model, inputs: list[np.ndarray], batch_size: int) -> np.ndarray:
    """Answer without output, and without a graph beside the one that the model's features have been traced to."""
    (pixels,) = inputs
    parts = (pixels[start : start + batch_size] for start in range(0, len(pixels), batch_size))
    return np.concatenate([model(part, training=False) for part in parts])
