from functools import partial

import keras
import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from facemask_ensemble.config import CONF_DIR
from facemask_ensemble.errors import InputError
from facemask_ensemble.models.backbones import features, preprocess
from facemask_ensemble.models.classifier import build_classifier, freeze, load_classifier

KERAS_MODULE = {
    "densenet201": keras.applications.densenet,
    "efficientnetb3": keras.applications.efficientnet,
    "efficientnetv2s": keras.applications.efficientnet_v2,
    "inceptionresnetv2": keras.applications.inception_resnet_v2,
    "inceptionv3": keras.applications.inception_v3,
    "resnet50v2": keras.applications.resnet_v2,
    "xception": keras.applications.xception,
}


def backbone_config(name):
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        return compose("train", [f"backbone={name}", "backbone.weights=null"]).backbone


def some_pixels(size, count=2):
    return np.random.default_rng(0).integers(0, 256, (count, size, size, 3)).astype("float32")


@pytest.mark.parametrize("name", KERAS_MODULE)
def test_preprocessing_equals_that_of_keras(name):
    pixels = keras.Input((8, 8, 3))
    own = keras.Model(pixels, keras.layers.Identity()(preprocess(pixels, backbone_config(name).features.preprocessing)))
    expected = KERAS_MODULE[name].preprocess_input(some_pixels(8).copy())
    np.testing.assert_allclose(own.predict(some_pixels(8), verbose=0), expected, atol=2e-6)


def test_an_unknown_preprocessing_is_refused():
    with pytest.raises(InputError, match="must be raw, symmetric, imagenet or efficientnet_v1. Received: caffe"):
        preprocess(keras.Input((8, 8, 3)), "caffe")


@pytest.mark.heavy
@pytest.mark.parametrize("name", KERAS_MODULE)
def test_every_backbone_is_one_flat_graph_that_survives_saving(name, tmp_path):
    cfg = backbone_config(name)
    model = build_classifier(cfg.name, instantiate(cfg.features), cfg.smallest_side, 3, cfg.dropout)
    assert not any(isinstance(layer, keras.Model) for layer in model.layers)
    assert model.name == name
    assert len(model.get_layer("features").output.shape) == 4
    pixels = some_pixels(cfg.smallest_side)
    before = model.predict(pixels, verbose=0)
    np.testing.assert_allclose(before.sum(axis=1), 1, atol=1e-5)
    model.save(tmp_path / "model.keras")
    np.testing.assert_allclose(load_classifier(tmp_path / "model.keras").predict(pixels, verbose=0), before, atol=1e-5)


def test_a_random_start_sets_batch_norm_momentum_and_switches_stochastic_depth_off():
    cfg = backbone_config("efficientnetb3")
    model = build_classifier(cfg.name, instantiate(cfg.features), 32, 3, 0.25)
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    rates = {layer.name: layer.rate for layer in model.layers if isinstance(layer, keras.layers.Dropout)}
    assert {layer.momentum for layer in norms} == {0.9}
    assert rates.pop("dropout") == 0.25
    assert set(rates.values()) == {0.0}


def test_freezing_the_backbone_leaves_only_the_head_to_train():
    model = small_classifier()
    freeze(model, backbone=True, batch_norm=True)
    assert [weight.path for weight in model.trainable_weights] == ["probs/kernel", "probs/bias"]


def test_a_frozen_batch_norm_keeps_its_statistics_while_the_rest_trains():
    model = small_classifier()
    freeze(model, backbone=False, batch_norm=True)
    norm = next(layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization))
    before = [np.array(weight) for weight in norm.weights]
    kernel = np.array(model.get_layer("conv").kernel)
    model.compile("adam", "categorical_crossentropy")
    model.fit(some_pixels(16, 8), np.eye(3)[[0, 1, 2, 0, 1, 2, 0, 1]], verbose=0)
    for old, new in zip(before, norm.weights, strict=True):
        np.testing.assert_array_equal(old, np.array(new))
    assert not np.array_equal(kernel, np.array(model.get_layer("conv").kernel))


def small_classifier():
    def backbone(pixels):
        x = keras.layers.Conv2D(4, 3, name="conv")(keras.layers.Rescaling(1 / 255)(pixels))
        return keras.layers.BatchNormalization()(x)

    return build_classifier("small", backbone, 16, 3)


def small_application(*, include_top, input_tensor, weights, channels=4):
    assert not include_top
    x = keras.layers.Conv2D(channels, 3)(input_tensor)
    x = keras.layers.BatchNormalization()(x)
    model = keras.Model(keras.utils.get_source_inputs(input_tensor), x)
    if weights:
        model.load_weights(weights)
    return model


def test_a_weights_file_of_another_network_is_refused(tmp_path):
    path = tmp_path / "other.weights.h5"
    other = small_application(include_top=False, input_tensor=keras.Input((32, 32, 3)), weights=None, channels=8)
    other.save_weights(path)
    with pytest.raises(InputError, match=r"other.weights.h5: not the weights of small_application without top"):
        features(keras.Input((32, 32, 3)), application=small_application, preprocessing="raw", weights=str(path))


def test_a_file_that_holds_no_weights_is_refused(tmp_path):
    path = tmp_path / "notes.weights.h5"
    path.write_text("nothing")
    with pytest.raises(InputError, match="not the weights of small_application"):
        features(keras.Input((32, 32, 3)), application=small_application, preprocessing="raw", weights=str(path))


def test_a_missing_weights_file_is_refused():
    with pytest.raises(InputError, match="backbone.weights=/no/such.h5: no such file"):
        features(keras.Input((32, 32, 3)), application=small_application, preprocessing="raw", weights="/no/such.h5")


@pytest.mark.heavy
def test_efficientnet_b3_gives_the_same_features_from_a_file_as_from_the_download(tmp_path, monkeypatch):
    """Keras builds one more layer for the downloaded weights; a file of the same weights has to match that."""
    source = keras.applications.EfficientNetB3(include_top=False, weights=None, input_shape=(64, 64, 3))
    norm = next(layer for layer in source.layers if isinstance(layer, keras.layers.Normalization))
    mean, variance = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225]) ** 2
    norm.set_weights([mean, variance, np.array(0)] if len(norm.weights) == 3 else [mean, variance])
    path = tmp_path / "efficientnetb3_notop.weights.h5"
    source.save_weights(path)
    module = __import__("keras.src.applications.efficientnet", fromlist=["file_utils"])
    monkeypatch.setattr(module.file_utils, "get_file", lambda *args, **kwargs: str(path))
    build = partial(features, application=keras.applications.EfficientNetB3, preprocessing="efficientnet_v1")
    pixels = some_pixels(64)
    answers = []
    for weights in ("imagenet", str(path)):
        inputs = keras.Input((64, 64, 3))
        answers.append(keras.Model(inputs, build(inputs, weights=weights)).predict(pixels, verbose=0))
    assert answers[0].std() > 0
    np.testing.assert_allclose(answers[1], answers[0], rtol=1e-3, atol=1e-4)
