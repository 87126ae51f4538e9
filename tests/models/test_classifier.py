import os
import subprocess
import sys

import numpy as np
import pytest

from facemask_ensemble.errors import InputError

BLOCKS = ("a", "b", "c")
BLOCK_ENDS = "[abc]_out"
ALL = {f"{block}_{part}" for block in BLOCKS for part in ("conv", "norm")} | {"hidden_1", "probabilities"}


def three_blocks(pixels):
    import keras

    x = keras.layers.Rescaling(1 / 255, name="preprocessing")(pixels)
    for block in BLOCKS:
        x = keras.layers.Conv2D(4, 3, name=f"{block}_conv")(x)
        x = keras.layers.BatchNormalization(name=f"{block}_norm")(x)
        x = keras.layers.Activation("relu", name=f"{block}_out")(x)
    return x


def small_classifier(size=16, **options):
    from facemask_ensemble.models.classifier import build_classifier

    return build_classifier("small", three_blocks, size, 3, dropout=0.0, **({"hidden": [5]} | options))


def some_pixels(size, count=8):
    return np.random.default_rng(0).integers(0, 256, (count, size, size, 3)).astype("float32")


def changed(model, before):
    """Name the layers of which any weight, or moving statistic, is not what it was."""
    return {
        layer.name
        for layer in model.layers
        for old, new in zip(before[layer.name], layer.get_weights(), strict=True)
        if not np.array_equal(old, new)
    }


def names(layers):
    return [layer.name for layer in layers]


def test_the_default_head_is_pooling_dropout_and_probabilities():
    from facemask_ensemble.models.classifier import head_layers

    model = small_classifier(hidden=[])
    assert names(model.layers)[-4:] == ["features", "pool", "dropout", "probabilities"]
    assert model.get_layer("pool").output.shape == (None, 4)
    assert names(head_layers(model)) == ["dropout", "probabilities"]


def test_a_flat_head_with_hidden_layers_has_the_weights_counted_by_hand():
    """16 px less three times two leave 10 x 10 x 4 = 400 features."""
    from facemask_ensemble.models.classifier import head_layers

    model = small_classifier(pooling="flatten", hidden=[7, 5])
    assert names(head_layers(model)) == ["dropout", "hidden_1", "hidden_2", "probabilities"]
    assert sum(layer.count_params() for layer in head_layers(model)) == (400 * 7 + 7) + (7 * 5 + 5) + (5 * 3 + 3)


def test_under_a_mixed_policy_only_the_probabilities_are_float32():
    import keras

    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = small_classifier()
    finally:
        keras.config.set_dtype_policy("float32")
    assert model.get_layer("hidden_1").compute_dtype == "bfloat16"
    assert model.get_layer("probabilities").compute_dtype == "float32"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pooling": "max"}, "backbone.head.pooling=max: must be one of average, flatten"),
        ({"hidden": [64, 0]}, r"backbone.head.hidden=\[64, 0\]: every dense layer needs a whole number"),
        ({"hidden": [0.5]}, r"backbone.head.hidden=\[0.5\]"),
    ],
)
def test_an_impossible_head_is_refused(options, message):
    with pytest.raises(InputError, match=message):
        small_classifier(**options)


def test_the_backbones_layers_are_counted_from_the_input_without_our_preprocessing():
    from facemask_ensemble.models.classifier import backbone_layers

    expected = ["pixels", *(f"{block}_{part}" for block in BLOCKS for part in ("conv", "norm", "out"))]
    assert names(backbone_layers(small_classifier())) == expected


