import keras
import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from facemask_ensemble.config import CONF_DIR
from facemask_ensemble.models.classifier import build_classifier
from facemask_ensemble.models.scratch import convolutions


def test_each_convolution_but_the_first_works_on_a_halved_map():
    maps = convolutions(keras.Input((32, 32, 3)), filters=[4, 8, 16])
    assert maps.shape == (None, 8, 8, 16)


def test_pixels_are_brought_to_0_1_before_the_first_convolution():
    pixels = keras.Input((4, 4, 3))
    model = keras.Model(pixels, convolutions(pixels, filters=[1]))
    kernel = np.zeros((3, 3, 3, 1), "float32")
    kernel[1, 1, 0] = 1  # the middle of the red channel
    model.layers[-1].set_weights([kernel, np.zeros(1, "float32")])
    given = np.zeros((1, 4, 4, 3), "float32")
    given[0, 1, 2] = [255, 10, 20]
    answer = model.predict(given, verbose=0)[0, :, :, 0]
    assert answer[1, 2] == pytest.approx(1.0)
    assert answer.sum() == pytest.approx(1.0)


def test_the_deep_cnn_has_the_weights_counted_by_hand():
    """Each convolution holds 9 weights per pair of channels and a bias per output; the head 64 x 3 and 3."""
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        cfg = compose("train", ["backbone=deep_cnn"]).backbone
    model = build_classifier(cfg.name, instantiate(cfg.features), 32, 3, cfg.dropout)
    by_hand = (9 * 3 * 16 + 16) + (9 * 16 * 32 + 32) + (9 * 32 * 64 + 64) + (64 * 3 + 3)
    assert model.count_params() == by_hand
    assert model.name == "deep_cnn"
