import importlib
from functools import cache, partial

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from facemask_ensemble.config import CONF_DIR
from facemask_ensemble.errors import InputError

KERAS_MODULE = {
    "convnexttiny": "convnext",
    "densenet201": "densenet",
    "efficientnetb3": "efficientnet",
    "efficientnetv2s": "efficientnet_v2",
    "inceptionresnetv2": "inception_resnet_v2",
    "inceptionv3": "inception_v3",
    "mobilenetv3large": "mobilenet_v3",
    "resnet50": "resnet50",
    "resnet50v2": "resnet_v2",
    "vgg16": "vgg16",
    "xception": "xception",
}
# Keras prepares the pixels inside these networks; we do it before them.
INSIDE = {"convnexttiny": "ConvNeXtTiny", "mobilenetv3large": "MobileNetV3Large"}
ONE_LAYER_MORE = ["efficientnetb3"]  # with Keras's download than with random weights
BLOCKS = {  # as the papers and Keras's names count them; what is not in a block belongs to a neighbour
    "convnexttiny": 3 + 3 + 9 + 3,
    "densenet201": 4,
    "efficientnetb3": 2 + 3 + 3 + 5 + 5 + 6 + 2,
    "efficientnetv2s": 2 + 4 + 4 + 6 + 9 + 15,
    "inceptionresnetv2": 1 + 10 + 1 + 20 + 1 + 10,
    "inceptionv3": 11,
    "mobilenetv3large": 15,
    "resnet50": 3 + 4 + 6 + 3,
    "resnet50v2": 3 + 4 + 6 + 3,
    "vgg16": 5,
    "xception": 14,
}
LARGEST_INDEX = {"resnet50": 174, "vgg16": 18}  # Keras 3.15 lists 175 and 19 layers


def backbone_config(name):
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        return compose("train", [f"backbone={name}", "backbone.weights=null"]).backbone


@cache
def build(name):
    """Build a classifier of the smallest size, once for all tests. A test that freezes its layers unfreezes them."""
    from facemask_ensemble.models.classifier import build_classifier

    cfg = backbone_config(name)
    return build_classifier(cfg.name, instantiate(cfg.features), cfg.smallest_side, 3, cfg.dropout, **cfg.head)


@cache
def application(name, weights=None):
    """Build what Keras gives alone, once for all tests, and tell what it fetches; what is fetched is not read."""
    import keras
    from keras.src.utils import file_utils

    fetched = []

    def get_file(fname, origin, file_hash, **options):
        kind = "md5" if len(file_hash) == 32 else "sha256"
        fetched.append({"file": fname, "address": origin.removesuffix(f"/{fname}"), kind: file_hash})

    cfg = backbone_config(name)
    shape = (cfg.smallest_side, cfg.smallest_side, 3)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(file_utils, "get_file", get_file)
        patched.setattr(keras.Model, "load_weights", lambda model, path: None)
        return instantiate(cfg.features.application)(include_top=False, weights=weights, input_shape=shape), fetched


@pytest.fixture(scope="module", autouse=True)
def _networks_are_dropped_at_the_end():
    yield
    build.cache_clear()
    application.cache_clear()


def answer(model, pixels):
    """Ask a network once, without the graph that `predict` would make for it first."""
    return np.asarray(model(pixels, training=False))


def some_pixels(size, count=2):
    return np.random.default_rng(0).integers(0, 256, (count, size, size, 3)).astype("float32")


def features_of(model, pixels):
    import keras

    return answer(keras.Model(model.input, model.get_layer("features").output), pixels)


def assert_same_features(found, expected):
    """Compare in units of their own spread: those of a random network are about 1e-5."""
    spread = expected.std()
    np.testing.assert_allclose(found / spread, expected / spread, atol=1e-3)


def pixels_input():
    import keras

    return keras.Input((32, 32, 3))


def test_every_pretrained_leaf_is_tested_here():
    leaves = {leaf.stem for leaf in (CONF_DIR / "backbone").glob("*.yaml") if "[_pretrained]" in leaf.read_text()}
    assert leaves == set(KERAS_MODULE)


