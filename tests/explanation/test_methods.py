"""The four methods of conf/heatmap: where their map has to lie, and by which formula."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import OmegaConf

from facemask_ensemble.config import CONF_DIR, options
from facemask_ensemble.errors import InputError
from facemask_ensemble.explanation.heatmaps import heatmaps
from facemask_ensemble.explanation.overlay import enlarge
from facemask_ensemble.explanation.surrogate import surrogate

RED, BLUE = 0, 1
METHODS = ["gradcam", "gradcam_plus_plus", "layercam", "scorecam"]
PRECISIONS = ["float32", "mixed_float16", "mixed_bfloat16"]
every_method = pytest.mark.parametrize("name", METHODS)


def method(name, **changed):
    return instantiate(OmegaConf.load(CONF_DIR / "heatmap" / f"{name}.yaml").method, **changed)


def colour_network(precision="float32", cell=4, sure=800.0, bias=-6.0):
    """Score `red` by `sure` times the mean over cells of red less that of blue, and the bias; green does not matter."""
    pixels = keras.Input((32, 32, 3), name="pixels")
    scaled = keras.layers.Rescaling(1 / 255, dtype="float32")(pixels)
    colours = keras.layers.Conv2D(3, cell, cell, use_bias=False, dtype=precision, name="colours")
    features = keras.layers.Identity(dtype=precision, name="features")(colours(scaled))
    pooled = keras.layers.GlobalAveragePooling2D(dtype=precision, name="pool")(features)
    probs = keras.layers.Dense(2, activation="softmax", dtype="float32", name="probabilities")(pooled)
    model = keras.Model(pixels, probs, name="colour_network")
    colours.set_weights([np.eye(3, dtype=np.float32) * np.ones((cell, cell, 1, 1), np.float32) / cell**2])
    kernel = np.array([[1, -1], [0, 0], [-1, 1]], np.float32) * sure / 2
    model.get_layer("probabilities").set_weights([kernel, np.array([bias, 0], np.float32)])
    return model


def blobs(red=None, green=None, blue=None, level=255):
    """Draw blobs on cells of four pixels, each by its (row, column)."""
    image = np.zeros((32, 32, 3), np.uint8)
    for colour, cell in enumerate((red, green, blue)):
        if cell:
            row, column = 4 * cell[0], 4 * cell[1]
            image[row : row + 4, column : column + 4, colour] = level
    return image


def on_cell(row, column):
    grid = np.zeros((8, 8), np.float32)
    grid[row, column] = 1
    large = enlarge(grid, 32, 32)
    return large / large.max()


def random_network(averaged=False, bias=(0, 0, 0)):
    """Build a network of eight channels over 6x5 places; its head knows places, unless it averages them."""
    keras.utils.set_random_seed(4)
    layers = keras.layers
    pixels = keras.Input((24, 20, 3), name="pixels")
    x = layers.Conv2D(8, 5, strides=4, padding="same", activation="relu")(layers.Rescaling(1 / 100)(pixels))
    features = layers.Identity(name="features")(x)
    x = layers.GlobalAveragePooling2D()(features) if averaged else layers.Flatten()(features)
    x = layers.Dense(6, activation="tanh", name="hidden")(x)
    model = keras.Model(pixels, layers.Dense(3, activation="softmax", name="probabilities")(x), name="random_network")
    model.get_layer("probabilities").bias.assign(bias)
    return model


def noise(count):
    return np.random.default_rng(0).integers(0, 256, (count, 24, 20, 3), np.uint8), np.arange(count) % 3


def test_every_method_of_the_config_is_tried_here():
    assert sorted([*METHODS, "none"]) == options("heatmap")


@pytest.mark.parametrize("precision", PRECISIONS)
@every_method
def test_the_map_lies_on_the_one_blob_that_matters_and_moves_with_it(name, precision):
    others = {"green": (1, 1), "blue": (6, 1)}
    pixels = np.stack([blobs(red=(2, 5), **others), blobs(red=(5, 6), **others)])
    maps, reasons = heatmaps(colour_network(precision), pixels, np.array([RED, RED]), method(name))
    assert reasons == [None, None]
    np.testing.assert_allclose(maps, [on_cell(2, 5), on_cell(5, 6)], atol=0.02)


@every_method
def test_each_class_of_one_image_has_a_map_of_its_own(name):
    pixels = np.stack([blobs(red=(2, 5), blue=(6, 1))] * 2)
    maps, _ = heatmaps(colour_network(bias=0), pixels, np.array([RED, BLUE]), method(name))
    np.testing.assert_allclose(maps, [on_cell(2, 5), on_cell(6, 1)], atol=0.02)


def gradients(model, pixels, classes):
    """Give the features and the logits' gradients by them, float64 (n, rows, columns, channels)."""
    head = [layer for layer in model.layers if layer.name in ("hidden", "probabilities")]
    activations = keras.Model(model.input, model.get_layer("features").output)(pixels.astype("float32"))
    with tf.GradientTape() as tape:
        tape.watch(activations)
        hidden = tf.tanh(tf.reshape(activations, (len(pixels), -1)) @ head[0].kernel + head[0].bias)
        score = tf.gather(hidden @ head[1].kernel + head[1].bias, classes, batch_dims=1)
    return activations.numpy().astype(float), tape.gradient(score, activations).numpy().astype(float)


