import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from facemask_ensemble.config import CONF_DIR


def classifier(name, size, *overrides):
    from facemask_ensemble.models.classifier import build_classifier

    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        cfg = compose("train", [f"backbone={name}", *overrides]).backbone
    return build_classifier(cfg.name, instantiate(cfg.features), size, 3, cfg.dropout, **cfg.head)


def maps(size, **options):
    import keras

    from facemask_ensemble.models.small_networks import convolutions

    return convolutions(keras.Input((size, size, 3)), **options)


def test_each_convolution_but_the_first_works_on_a_halved_map():
    assert maps(32, filters=[4, 8, 16]).shape == (None, 8, 8, 16)


def test_the_last_map_can_be_halved_too():
    assert maps(32, filters=[4, 8, 16], pool_last=True).shape == (None, 4, 4, 16)


def test_a_valid_convolution_takes_a_pixel_off_every_side():
    assert maps(32, filters=[4, 8], padding="valid").shape == (None, (32 - 2) // 2 - 2, 13, 8)


def test_pixels_are_brought_to_0_1_before_the_first_convolution():
    import keras

    from facemask_ensemble.models.small_networks import convolutions

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
    by_hand = (9 * 3 * 16 + 16) + (9 * 16 * 32 + 32) + (9 * 32 * 64 + 64) + (64 * 3 + 3)
    model = classifier("deep_cnn", 32)
    assert model.count_params() == by_hand
    assert model.name == "deep_cnn"


def test_the_four_convolutions_have_the_weights_counted_by_hand():
    """150 px become 148, 74, 72, 36, 34, 17, 15 and 7."""
    trunk = (9 * 3 * 64 + 64) + (9 * 64 * 64 + 64) + (9 * 64 * 128 + 128) + (9 * 128 * 128 + 128)
    head = (7 * 7 * 128 * 512 + 512) + (512 * 3 + 3)
    assert classifier("four_convolutions", 150).count_params() == trunk + head == 3_473_475


def test_the_basic_cnn_has_the_weights_counted_by_hand():
    """32 px become 16, 8 and 4."""
    trunk = (9 * 3 * 32 + 32) + (9 * 32 * 64 + 64) + (9 * 64 * 128 + 128)
    assert classifier("basic_cnn", 32).count_params() == trunk + (4 * 4 * 128 * 128 + 128) + (128 * 3 + 3)


@pytest.mark.parametrize("name", ["basic_cnn", "deep_cnn", "four_convolutions"])
def test_every_small_network_takes_its_smallest_side_and_bears_the_names(name):
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        side = compose("train", [f"backbone={name}"]).backbone.smallest_side
    names = [layer.name for layer in classifier(name, side).layers]
    assert names[0] == "pixels"
    assert {"features", "pool", "dropout", "probabilities"} <= set(names)


def test_the_four_convolutions_take_no_smaller_side_than_they_say():
    with pytest.raises(ValueError, match="[Nn]egative|smaller|size"):
        classifier("four_convolutions", 45)


@pytest.mark.parametrize(("name", "convolutions"), [("basic_cnn", 3), ("deep_cnn", 3), ("four_convolutions", 4)])
def test_every_convolution_is_a_block(name, convolutions):
    from facemask_ensemble.models.freezing import blocks

    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        ends = compose("train", [f"backbone={name}"]).backbone.block_ends
    assert len(blocks(classifier(name, 64), ends)) == convolutions
