"""Networks within a network come apart into one flat graph that answers the same."""

import keras
import numpy as np
import pytest

from facemask_ensemble.models.classifier import build_classifier, load_classifier
from facemask_ensemble.models.flattening import flatten

pytestmark = pytest.mark.heavy


def nested(pixels):
    """Two networks with layers of the same names, one of them called twice and one with a network inside."""
    layers = keras.layers
    spread = {"mean": [120.0, 110, 100], "variance": [3600.0, 3000, 2500]}
    scaled = layers.Normalization(**spread, dtype="float32", name="scaled")(pixels)
    twice = keras.Sequential([layers.Conv2D(3, 3, padding="same", name="conv"), layers.ReLU(name="relu")], name="twice")
    inner = keras.Sequential([layers.Conv2D(4, 3, name="conv"), layers.BatchNormalization(name="norm")], name="inner")
    entry = keras.Input((None, None, 3))
    branches = layers.Add(name="both")([inner(entry), inner(entry) * 0.5])
    outer = keras.Model(entry, layers.Activation("tanh", name="relu")(branches), name="outer")
    return outer(twice(twice(scaled)))


def random_pixels():
    return np.random.default_rng(0).integers(0, 256, (4, 12, 12, 3)).astype("float32")


def with_random_weights(model):
    """Give every weight a value of its own, so that none can be mistaken for another."""
    rng = np.random.default_rng(1)
    model.set_weights([rng.uniform(0.1, 0.5, weight.shape) for weight in model.weights])
    return model


def test_a_flat_copy_has_every_layer_once_and_the_same_answers():
    pixels = keras.Input((12, 12, 3))
    model = with_random_weights(keras.Model(pixels, nested(pixels)))
    flat = flatten(model)
    assert not any(isinstance(layer, keras.Model) for layer in flat.layers)
    convolutions = [layer.name for layer in flat.layers if isinstance(layer, keras.layers.Conv2D)]
    assert convolutions == ["conv", "inner_conv"]
    assert flat.count_params() == model.count_params()
    np.testing.assert_allclose(flat.predict(random_pixels()), model.predict(random_pixels()), rtol=1e-5, atol=1e-5)


def test_a_flat_network_is_its_own_copy():
    pixels = keras.Input((12, 12, 3))
    model = keras.Model(pixels, keras.layers.Conv2D(2, 3)(pixels))
    assert flatten(model) is model


def test_a_network_of_ones_own_is_flat_in_a_classifier_and_survives_saving(tmp_path):
    model = build_classifier("mine", nested, 12, 3)
    assert not any(isinstance(layer, keras.Model) for layer in model.layers)
    before = model.predict(random_pixels())
    model.save(tmp_path / "model.keras")
    np.testing.assert_allclose(load_classifier(tmp_path / "model.keras").predict(random_pixels()), before, atol=1e-6)


def test_a_flat_copy_keeps_the_precision_of_every_layer():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = build_classifier("mine", nested, 12, 3)
    finally:
        keras.config.set_dtype_policy("float32")
    kinds = {layer.name: layer.compute_dtype for layer in model.layers}
    assert (kinds["inner_conv"], kinds["scaled"], kinds["probabilities"]) == ("bfloat16", "float32", "float32")