def by_gradcam(model, pixels, classes):
    features, slopes = gradients(model, pixels, classes)
    return (slopes.mean(axis=(1, 2), keepdims=True) * features).sum(axis=-1)


def by_gradcam_plus_plus(model, pixels, classes):
    features, slopes = gradients(model, pixels, classes)
    shares = slopes**2 / (2 * slopes**2 + slopes**3 * features.sum(axis=(1, 2), keepdims=True))
    shares /= shares.sum(axis=(1, 2), keepdims=True)
    return ((shares * np.maximum(slopes, 0)).sum(axis=(1, 2), keepdims=True) * features).sum(axis=-1)


def by_layercam(model, pixels, classes):
    features, slopes = gradients(model, pixels, classes)
    return (np.maximum(slopes, 0) * features).sum(axis=-1)


def by_scorecam(model, pixels, classes, channels=5):
    features = gradients(model, pixels, classes)[0]
    maps = np.zeros(features.shape[:3])
    for image, label, channels_of, heat in zip(pixels, classes, np.moveaxis(features, -1, 1), maps, strict=True):
        for channel in sorted(channels_of, key=np.std)[-channels:]:
            rows = np.stack([np.interp(np.linspace(0, 4, 20), range(5), row) for row in channel])
            mask = np.stack([np.interp(np.linspace(0, 5, 24), range(6), column) for column in rows.T], axis=1)
            mask = (mask - mask.min()) / (mask.max() - mask.min())
            masked = (image * mask[..., None])[None].astype("float32")
            heat += np.asarray(model(masked))[0, label] * channel
    return maps


FORMULAS = {
    "gradcam": by_gradcam,
    "gradcam_plus_plus": by_gradcam_plus_plus,
    "layercam": by_layercam,
    "scorecam": by_scorecam,
}


@every_method
def test_every_method_equals_its_formula_on_a_random_network(name):
    model, (pixels, classes) = random_network(), noise(4)
    explain = method(name, channels=5) if name == "scorecam" else method(name)
    maps, reasons = heatmaps(model, pixels, classes, explain)
    raw = FORMULAS[name](model, pixels, classes)
    assert reasons == [None] * 4
    for heat, right in zip(maps, raw, strict=True):
        expected = enlarge(np.maximum(right, 0) / right.max(), 24, 20)
        np.testing.assert_allclose(heat, expected / expected.max(), atol=2e-3)


@every_method
def test_an_image_has_the_same_map_alone_and_beside_others(name):
    model, (pixels, classes) = random_network(), noise(5)
    explain = method(name, channels=3) if name == "scorecam" else method(name)
    maps, reasons = heatmaps(model, pixels, classes, explain)
    for place in range(5):
        alone = heatmaps(model, pixels[place : place + 1], classes[place : place + 1], explain)
        np.testing.assert_allclose(alone.maps[0], maps[place], atol=1e-4)
        assert alone.reasons == [reasons[place]]


def test_where_features_are_averaged_gradcam_plus_plus_and_layercam_give_one_map():
    # Every place of a channel has the same slope g, so that its shares are equal, and both weigh it by max(g, 0).
    model, (pixels, classes) = random_network(averaged=True), noise(4)
    one, other = (heatmaps(model, pixels, classes, method(name)) for name in ("gradcam_plus_plus", "layercam"))
    assert one.reasons == other.reasons and None in one.reasons
    np.testing.assert_allclose(one.maps, other.maps, atol=1e-4)


@pytest.mark.parametrize("logit", [-500, 100, 1000])
def test_gradcam_plus_plus_explains_an_answer_however_sure_it_is(logit):
    pixels, classes = noise(4)
    usual = heatmaps(random_network(), pixels, classes, method("gradcam_plus_plus"))
    sure = heatmaps(random_network(bias=(logit,) * 3), pixels, classes, method("gradcam_plus_plus"))
    assert sure.reasons == usual.reasons == [None] * 4
    np.testing.assert_allclose(sure.maps, usual.maps, atol=1e-2)