def test_layers_around_the_ends_belong_to_the_first_and_the_last_block():
    from facemask_ensemble.models.freezing import blocks

    found = [names(block) for block in blocks(small_classifier(), "[ab]_out")]
    assert found == [
        ["pixels", "a_conv", "a_norm", "a_out"],
        ["b_conv", "b_norm", "b_out", "c_conv", "c_norm", "c_out"],
    ]


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, ALL),
        ({"backbone": True}, {"hidden_1", "probabilities"}),
        ({"batch_norm": True}, {"a_conv", "b_conv", "c_conv", "hidden_1", "probabilities"}),
        ({"first_trainable": 0}, ALL),
        ({"first_trainable": 4}, ALL - {"a_conv", "a_norm"}),
        ({"first_trainable": 5}, ALL - {"a_conv", "a_norm", "b_conv"}),
        ({"first_trainable": 9}, {"hidden_1", "probabilities"}),
        ({"last_blocks": 1}, {"c_conv", "c_norm", "hidden_1", "probabilities"}),
        ({"last_blocks": 2}, ALL - {"a_conv", "a_norm"}),
        ({"last_blocks": 2, "batch_norm": True}, {"b_conv", "c_conv", "hidden_1", "probabilities"}),
        ({"last_blocks": 3}, ALL),
    ],
)
def test_a_step_changes_exactly_what_trains_and_no_statistic_of_a_frozen_batch_norm(options, expected):
    import keras

    from facemask_ensemble.models.freezing import freeze

    keras.utils.set_random_seed(0)
    model = small_classifier(hidden=[32])  # so many that some are above zero
    freeze(model, block_ends=BLOCK_ENDS, **options)
    before = {layer.name: layer.get_weights() for layer in model.layers}
    model.compile(keras.optimizers.SGD(0.1), "categorical_crossentropy")
    model.train_on_batch(some_pixels(16), np.eye(3)[[0, 1, 2, 0, 1, 2, 0, 1]])
    assert changed(model, before) == expected


def test_freezing_anew_forgets_what_was_frozen_before():
    from facemask_ensemble.models.freezing import freeze

    model = small_classifier()
    freeze(model, backbone=True)
    freeze(model)
    assert all(layer.trainable for layer in model.layers if layer.weights)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"first_trainable": 10}, "schedule.first_trainable=10: small has 10 layers, so it must be from 0 to 9"),
        ({"first_trainable": -1}, "schedule.first_trainable=-1: small has 10 layers"),
        (
            {"last_blocks": 4, "block_ends": BLOCK_ENDS},
            "last_blocks=4: small has 3 blocks, so it must be from 1 to 3",
        ),
        ({"last_blocks": 0, "block_ends": BLOCK_ENDS}, "schedule.last_blocks=0: small has 3 blocks"),
        (
            {"last_blocks": 1},
            "last_blocks=1: backbone.block_ends does not say where a block of small ends; .* backbone.block_ends=",
        ),
        ({"last_blocks": 1, "block_ends": "("}, r"backbone.block_ends=\(: not a valid regular expression"),
        ({"last_blocks": 1, "block_ends": "_out"}, "backbone.block_ends=_out: matches no layer .* c_norm, c_out"),
        (
            {"last_blocks": 1, "first_trainable": 2},
            "schedule.first_trainable=2, last_blocks=1, .* give only one of them",
        ),
        ({"backbone": True, "first_trainable": 2}, "a frozen backbone=True: each chooses the layers that train"),
    ],
)
def test_what_cannot_be_frozen_is_refused(options, message):
    from facemask_ensemble.models.freezing import freeze

    with pytest.raises(InputError, match=message):
        freeze(small_classifier(), **options)


@pytest.fixture(scope="module")
def member(tmp_path_factory):
    """A saved member whose statistics and weights are those of no fresh network, saved while partly frozen."""
    from facemask_ensemble.models.freezing import freeze

    model = small_classifier()
    random = np.random.default_rng(1)
    model.set_weights([random.uniform(0.5, 1.5, weight.shape) for weight in model.get_weights()])
    freeze(model, backbone=True)
    path = tmp_path_factory.mktemp("member") / "model.keras"
    model.save(path)
    return path


def features_of(model, pixels):
    import keras

    return keras.Model(model.input, model.get_layer("features").output).predict(pixels, verbose=0)


def test_a_classifier_from_a_member_has_its_features_and_a_fresh_head(member):
    from facemask_ensemble.models.classifier import load_classifier
    from facemask_ensemble.models.transfer import start_from_member

    model = start_from_member(member, "small", 16, 2, 0.1, hidden=[6])
    np.testing.assert_array_equal(
        features_of(model, some_pixels(16)), features_of(load_classifier(member), some_pixels(16))
    )
    assert names(model.layers)[-5:] == ["features", "pool", "dropout", "hidden_1", "probabilities"]
    assert model.output.shape == (None, 2)
    assert model.name == "small"
    assert all(layer.trainable for layer in model.layers)


def test_a_classifier_from_a_member_takes_another_input_size(member):
    from facemask_ensemble.models.classifier import load_classifier
    from facemask_ensemble.models.transfer import start_from_member

    model = start_from_member(member, "small", 24, 3)
    assert model.input.shape == (None, 24, 24, 3)
    corner = features_of(load_classifier(member), some_pixels(24)[:, :16, :16])
    np.testing.assert_allclose(features_of(model, some_pixels(24))[:, :10, :10], corner, rtol=1e-5)


