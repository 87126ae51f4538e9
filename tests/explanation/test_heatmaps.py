import gc
import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf
from hydra.utils import instantiate
from omegaconf import OmegaConf
from tf_keras_vis.gradcam import Gradcam

from facemask_ensemble.config import CONF_DIR
from facemask_ensemble.errors import InputError
from facemask_ensemble.explanation.heatmaps import heatmaps
from facemask_ensemble.explanation.overlay import enlarge
from facemask_ensemble.explanation.surrogate import surrogate

RED, BLUE = 0, 1
PRECISIONS = ["float32", "mixed_float16", "mixed_bfloat16"]


def colour_network(precision="float32", cell=4, size=32):
    """Score `red` and `blue` by the mean of the two colours over cells, the other one counting against it."""
    pixels = keras.Input((size, size, 3), name="pixels")
    scaled = keras.layers.Rescaling(1 / 255, dtype="float32")(pixels)
    colours = keras.layers.Conv2D(2, cell, cell, use_bias=False, activation="relu", dtype=precision, name="colours")
    features = keras.layers.Identity(dtype=precision, name="features")(colours(scaled))
    pooled = keras.layers.GlobalAveragePooling2D(dtype=precision, name="pool")(features)
    dropped = keras.layers.Dropout(0.5, dtype=precision)(pooled)
    probs = keras.layers.Dense(2, activation="softmax", dtype="float32", name="probabilities")(dropped)
    model = keras.Model(pixels, probs, name="colour_network")
    kernel = np.zeros((cell, cell, 3, 2), np.float32)
    kernel[:, :, 0, RED] = kernel[:, :, 2, BLUE] = 1 / cell**2
    colours.set_weights([kernel])
    model.get_layer("probabilities").set_weights([np.array([[1, -1], [-1, 1]], np.float32), np.zeros(2, np.float32)])
    return model


def two_blobs(red=255, blue=255):
    """Draw a red blob on cell (2, 5) and a blue one on cell (6, 1)."""
    image = np.zeros((32, 32, 3), np.uint8)
    image[8:12, 20:24, 0] = red
    image[24:28, 4:8, 2] = blue
    return image


def one_cell(row, column):
    grid = np.zeros((8, 8), np.float32)
    grid[row, column] = 1
    large = enlarge(grid, 32, 32)
    return large / large.max()


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_map_lies_on_the_blob_of_the_class_and_nowhere_else(precision):
    pixels = np.stack([two_blobs(), two_blobs()])
    maps, reasons = heatmaps(colour_network(precision), pixels, np.array([RED, BLUE]), Gradcam)
    assert reasons == [None, None]
    assert (maps.dtype, maps.shape) == (np.float32, (2, 32, 32))
    np.testing.assert_allclose(maps, [one_cell(2, 5), one_cell(6, 1)], atol=0.01)
    peaks = [np.unravel_index(one.argmax(), one.shape) for one in maps]
    assert 8 <= peaks[0][0] < 12 and 20 <= peaks[0][1] < 24
    assert 24 <= peaks[1][0] < 28 and 4 <= peaks[1][1] < 8


def test_half_the_colour_is_half_the_heat_and_the_highest_is_one():
    image = two_blobs(red=240)
    image[24:28, 20:24, 0] = 120
    heat = heatmaps(colour_network(), image[None], np.array([RED]), Gradcam).maps[0]
    assert heat.max() == 1
    assert heat[24:28, 20:24].max() == pytest.approx(0.5, abs=0.01)
    assert heat.min() == 0


def test_gradcam_equals_its_formula_on_a_random_network():
    keras.utils.set_random_seed(4)
    layers = keras.layers
    pixels = keras.Input((12, 10, 3))
    x = layers.Conv2D(8, 3, padding="same")(layers.Rescaling(1 / 255)(pixels))
    features = layers.Activation("relu", name="features")(layers.BatchNormalization()(x))
    x = layers.Dense(6, activation="tanh")(
        layers.concatenate([layers.GlobalAveragePooling2D()(features), layers.GlobalMaxPooling2D()(features)])
    )
    model = keras.Model(pixels, layers.Dense(3, activation="softmax", name="probabilities")(x))
    images = np.random.default_rng(0).integers(0, 256, (6, 12, 10, 3)).astype(np.uint8)
    classes = np.array([0, 1, 2, 0, 1, 2])
    maps, reasons = heatmaps(model, images, classes, Gradcam)
    with tf.GradientTape() as tape:
        activations = keras.Model(pixels, features)(images.astype("float32"), training=False)
        tape.watch(activations)
        both = [tf.reduce_mean(activations, (1, 2)), tf.reduce_max(activations, (1, 2))]
        hidden = tf.tanh(tf.concat(both, 1) @ model.layers[-2].kernel + model.layers[-2].bias)
        logits = hidden @ model.layers[-1].kernel + model.layers[-1].bias
        score = tf.gather(logits, classes, batch_dims=1)
    weights = tf.reduce_mean(tape.gradient(score, activations), (1, 2), keepdims=True)
    expected = np.maximum(tf.reduce_sum(weights * activations, -1).numpy(), 0)
    assert any(reason is None for reason in reasons)
    for heat, reason, right in zip(maps, reasons, expected, strict=True):
        assert (reason is None) == (right.max() > 0)
        np.testing.assert_allclose(heat, right / (right.max() or 1), atol=1e-4)