@every_method
def test_a_single_cell_is_no_place(name):
    _, reasons = heatmaps(colour_network(cell=32), blobs(red=(2, 5))[None], np.array([RED]), method(name))
    assert reasons[0].startswith("its last feature map is 1x1 at 32 px: it cannot show a place")


@every_method
def test_a_black_image_has_no_map_and_its_neighbour_has_one(name):
    pixels = np.stack([blobs(), blobs(red=(2, 5))])
    maps, reasons = heatmaps(colour_network(), pixels, np.array([RED, RED]), method(name))
    assert reasons == ["its map is zero everywhere: nothing in the image speaks for this class", None]
    assert (maps[0].max(), maps[1].max()) == (0, 1)


@every_method
def test_an_even_image_has_no_map(name):
    pixels = np.full((1, 32, 32, 3), (200, 0, 0), np.uint8)
    _, reasons = heatmaps(colour_network(), pixels, np.array([RED]), method(name))
    assert reasons == ["its map has the same value everywhere: no explanation"]


@every_method
def test_weights_that_are_no_numbers_give_no_map(name):
    _, reasons = heatmaps(colour_network(sure=np.nan), blobs(red=(2, 5))[None], np.array([RED]), method(name))
    assert reasons == ["its map has values that are not finite: no explanation"]


def test_scorecam_passes_no_more_images_at_once_however_many_it_explains(monkeypatch, capsys):
    model, (pixels, classes) = random_network(), noise(9)
    features = surrogate(model, 24, 20).get_layer("features")
    seen, run = [], features.run

    def counted(images):
        seen.append(len(images))
        return run(images)

    monkeypatch.setattr("facemask_ensemble.explanation.scorecam.AT_ONCE", 3)
    features.run = counted
    heatmaps(model, pixels, classes, method("scorecam", channels=5))
    assert seen == [1, 3, 2] * 9  # the image itself, then five times what a channel leaves of it
    assert run.experimental_get_tracing_count() == 1
    assert capsys.readouterr() == ("", "")


def test_all_channels_count_where_there_are_fewer_than_asked_for():
    model, (pixels, classes) = random_network(), noise(2)
    many, all_ = (heatmaps(model, pixels, classes, method("scorecam", channels=count)) for count in (500, 8))
    np.testing.assert_allclose(many.maps, all_.maps, atol=1e-5)


@pytest.mark.parametrize("channels", [0, -3, 2.5, True, "many"])
def test_channels_that_cannot_be_counted_are_refused(channels):
    with pytest.raises(InputError, match=rf"heatmap.channels={channels}: must be a whole number of at least 1"):
        heatmaps(colour_network(), blobs()[None], np.array([RED]), method("scorecam", channels=channels))


@pytest.mark.parametrize("command", ["evaluate", "predict"])
def test_the_channels_are_a_key_of_the_commands(command):
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        config = compose(command, ["heatmap=scorecam", "heatmap.channels=8", "++input=here"])
    assert instantiate(config["heatmap"]["method"])(colour_network()).channels == 8


# Of each backbone the side of its images, its precision, and the colour that it takes for zero.
BACKBONES = {
    "efficientnetb3": (96, "float32", 0),
    "efficientnetv2s": (96, "float32", 128),
    "xception": (96, "float32", 127),
    "resnet50v2": (96, "mixed_bfloat16", 127),
    "densenet201": (96, "mixed_float16", (124, 116, 104)),
    "inceptionv3": (139, "float32", 127),
    "inceptionresnetv2": (139, "float32", 127),
    "convnexttiny": (96, "mixed_bfloat16", (124, 116, 104)),
    "mobilenetv3large": (96, "float32", 127),
}
every_backbone = pytest.mark.parametrize("backbone", list(BACKBONES), indirect=True)


