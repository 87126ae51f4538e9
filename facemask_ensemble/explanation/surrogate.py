"""The model cut at `features`, so that an explanation differentiates only its head.

Everything up to `features` runs as one step in the member's own precision, so that the map explains the member that
votes; the few layers behind it are copied in float32 with a linear last layer, since gradients in bfloat16 fail in
tf-keras-vis. No network of 700 layers is copied or differentiated.

To cut and trace a network takes seconds: the last cut of a model is kept for as long as the model lives.
"""

from collections.abc import Callable, Iterator
from typing import Any
from weakref import WeakKeyDictionary

import keras
import tensorflow as tf

from facemask_ensemble.errors import InputError
from facemask_ensemble.models.copying import FLOAT32, copy_state, in_policy

FEATURES, PROBABILITIES = "features", "probabilities"
HEAD = "head"  # of the surrogate
Size = tuple[int, int]
_kept: WeakKeyDictionary[keras.Model, tuple[Size, keras.Model]] = WeakKeyDictionary()
_map_sizes: WeakKeyDictionary[keras.Model, dict[Size, Size]] = WeakKeyDictionary()


class Trunk(keras.layers.Layer):
    """Run everything up to the features as one step that gradients do not enter."""

    def __init__(self, run: Callable[[tf.Tensor], tf.Tensor], feature_shape: tuple[int | None, ...]) -> None:
        """Take the function to run and the shape (n, rows, columns, channels) of what it returns."""
        super().__init__(name=FEATURES, dtype="float32")
        self.run = run
        self.feature_shape = feature_shape

    def call(self, pixels: tf.Tensor) -> tf.Tensor:
        """Compute the features, tied to the pixels by a zero: a tape records nothing behind an unwatched tensor."""
        return tf.cast(self.run(tf.stop_gradient(pixels)), tf.float32) + 0.0 * tf.reduce_mean(pixels)

    def compute_output_spec(self, pixels: keras.KerasTensor) -> keras.KerasTensor:
        """Say the shape without tracing the network."""
        return keras.KerasTensor(self.feature_shape, "float32")


def surrogate(model: keras.Model, height: int, width: int) -> keras.Model:
    """Give a flat float32 model from pixels over `features` to logits, leaving the given model as it is.

    Asked again for the same size, it gives the same one, with the head's weights as they are now.
    """
    size, cut = _kept.get(model, (None, None))
    if cut is None or size != (height, width):
        cut = _cut(model, height, width)
        _kept[model] = (height, width), cut
    else:
        _copy_head(model, cut.get_layer(HEAD))
    return cut


def _cut(model: keras.Model, height: int, width: int) -> keras.Model:
    """Build the surrogate.

    The trunk is traced as one graph: run layer by layer it takes up to five times the memory and twice the time.
    """
    trunk = _trunk(model)

    @tf.function(input_signature=[tf.TensorSpec((None, height, width, 3), tf.float32)])
    def run(pixels: tf.Tensor) -> tf.Tensor:
        return trunk(pixels, training=False)

    pixels = keras.Input((height, width, 3), name="pixels", dtype="float32")
    features = Trunk(run, trunk.compute_output_shape((None, height, width, 3)))(pixels)
    return keras.Model(pixels, _linear_head(model)(features), name=f"{model.name}_cut_at_features")


def last_map_size(model: keras.Model, height: int, width: int) -> tuple[int, int]:
    """Give the rows and columns of the features for images of that size."""
    known = _map_sizes.setdefault(model, {})
    if (height, width) not in known:
        trunk = _trunk(model)
        trunk.input_spec = keras.layers.InputSpec(ndim=4)  # or it refuses every size but its own
        rows, columns = trunk.compute_output_shape((None, height, width, 3))[1:3]
        known[height, width] = rows, columns
    return known[height, width]


def _trunk(model: keras.Model) -> keras.Model:
    names = [layer.name for layer in model.layers]
    if FEATURES not in names or PROBABILITIES not in names:
        raise InputError(
            f"model {model.name!r} has no layers `{FEATURES}` and `{PROBABILITIES}`, its last are {names[-3:]}: "
            "explain a model trained by this project"
        )
    return keras.Model(model.input, model.get_layer(FEATURES).output, name="trunk")


def _linear_head(model: keras.Model) -> keras.Model:
    """Copy what lies behind `features` from the model's config: cutting by tensors would add nodes to the model."""
    layers = in_policy(_head_layers(model), FLOAT32)
    layers[-1]["config"]["activation"] = "linear"
    entry = keras.layers.serialize(
        keras.layers.InputLayer(batch_shape=model.get_layer(FEATURES).output.shape, dtype="float32", name=FEATURES)
    )
    head = keras.Model.from_config(
        {
            "name": HEAD,
            "layers": [{**entry, "name": FEATURES, "inbound_nodes": []}, *layers],
            "input_layers": [[FEATURES, 0, 0]],
            "output_layers": [[PROBABILITIES, 0, 0]],
        }
    )
    _copy_head(model, head)
    return head


def _copy_head(model: keras.Model, head: keras.Model) -> None:
    for layer in head.layers[1:]:
        copy_state(model.get_layer(layer.name), layer)


def _head_layers(model: keras.Model) -> list[dict[str, Any]]:
    """Select the configs of the layers that depend on `features`, in order."""
    names, layers = {FEATURES}, []
    for layer in model.get_config()["layers"]:
        parents = set(_parents(layer["inbound_nodes"]))
        if not parents & names:
            continue
        if parents - names:
            raise InputError(
                f"layer {layer['name']!r} of model {model.name!r} reads {sorted(parents - names)} past `{FEATURES}`: "
                f"let all ways to `{PROBABILITIES}` lead through `{FEATURES}`"
            )
        names.add(layer["name"])
        layers.append(layer)
    if not layers or layers[-1]["name"] != PROBABILITIES or "activation" not in layers[-1]["config"]:
        raise InputError(
            f"model {model.name!r} continues after `{FEATURES}` with {[layer['name'] for layer in layers]}: "
            f"let it end in a Dense layer `{PROBABILITIES}` with its activation"
        )
    return layers


def _parents(node: Any) -> Iterator[str]:
    """Find the names of the layers that an inbound node of a config reads from."""
    if isinstance(node, dict):
        if "keras_history" in node:
            yield node["keras_history"][0]
        node = list(node.values())
    if isinstance(node, list | tuple):
        for item in node:
            yield from _parents(item)