def test_the_method_of_the_config_explains():
    method = instantiate(OmegaConf.load(CONF_DIR / "heatmap" / "gradcam.yaml").method)
    maps, _ = heatmaps(colour_network(), two_blobs()[None], np.array([BLUE]), method)
    np.testing.assert_allclose(maps[0], one_cell(6, 1), atol=0.01)


def test_batches_give_what_one_batch_gives():
    pixels = np.random.default_rng(0).integers(0, 256, (7, 32, 32, 3)).astype(np.uint8)
    classes = np.array([0, 1, 1, 0, 1, 0, 0])
    whole, reasons = heatmaps(colour_network(), pixels, classes, Gradcam)
    parts, same = heatmaps(colour_network(), pixels, classes, Gradcam, batch_size=3)
    np.testing.assert_allclose(parts, whole, atol=1e-5)
    assert same == reasons


def test_an_image_without_the_colour_has_no_map_and_its_neighbour_has_one():
    pixels = np.stack([two_blobs(red=0), two_blobs()])
    maps, reasons = heatmaps(colour_network(), pixels, np.array([RED, RED]), Gradcam)
    assert reasons == ["its map is zero everywhere: nothing in the image speaks for this class", None]
    assert maps[0].max() == 0
    assert maps[1].max() == 1


def test_a_map_of_one_value_is_no_explanation():
    pixels = np.zeros((1, 32, 32, 3), np.uint8)
    pixels[..., 0] = 200
    maps, reasons = heatmaps(colour_network(), pixels, np.array([RED]), Gradcam)
    assert reasons == ["its map has the same value everywhere: no explanation"]
    assert maps.max() == 0


@pytest.mark.parametrize("rounding", [1e-9, 1e-42])
def test_what_rounding_leaves_of_a_map_is_no_explanation(rounding):
    """Where nothing is positive but rounding: beside values against the class, or too small for float32's digits."""
    against = -1.0 if rounding == 1e-9 else 0.0
    raw = np.where(np.arange(64) % 5 == 0, rounding * np.arange(1, 65), against).reshape(1, 8, 8).astype(np.float32)
    maps, reasons = heatmaps(
        colour_network(), two_blobs()[None], np.array([RED]), lambda model: lambda *_, **options: raw
    )
    assert reasons == ["its map is zero everywhere: nothing in the image speaks for this class"]
    assert maps.max() == 0


def test_a_map_that_is_not_finite_is_no_explanation():
    model = colour_network()
    model.get_layer("probabilities").set_weights([np.full((2, 2), np.nan, np.float32), np.zeros(2, np.float32)])
    maps, reasons = heatmaps(model, two_blobs()[None], np.array([RED]), Gradcam)
    assert reasons == ["its map has values that are not finite: no explanation"]
    assert maps.max() == 0


def test_a_single_cell_is_no_place_and_the_size_that_helps_is_said():
    maps, reasons = heatmaps(colour_network(cell=32), np.stack([two_blobs()] * 2), np.array([RED, BLUE]), Gradcam)
    reason = "its last feature map is 1x1 at 32 px: it cannot show a place; use image_size >= 96 for a 3x3 map"
    assert reasons == [reason, reason]
    assert (maps.shape, maps.max()) == ((2, 32, 32), 0)


def test_no_images_have_no_maps():
    maps, reasons = heatmaps(colour_network(), np.zeros((0, 32, 32, 3), np.uint8), np.zeros(0, int), Gradcam)
    assert (maps.shape, reasons) == ((0, 32, 32), [])