@pytest.mark.parametrize("name", [name for name in KERAS_MODULE if name not in INSIDE])
def test_preprocessing_equals_that_of_keras(name, tmp_path):
    import keras

    from facemask_ensemble.models.backbones import preprocess
    from facemask_ensemble.models.classifier import load_classifier

    pixels = keras.Input((8, 8, 3))
    own = keras.Model(pixels, keras.layers.Identity()(preprocess(pixels, backbone_config(name).features.preprocessing)))
    own.save(tmp_path / "own.keras")
    module = importlib.import_module(f"keras.applications.{KERAS_MODULE[name]}")
    expected = module.preprocess_input(some_pixels(8).copy())
    found = answer(load_classifier(tmp_path / "own.keras"), some_pixels(8))
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=2e-6)


@pytest.mark.heavy
@pytest.mark.parametrize("name", INSIDE)
def test_a_file_of_weights_gives_the_features_of_keras_with_its_own_preprocessing(name, tmp_path):
    """The file is written as the official ones are, with the preprocessing's layer in the network."""
    import h5py
    import keras
    from keras.src.legacy.saving.legacy_h5_format import save_weights_to_hdf5_group

    from facemask_ensemble.models.classifier import build_classifier

    cfg = backbone_config(name)
    official = getattr(
        keras.applications, {"convnexttiny": "ConvNeXtTiny", "mobilenetv3large": "MobileNetV3Large"}[name]
    )
    keras.utils.set_random_seed(0)
    source = official(include_top=False, weights=None, input_shape=(64, 64, 3))
    for weight in source.weights:  # 1e-6 of a block's own output would hide all of it
        if "layer_scale" in weight.path:
            weight.assign(keras.ops.ones_like(weight))
    with h5py.File(tmp_path / "own_notop.h5", "w") as file:
        save_weights_to_hdf5_group(file, source)
    features = instantiate(cfg.features, weights=str(tmp_path / "own_notop.h5"))
    model = build_classifier(name, features, 64, 3)
    assert_same_features(features_of(model, some_pixels(64)), answer(source, some_pixels(64)))


def test_the_two_backbones_that_came_later_take_a_file_of_eight_lines():
    assert [len((CONF_DIR / "backbone" / f"{name}.yaml").read_text().splitlines()) for name in INSIDE] == [8, 8]


def test_caffe_turns_red_green_blue_round_and_takes_the_mean_off():
    import keras

    from facemask_ensemble.models.backbones import preprocess

    pixels = keras.Input((1, 1, 3))
    found = answer(keras.Model(pixels, preprocess(pixels, "caffe")), np.float32([[[[10, 20, 30]]]]))
    np.testing.assert_allclose(found[0, 0, 0], [30 - 103.939, 20 - 116.779, 10 - 123.68], rtol=1e-6)


def test_an_unknown_preprocessing_is_refused():
    from facemask_ensemble.models.backbones import preprocess

    with pytest.raises(InputError, match="must be raw, symmetric, imagenet, efficientnet_v1 or caffe. Received: tf"):
        preprocess(pixels_input(), "tf")


@pytest.mark.heavy
@pytest.mark.parametrize("name", KERAS_MODULE)
def test_every_backbone_is_one_flat_graph_that_survives_saving(name, tmp_path):
    import keras

    from facemask_ensemble.models.classifier import load_classifier

    model = build(name)
    assert not any(isinstance(layer, keras.Model) for layer in model.layers)
    assert model.name == name
    assert len(model.get_layer("features").output.shape) == 4
    pixels = some_pixels(model.input.shape[1])
    before = answer(model, pixels)
    np.testing.assert_allclose(before.sum(axis=1), 1, atol=1e-5)
    model.save(tmp_path / "model.keras")
    np.testing.assert_allclose(answer(load_classifier(tmp_path / "model.keras"), pixels), before, atol=1e-5)


@pytest.mark.heavy
@pytest.mark.parametrize("name", KERAS_MODULE)
def test_the_official_file_is_the_one_that_keras_fetches(name):
    _, fetched = application(name, "imagenet")
    assert fetched == [dict(backbone_config(name).official)]


