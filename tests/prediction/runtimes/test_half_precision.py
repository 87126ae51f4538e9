"""A member trained in float16 on a GPU: a processor answers for it in float32, the same on every path."""

import numpy as np
import pytest

from facemask_ensemble.ensemble.sources import Source

pytestmark = pytest.mark.heavy
SIZE, IMAGES = 16, 24
MEAN = np.array([0.485, 0.456, 0.406]) * 255  # of ImageNet, as in a pretrained EfficientNetB3
VARIANCE = (np.array([0.229, 0.224, 0.225]) * 255) ** 2
ROUNDING = 0.01


@pytest.fixture(scope="module")
def member(tmp_path_factory):
    """A member in mixed_float16 that has mean and variance in its weights, and its file."""
    import keras

    from facemask_ensemble.models.classifier import build_classifier

    def backbone(pixels):
        scale = keras.layers.Normalization(name="scale")
        x = scale(pixels)
        scale.set_weights([MEAN, VARIANCE, np.array(0)])
        scale.finalize_state()
        return keras.layers.Conv2D(8, 3, activation="relu")(x)

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        keras.utils.set_random_seed(0)
        model = build_classifier("half", backbone, SIZE, 3)
    finally:
        keras.config.set_dtype_policy(before)
    kernel, bias = model.get_layer("probabilities").get_weights()
    model.get_layer("probabilities").set_weights([8 * kernel, bias])
    file = tmp_path_factory.mktemp("member") / "model.keras"
    model.save(file)
    return model, file


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Images of coloured blocks at the member's size, as files and as pixels."""
    from PIL import Image

    folder, rng, pixels = tmp_path_factory.mktemp("photos"), np.random.default_rng(0), []
    for number in range(IMAGES):
        blocks = Image.fromarray(rng.integers(0, 256, (2, 2, 3), np.uint8))
        image = blocks.resize((SIZE, SIZE), Image.Resampling.NEAREST)
        image.save(folder / f"{number:02d}.png")
        pixels.append(np.asarray(image))
    return sorted(folder.iterdir()), np.stack(pixels)


def by_predict(file, photos, place):
    from facemask_ensemble.prediction.runtimes import keras

    [network] = keras.load([Source("half", file)], 8)  # also that of the service, the page and the webcam
    return network(photos[1])


def by_evaluate(file, photos, place):
    from facemask_ensemble.prediction.answers import predict_all

    return predict_all({"half": file}, photos[0], 8)[0]


def by_heatmaps(file, photos, place):
    """The cut network that heatmaps explain, asked for its probabilities."""
    import keras

    from facemask_ensemble.explanation.surrogate import surrogate
    from facemask_ensemble.models.classifier import load_classifier

    cut = surrogate(load_classifier(file), SIZE, SIZE)
    return keras.ops.convert_to_numpy(keras.ops.softmax(cut(photos[1].astype("float32"))))


def by_openvino(file, photos, place):
    from facemask_ensemble.prediction.runtimes import openvino

    [network] = openvino.load([Source("half", file)], 8, "float32", differ=None)
    return network(photos[1])


def by_export(file, photos, place):
    """A SavedModel as `export` writes it, opened by TensorFlow."""
    from facemask_ensemble.exporting import savedmodel
    from facemask_ensemble.exporting.graphs import member_graph
    from facemask_ensemble.models.classifier import load_classifier
    from facemask_ensemble.models.copying import in_float32

    graph = member_graph("half", in_float32(load_classifier(file, as_trained=True)))
    return savedmodel.read(graph.save(place / "saved"))({"pixels": photos[1]})["probabilities"]


@pytest.mark.parametrize("ask", [by_predict, by_evaluate, by_heatmaps, by_openvino, by_export])
def test_a_path_gives_the_members_probabilities_but_for_rounding(ask, member, photos, tmp_path):
    model, file = member
    expected = model.predict(photos[1], verbose=0)
    assert len(set(expected.argmax(axis=1))) > 1
    found = ask(file, photos, tmp_path)
    assert np.abs(found - expected).max() < ROUNDING


def test_probabilities_that_forget_the_mean_and_the_variance_differ_by_more_than_rounding(member, photos):
    """What the test above would miss is told by it: weights that are set behind a Normalization's back."""
    import keras

    model, _ = member
    forgetful = keras.models.clone_model(model)
    forgetful.set_weights(model.get_weights())
    expected = model.predict(photos[1], verbose=0)
    assert not np.abs(forgetful.predict(photos[1], verbose=0) - expected).max() < 10 * ROUNDING


def compute_dtypes(model):
    return {layer.compute_dtype for layer in model.layers}


@pytest.mark.parametrize(
    ("devices", "instructions", "dtype", "kept"),
    [
        (["cpu:0"], (), "float16", False),
        (["cpu:0"], ("amx_bf16", "avx512_bf16"), "float16", False),
        (["cpu:0"], (), "bfloat16", False),
        (["cpu:0"], ("avx512_bf16",), "bfloat16", True),
        (["cpu:0", "gpu:0"], (), "float16", True),
        (["cpu:0", "gpu:0"], (), "bfloat16", True),
    ],
)
def test_half_precision_is_kept_where_it_is_the_faster_one(
    devices, instructions, dtype, kept, member, tmp_path, monkeypatch
):
    import keras

    from facemask_ensemble.models import hardware
    from facemask_ensemble.models.classifier import load_classifier
    from facemask_ensemble.models.copying import copy_model

    file = tmp_path / "model.keras"
    copy_model(member[0], f"mixed_{dtype}").save(file)
    monkeypatch.setattr(keras.distribution, "list_devices", lambda: devices)
    monkeypatch.setattr(hardware, "processor", lambda: ("A Processor 9000", instructions))
    assert (dtype in compute_dtypes(load_classifier(file))) == kept
    assert kept or compute_dtypes(load_classifier(file)) == {"float32"}
    assert dtype in compute_dtypes(load_classifier(file, as_trained=True))


def test_a_members_cost_is_that_of_the_precision_in_which_it_answers_here(member, tmp_path, monkeypatch):
    import keras

    from facemask_ensemble.prediction.costs import member_costs

    monkeypatch.setattr(keras.distribution, "list_devices", lambda: ["cpu:0"])
    assert member_costs({"half": member[1]}, tmp_path, batch_size=2, images=2)["half"]["precision"] == "float32"