def test_a_saved_and_reloaded_model_is_explained_the_same(tmp_path):
    colour_network("mixed_bfloat16").save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    maps, _ = heatmaps(loaded, two_blobs()[None], np.array([RED]), Gradcam)
    np.testing.assert_allclose(maps[0], one_cell(2, 5), atol=0.01)


def test_a_model_that_is_asked_again_is_not_traced_again_and_its_weights_are_those_of_now():
    model, pixels = colour_network(), two_blobs()[None]
    cut = surrogate(model, 32, 32)
    heatmaps(model, pixels, np.array([RED]), Gradcam)
    run = cut.get_layer("features").run
    traces = run.experimental_get_tracing_count()
    kernel, bias = model.get_layer("probabilities").get_weights()
    model.get_layer("probabilities").set_weights([kernel[:, ::-1], bias])
    model.get_layer("colours").set_weights([model.get_layer("colours").get_weights()[0][..., ::-1]])
    maps, _ = heatmaps(model, pixels, np.array([BLUE]), Gradcam)
    assert surrogate(model, 32, 32) is cut
    assert run.experimental_get_tracing_count() == traces == 1
    np.testing.assert_allclose(maps, [one_cell(6, 1)], atol=0.01)


@pytest.mark.heavy
def test_a_model_that_is_let_go_takes_what_was_kept_for_it_along():
    model = colour_network()
    heatmaps(model, two_blobs()[None], np.array([RED]), Gradcam)
    cut = weakref.ref(surrogate(model, 32, 32))
    del model
    gc.collect()  # the model, and with it the entry
    gc.collect()  # what was kept
    assert cut() is None


@pytest.mark.parametrize("precision", PRECISIONS)
def test_model_and_global_state_are_left_as_they_were(precision, tmp_path):
    model, pixels, policy = colour_network(precision), two_blobs()[None], keras.config.dtype_policy().name
    before, config, weights = model.predict(pixels, verbose=0), model.get_config(), model.get_weights()
    heatmaps(model, pixels, np.array([RED]), Gradcam)
    assert model.get_config() == config
    assert model.get_layer("probabilities").output.shape == (None, 2)
    assert keras.config.dtype_policy().name == policy
    np.testing.assert_array_equal(model.predict(pixels, verbose=0), before)
    for kept, old in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(kept, old)


@pytest.mark.parametrize(
    ("pixels", "classes", "message"),
    [
        (np.zeros((2, 32, 32, 3)), np.zeros(2, int), r"uint8 \(n, h, w, 3\), received float64"),
        (np.zeros((32, 32, 3), np.uint8), np.zeros(2, int), r"received uint8 \(32, 32, 3\)"),
        (np.zeros((2, 16, 32, 3), np.uint8), np.zeros(2, int), r"takes images of \(32, 32, 3\), received \(16, 32"),
        (np.zeros((2, 32, 32, 3), np.uint8), np.zeros(3, int), r"each of 2 images, received int64 \(3,\)"),
        (np.zeros((2, 32, 32, 3), np.uint8), np.zeros(2), "received float64"),
        (np.zeros((2, 32, 32, 3), np.uint8), np.array([0, 2]), r"has classes 0\.\.1, received 0\.\.2"),
        (np.zeros((2, 32, 32, 3), np.uint8), np.array([-1, 0]), r"received -1\.\.0"),
    ],
)
def test_images_and_classes_that_do_not_fit_are_refused(pixels, classes, message):
    with pytest.raises(InputError, match=message):
        heatmaps(colour_network(), pixels, classes, Gradcam)


def small_network(last=None, features="features", past=False):
    pixels = keras.Input((8, 8, 3), name="pixels")
    stem = keras.layers.Conv2D(4, 3, name="stem")(pixels)
    x = keras.layers.Identity(name=features)(stem)
    x = keras.layers.Add(name="shortcut")([x, stem]) if past else x
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(
        pixels, (last or keras.layers.Dense(2, activation="softmax", name="probabilities"))(x), name="small"
    )


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            lambda: small_network(features="last_map"),
            "'small' has no layers `features` and `probabilities`.*'probabilities'",
        ),
        (
            lambda: small_network(last=keras.layers.Softmax(name="probabilities")),
            r"with \['pool', 'probabilities'\]: let it end in a De",
        ),
        (lambda: small_network(past=True), r"'shortcut' of model 'small' reads \['stem'\] past `features`"),
    ],
)
def test_a_model_of_another_build_is_refused(model, message):
    with pytest.raises(InputError, match=message):
        heatmaps(model(), np.zeros((1, 8, 8, 3), np.uint8), np.array([0]), Gradcam)