@pytest.mark.heavy
@pytest.mark.parametrize("name", KERAS_MODULE)
def test_every_backbone_has_its_blocks_and_each_begins_where_the_last_one_ends(name):
    import keras

    from facemask_ensemble.models.classifier import backbone_layers
    from facemask_ensemble.models.flattening import flatten
    from facemask_ensemble.models.freezing import blocks

    cfg = backbone_config(name)
    model = build(name)
    found = blocks(model, cfg.block_ends)
    assert len(found) == BLOCKS[name]
    order = {layer.name: place for place, layer in enumerate(model.layers)}
    for before, block in zip(found, found[1:], strict=False):
        inside = {layer.name for layer in block}
        assert entries(block, order) - inside == {before[-1].name}
    alone = flatten(application(name, None if name in ONE_LAYER_MORE else "imagenet")[0])
    kinds = [type(layer) for layer in alone.layers]
    assert [type(layer) for layer in backbone_layers(model)] == kinds
    assert kinds[0] is keras.layers.InputLayer
    named = {layer.name: index for index, layer in enumerate(alone.layers) if not layer.name[-1].isdigit()}
    own = {layer.name: index for index, layer in enumerate(backbone_layers(model))}
    assert {key: own[key] for key in named if key in own} == {key: at for key, at in named.items() if key in own}


def entries(block, order):
    """Name the layers that a block reads from; of an addition that is no layer, the later of those that it adds."""

    def source(tensor):
        operation = tensor._keras_history.operation
        if operation.name in order:
            return operation.name
        return max((source(given) for given in operation._inbound_nodes[-1].input_tensors), key=order.get)

    inputs = [layer.input if isinstance(layer.input, list) else [layer.input] for layer in block]
    return {source(tensor) for tensors in inputs for tensor in tensors}


@pytest.mark.heavy
@pytest.mark.parametrize("name", LARGEST_INDEX)
def test_the_first_trainable_index_means_what_it_means_in_keras(name):
    from facemask_ensemble.models.freezing import freeze

    model, (alone, _) = build(name), application(name, "imagenet")
    for index in (1, 7, LARGEST_INDEX[name]):
        for layer in alone.layers:
            layer.trainable = True
        for layer in alone.layers[:index]:
            layer.trainable = False
        freeze(model, first_trainable=index)
        expected = [weight.path for weight in alone.trainable_weights]
        assert [weight.path for weight in model.trainable_weights] == [
            *expected,
            "probabilities/kernel",
            "probabilities/bias",
        ]
    with pytest.raises(InputError, match=f"has {LARGEST_INDEX[name] + 1} layers"):
        freeze(model, first_trainable=LARGEST_INDEX[name] + 1)
    freeze(model)


@pytest.mark.heavy
def test_a_random_start_sets_batch_norm_momentum_and_switches_stochastic_depth_off():
    import keras

    model = build("efficientnetb3")
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    rates = {layer.name: layer.rate for layer in model.layers if isinstance(layer, keras.layers.Dropout)}
    assert {layer.momentum for layer in norms} == {0.9}
    assert rates.pop("dropout") == 0.2
    assert set(rates.values()) == {0.0}


def small_application(*, include_top, input_tensor, weights, channels=4):
    import keras

    assert not include_top
    x = keras.layers.Conv2D(channels, 3)(input_tensor)
    x = keras.layers.BatchNormalization()(x)
    model = keras.Model(keras.utils.get_source_inputs(input_tensor), x)
    if weights:
        model.load_weights(weights)
    return model


def small_features(weights, **options):
    from facemask_ensemble.models.backbones import features

    return features(pixels_input(), application=small_application, preprocessing="raw", weights=weights, **options)


@pytest.mark.parametrize(("preprocessing", "spread"), [("raw", 1), ("caffe", 255 * (0.229 + 0.224 + 0.225) / 3)])
def test_an_initializer_draws_every_kernel_anew_for_the_spread_of_its_input(preprocessing, spread):
    """He's normal has the variance 2 / fan-in, here 2 / (9 * 3) (truncated at two deviations, and widened for it)."""
    import keras

    from facemask_ensemble.models.backbones import features

    keras.utils.set_random_seed(0)
    application = partial(small_application, channels=400)
    build = partial(features, application=application, preprocessing=preprocessing, weights=None)
    norms = [build(pixels_input(), initializer="he_normal")._keras_history.operation for _ in range(2)]
    drawn = [norm.input._keras_history.operation.get_weights()[0] for norm in norms]
    assert drawn[0].std() == pytest.approx((2 / 27) ** 0.5 / spread, rel=0.03)
    assert not np.array_equal(*drawn)


def test_a_weights_file_of_another_network_is_refused(tmp_path):
    path = tmp_path / "other.weights.h5"
    other = small_application(include_top=False, input_tensor=pixels_input(), weights=None, channels=8)
    other.save_weights(path)
    with pytest.raises(InputError, match=r"other.weights.h5: not the weights of small_application without top"):
        small_features(str(path))