@pytest.fixture(scope="module")
def backbone(request):
    """Build a member of random weights for images of any size.

    Its class 0 is scored by how much the features are those of a blob in the middle, 5 for them and -5 for none, and
    its class 1 by the opposite.
    """
    before = keras.config.dtype_policy()
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy(BACKBONES[request.param][1])
    try:
        with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
            config = compose("train", [f"backbone={request.param}", "backbone.weights=null"])
        pixels = keras.Input((None, None, 3), name="pixels", dtype="float32")
        last = instantiate(config.backbone.features)(pixels)
        features = keras.layers.Identity(name="features")(last)
        pooled = keras.layers.GlobalAveragePooling2D(name="pool")(features)
        probs = keras.layers.Dense(3, activation="softmax", dtype="float32", name="probabilities")
        model = keras.Model(pixels, probs(pooled), name=request.param)
    finally:
        keras.config.set_dtype_policy(before)
    middle = blob(request.param, 1)
    trunk = surrogate(model, *middle.shape[:2]).get_layer("features").run  # kept: no method traces the network again
    known = mean_features(trunk, middle)
    empty = np.zeros_like(known)
    if request.param == "convnexttiny":  # its last layer makes the features of an empty image as large as any
        empty = mean_features(trunk, np.full_like(middle, BACKBONES[request.param][2]))
    known -= empty
    known *= 10 / (known @ known)
    bias = 5 + known @ empty
    probs.set_weights([np.outer(known, [1, -1, 0]).astype(np.float32), np.array([-bias, bias, 0], np.float32)])
    return model


def mean_features(trunk, image):
    return np.mean(trunk(tf.constant(image[None], tf.float32)), axis=(0, 1, 2), dtype=np.float64)


def blob(name, place):
    """Draw a bright blob on the first, second or third part of the diagonal of an empty image."""
    size, _, zero = BACKBONES[name]
    image = np.full((size, size, 3), zero, np.uint8)
    part = slice(place * size // 3, (place + 1) * size // 3)
    image[part, part] = 255
    return image


def features_of(model, pixels):
    cut = keras.Model(model.input, model.get_layer("features").output)
    return np.asarray(cut(pixels.astype(np.float32), training=False)).astype(np.float64)


def centre_of_mass(heat):
    rows, columns = np.indices(heat.shape)
    return (rows * heat).sum() / heat.sum(), (columns * heat).sum() / heat.sum()


@pytest.mark.heavy
@every_backbone
def test_the_map_of_a_backbone_is_the_sum_of_its_last_channels(backbone):
    size, precision, _ = BACKBONES[backbone.name]
    pixels = np.random.default_rng(0).integers(0, 256, (2, size, size, 3)).astype(np.uint8)
    maps, reasons = heatmaps(backbone, pixels, np.array([0, 1]), method("gradcam"))
    channels = features_of(backbone, pixels)
    weights = backbone.get_layer("probabilities").get_weights()[0][:, :2]
    raw = np.maximum(np.stack([channels[label] @ weights[:, label] for label in (0, 1)]), 0)
    assert channels.shape[1:3] == (3, 3) and None in reasons
    for heat, reason, right in zip(maps, reasons, raw, strict=True):
        assert (reason is None) == (right.max() > 0)
        expected = enlarge(right / (right.max() or 1), size, size)
        np.testing.assert_allclose(heat, expected / (expected.max() or 1), atol=2e-3 if precision == "float32" else 0.1)


@pytest.mark.heavy
@every_backbone
def test_the_map_of_a_backbone_follows_the_blob_by_every_method(backbone):
    # The blob moves by two thirds of the diagonal. Of random weights, and of a map of nine cells, no more can be asked
    # than that the map's centre of mass moves the same way: EfficientNetB3's features have both signs.
    pixels = np.stack([blob(backbone.name, 0), blob(backbone.name, 2)])
    for name in METHODS:
        explain = method(name, channels=8) if name == "scorecam" else method(name)  # each channel is a pass more
        maps, reasons = heatmaps(backbone, pixels, np.array([0, 0]), explain)
        assert reasons == [None, None], name
        assert np.isfinite(maps).all() and (np.ptp(maps, axis=(1, 2)) > 0.5).all()
        one, other = (np.array(centre_of_mass(heat)) for heat in maps)
        along_the_diagonal = (other - one).mean() / pixels.shape[1]
        # What Score-CAM darkens is no less of an image to ConvNeXt's last layer than what it leaves.
        assert along_the_diagonal > 0.05 or (backbone.name, name) == ("convnexttiny", "scorecam"), name


@pytest.mark.heavy
@pytest.mark.parametrize("backbone", ["inceptionv3", "inceptionresnetv2"], indirect=True)
def test_the_inceptions_point_nowhere_at_75_pixels_and_say_from_when_they_do(backbone):
    _, reasons = heatmaps(backbone, np.zeros((1, 75, 75, 3), np.uint8), np.array([0]), method("gradcam"))
    assert reasons[0].startswith("its last feature map is 1x1 at 75 px: it cannot show a place; use image_size >= 139")