@pytest.mark.heavy
def test_a_classifier_from_a_member_takes_the_present_policy_and_scales_pixels_in_float32(member, tmp_path):
    import keras

    from facemask_ensemble.models.classifier import load_classifier
    from facemask_ensemble.models.transfer import start_from_member

    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        mixed = start_from_member(member, "small", 16, 3)
        mixed.save(tmp_path / "mixed.keras")
    finally:
        keras.config.set_dtype_policy("float32")
    assert mixed.get_layer("a_conv").compute_dtype == "bfloat16"
    assert mixed.get_layer("preprocessing").compute_dtype == "float32"
    back = start_from_member(tmp_path / "mixed.keras", "small", 16, 3)
    assert back.get_layer("a_conv").compute_dtype == "float32"
    np.testing.assert_array_equal(
        features_of(back, some_pixels(16)), features_of(load_classifier(member), some_pixels(16))
    )


def test_a_member_of_another_backbone_is_refused(member):
    from facemask_ensemble.models.transfer import start_from_member

    with pytest.raises(InputError, match="a member with the backbone small, not vgg16"):
        start_from_member(member, "vgg16", 16, 3)


UNDER_JAX = """
import sys
from pathlib import Path
import keras, numpy as np
from facemask_ensemble.models.backbones import preprocess
from facemask_ensemble.models.classifier import build_classifier
from facemask_ensemble.models.freezing import freeze
from facemask_ensemble.models.transfer import start_from_member

assert keras.backend.backend() == "jax"
folder = Path(sys.argv[1])

def backbone(pixels):
    x = keras.layers.Conv2D(4, 3, name="conv")(preprocess(pixels, "caffe"))
    return keras.layers.BatchNormalization(name="norm")(x)

build_classifier("small", backbone, 16, 3).save(folder / "first.keras")
model = start_from_member(folder / "first.keras", "small", 12, 2, hidden=[5])
freeze(model, last_blocks=1, block_ends="norm")
model.save(folder / "model.keras")
np.save(folder / "probs.npy", model.predict(np.load(folder / "pixels.npy"), verbose=0))
"""


@pytest.mark.heavy
def test_a_classifier_made_under_jax_answers_the_same_under_tensorflow(tmp_path):
    pytest.importorskip("jax", reason="jax is not installed")
    from facemask_ensemble.models.classifier import load_classifier

    np.save(tmp_path / "pixels.npy", some_pixels(12))
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    subprocess.run([sys.executable, "-c", UNDER_JAX, str(tmp_path)], env=environment, check=True)
    probs = load_classifier(tmp_path / "model.keras").predict(some_pixels(12), verbose=0)
    np.testing.assert_allclose(probs, np.load(tmp_path / "probs.npy"), atol=1e-5)


OWN_LAYERS = """
import keras

@keras.saving.register_keras_serializable()
class ShareOfATest(keras.layers.Layer):
    def call(self, pixels):
        return pixels / 255

def network(pixels):
    return keras.layers.Conv2D(4, 3)(ShareOfATest()(pixels))
"""


def test_a_layer_of_ones_own_is_found_through_the_backbones_of_ones_own_folder(tmp_path, monkeypatch):
    import importlib

    import keras

    from facemask_ensemble.models.classifier import build_classifier, load_classifier
    from facemask_ensemble.search_path import ENVIRONMENT

    (tmp_path / "backbone").mkdir()
    file = tmp_path / "backbone" / "own.yaml"
    file.write_text("defaults: [_network]\nname: own\nfeatures: {_target_: own_layers_of_a_test.network}\n")
    (tmp_path / "own_layers_of_a_test.py").write_text(OWN_LAYERS)
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    model = build_classifier("own", importlib.import_module("own_layers_of_a_test").network, 8, 2)
    model.save(tmp_path / "model.keras")
    keras.saving.get_custom_objects().pop("Custom>ShareOfATest")
    del sys.modules["own_layers_of_a_test"]
    with pytest.raises(InputError, match="model.keras: its layer ShareOfATest is not known; .*_CONFIG_DIR=FOLDER"):
        load_classifier(tmp_path / "model.keras")
    monkeypatch.setenv(ENVIRONMENT, str(tmp_path))
    pixels = some_pixels(8, count=2)
    answers = load_classifier(tmp_path / "model.keras").predict(pixels, verbose=0)
    np.testing.assert_array_equal(answers, model.predict(pixels, verbose=0))