def test_a_file_that_holds_no_weights_is_refused(tmp_path):
    path = tmp_path / "notes.weights.h5"
    path.write_text("nothing")
    with pytest.raises(InputError, match="not the weights of small_application"):
        small_features(str(path))


def test_a_missing_weights_file_is_refused():
    with pytest.raises(InputError, match="backbone.weights=/no/such.h5: no such file"):
        small_features("/no/such.h5")


def test_the_official_file_in_a_folder_is_loaded(tmp_path):
    import hashlib

    source = small_application(include_top=False, input_tensor=pixels_input(), weights=None)
    source.save_weights(tmp_path / "small.weights.h5")
    md5 = hashlib.md5((tmp_path / "small.weights.h5").read_bytes()).hexdigest()
    official = {"file": "small.weights.h5", "md5": md5, "address": "https://example.org"}
    norm = small_features(str(tmp_path), official=official)._keras_history.operation
    expected = source.layers[1].get_weights()
    for own, given in zip(norm.input._keras_history.operation.get_weights(), expected, strict=True):
        np.testing.assert_array_equal(own, given)
    with pytest.raises(InputError, match=f"its md5 is {md5} and the official file's 0;"):
        small_features(str(tmp_path), official=official | {"md5": "0"})


def short_b3(**options):
    """Build what `keras.applications.EfficientNetB3` does, with 10 of its 26 blocks: every stage, four additions."""
    from keras.src.applications import efficientnet

    width, fewer_blocks, side = 1.2, 0.5, 300
    return efficientnet.EfficientNet(width, fewer_blocks, side, name="efficientnetb3", weights_name="b3", **options)


@pytest.fixture(scope="module")
def efficientnet_file(tmp_path_factory):
    """Weights of an EfficientNetB3 whose own normalisation is ImageNet's, as in the official file."""
    import keras

    source = short_b3(include_top=False, weights=None, input_shape=(64, 64, 3))
    norm = next(layer for layer in source.layers if isinstance(layer, keras.layers.Normalization))
    mean, variance = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225]) ** 2
    norm.set_weights([mean, variance, np.array(0)] if len(norm.weights) == 3 else [mean, variance])
    path = tmp_path_factory.mktemp("weights") / "efficientnetb3_notop.weights.h5"
    source.save_weights(path)
    return path


@pytest.fixture(scope="module")
def downloaded(efficientnet_file):
    """Build a classifier from the file as Keras does where it has downloaded it, once for every size."""
    from keras.src.utils import file_utils

    @cache
    def build(size):
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(file_utils, "get_file", lambda *args, **kwargs: str(efficientnet_file))
            return efficientnet("imagenet", size)

    return build


def efficientnet(weights, size):
    from facemask_ensemble.models.backbones import features
    from facemask_ensemble.models.classifier import build_classifier

    backbone = partial(features, application=short_b3, preprocessing="efficientnet_v1", weights=weights)
    return build_classifier("efficientnetb3", backbone, size, 3)


@pytest.mark.heavy
def test_efficientnet_b3_gives_the_same_features_from_a_file_as_from_the_download(efficientnet_file, downloaded):
    """Keras builds one more layer for the downloaded weights; a file of the same weights has to match that."""
    from facemask_ensemble.models.classifier import backbone_layers

    models = [downloaded(64), efficientnet(str(efficientnet_file), 64)]
    answers = [features_of(model, some_pixels(64)) for model in models]
    assert_same_features(answers[1], answers[0])
    at = [[layer.name for layer in backbone_layers(model)].index("stem_conv") for model in models]
    assert at[0] == at[1]


@pytest.mark.heavy
def test_a_classifier_from_an_efficientnet_b3_keeps_its_extra_layer_and_pads_for_its_own_size(downloaded, tmp_path):
    """75 px give odd maps where 64 px gave even ones; the network built at 75 px with the same weights is the truth."""
    from facemask_ensemble.models.transfer import start_from_member

    member = downloaded(64)
    member.save(tmp_path / "model.keras")
    model = start_from_member(tmp_path / "model.keras", "efficientnetb3", 75, 2)
    assert len(model.layers) == len(member.layers)
    assert_same_features(features_of(model, some_pixels(75)), features_of(downloaded(75), some_pixels(75)))
