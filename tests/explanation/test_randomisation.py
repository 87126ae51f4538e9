import json
import random
from functools import partial

import keras
import numpy as np
import pytest
import scipy.stats
from tf_keras_vis.gradcam import Gradcam

from facemask_ensemble.errors import InputError
from facemask_ensemble.explanation.heatmaps import Heatmaps, heatmaps
from facemask_ensemble.explanation.randomisation import _reinitialised, draw_edges, randomisation
from facemask_ensemble.explanation.similarity import rank_correlation
from facemask_ensemble.explanation.surrogate import surrogate
from facemask_ensemble.models.classifier import build_classifier
from facemask_ensemble.models.small_networks import convolutions

gradcam = partial(heatmaps, method=Gradcam)
STAGES = ["head", "last block", "half of the blocks", "everything"]
RED, OTHERS = (230, 40, 40), [(40, 230, 40), (40, 40, 230), (200, 200, 40)]


def blobs(count, seed):
    """Scatter blobs of three colours over noise; in images of class 1 one of them is red."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(60, 120, (count, 32, 32, 3)).astype(np.uint8)
    classes = np.arange(count) % 2
    for image, label in zip(pixels, classes, strict=True):
        for number, place in enumerate(rng.permutation(16)[:5]):
            row, column = 8 * (place // 4) + rng.integers(3), 8 * (place % 4) + rng.integers(3)
            colour = RED if label and number == 0 else OTHERS[rng.integers(3)]
            image[row : row + 6, column : column + 6] = colour
    return pixels, classes


@pytest.fixture(scope="module")
def trained():
    """A small network that has learned to find the red blob."""
    keras.utils.set_random_seed(0)
    model = build_classifier("blob_finder", partial(convolutions, filters=[8, 16]), 32, 2, dropout=0.0)
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
    pixels, classes = blobs(320, seed=0)
    model.fit(pixels, classes, batch_size=32, epochs=12, verbose=0)
    return model


def three_blocks(pixels):
    x = keras.layers.Rescaling(1 / 255, name="preprocessing")(pixels)
    x = keras.layers.Normalization(name="standardised")(x)
    for number in (1, 2, 3):
        x = keras.layers.Conv2D(4, 3, padding="same", name=f"block{number}_conv")(x)
        x = keras.layers.BatchNormalization(name=f"block{number}_norm")(x)
        x = keras.layers.ReLU(name=f"block{number}_out")(x)
    return x


def learned(seed=0):
    """A network of three blocks whose weights and statistics are none that it could start with."""
    model = build_classifier("three_blocks", three_blocks, 12, 2, hidden=(3,))
    rng = np.random.default_rng(seed)
    model.set_weights([rng.uniform(0.1, 0.9, one.shape).astype(one.dtype) for one in model.get_weights()])
    model.get_layer("standardised").finalize_state()
    return model


@pytest.fixture(scope="module")
def small():
    return learned()


def noise(count=3):
    return np.random.default_rng(1).integers(0, 256, (count, 12, 12, 3)).astype(np.uint8), np.zeros(count, int)


def checked(model, explain, pixels, classes, **options):
    maps = {"method": explain(model, pixels, classes)}
    return randomisation(model, pixels, classes, {"method": explain}, maps, **options)["method"]


def drawn(model, pixels, classes):
    """Explain by the brightness, and remember the weights of every model that was asked about."""
    drawn.weights.append({layer.name: layer.get_weights() for layer in model.layers if layer.weights})
    return Heatmaps((pixels.mean(axis=3) / 255).astype(np.float32), [None] * len(pixels))


@pytest.mark.heavy
def test_gradcam_of_a_trained_network_passes(trained):
    pixels, classes = blobs(24, seed=1)
    assert trained.evaluate(pixels, classes, verbose=0)[1] > 0.9
    red = classes == 1
    found = checked(trained, gradcam, pixels[red], classes[red])
    assert found["images"] + found["without_map"] == 12
    assert found["images"] >= 10
    assert found["passes"] is True
    assert found["similarity"] == found["stages"][-1]["similarity"] <= found["bound"] == 0.5
    assert json.loads(json.dumps(found)) == found


def test_a_method_that_draws_edges_fails(small):
    found = checked(small, draw_edges, *noise(), block_ends=r"block\d_out")
    assert found["passes"] is False
    assert [stage["similarity"] for stage in found["stages"]] == pytest.approx([1] * 4)
    assert [stage["by_repeat"] for stage in found["stages"]] == [pytest.approx([1] * 3)] * 4
    assert [stage["destroyed"] for stage in found["stages"]] == [0] * 4


def test_stages_destroy_the_head_then_the_last_block_then_half_then_everything(small):
    drawn.weights = []
    found = checked(small, drawn, *noise(), block_ends=r"block\d_out", repeats=1)
    assert [stage["stage"] for stage in found["stages"]] == STAGES
    own, *stages = drawn.weights
    parts = {f"{block}_{part}" for block in ("block1", "block2", "block3") for part in ("conv", "norm")}
    for weights, blocks in zip(reversed(stages), (3, 2, 1, 0), strict=True):
        kept = {name for name in own if all(map(np.array_equal, weights[name], own[name]))}
        expected = {part for part in parts if int(part[5]) <= blocks} | {"standardised"}
        assert kept == expected
    nothing = stages[0]
    np.testing.assert_array_equal(nothing["block1_norm"], [[1] * 4, [0] * 4, [0] * 4, [1] * 4])
    assert np.ptp(nothing["block2_conv"][0]) > 0
    assert np.ptp(nothing["probabilities"][0]) > 0


def test_without_names_of_blocks_every_layer_with_weights_is_one(small):
    drawn.weights = []
    checked(small, drawn, *noise(), repeats=1)
    own, _, half, last, _ = drawn.weights
    changed = [name for name in own if not all(map(np.array_equal, last[name], own[name]))]
    assert changed == ["block3_norm", "hidden_1", "probabilities"]
    # Seven layers with weights, of which three are kept.
    assert np.array_equal(half["block1_norm"], own["block1_norm"])
    assert not np.array_equal(half["block2_conv"][0], own["block2_conv"][0])


@pytest.mark.parametrize(
    ("block_ends", "stages"),
    [("block3_out", ["head", "everything"]), ("block[13]_out", ["head", "half of the blocks", "everything"])],
)
def test_a_stage_that_repeats_another_is_left_out(small, block_ends, stages):
    found = checked(small, draw_edges, *noise(), block_ends=block_ends)
    assert [stage["stage"] for stage in found["stages"]] == stages


@pytest.mark.heavy
def test_one_copy_is_traced_once_and_its_maps_are_those_of_the_weights_of_the_stage(small, monkeypatch):
    seen = []

    def explain(model, pixels, classes):
        seen.append((model, model.get_weights(), gradcam(model, pixels, classes)))
        return seen[-1][2]

    pixels, classes = noise()
    found = checked(small, explain, pixels, classes, block_ends=r"block\d_out", repeats=2)
    copies = [model for model, _, _ in seen[1:]]
    assert copies[0] is not small
    assert all(copy is copies[0] for copy in copies)
    assert surrogate(copies[0], 12, 12).get_layer("features").run.experimental_get_tracing_count() == 1
    assert len(copies) == 8
    for _, weights, maps in (seen[1], seen[7]):  # nothing of the first repeat, the last block of the second
        afresh = keras.models.clone_model(small)
        afresh.set_weights(weights)
        afresh.get_layer("standardised").finalize_state()
        expected = gradcam(afresh, pixels, classes)
        assert maps.reasons == expected.reasons
        np.testing.assert_allclose(maps.maps, expected.maps, atol=1e-4)
    separate = []
    for repeat in (0, 1):
        anew = partial(_reinitialised, repeat=repeat)
        monkeypatch.setattr("facemask_ensemble.explanation.randomisation._reinitialised", anew)
        separate.append(checked(small, gradcam, pixels, classes, block_ends=r"block\d_out", repeats=1))
    for number, stage in enumerate(found["stages"]):
        apart = [one["stages"][number]["similarity"] for one in separate]
        assert stage["by_repeat"] == pytest.approx(apart, abs=1e-6)
        assert stage["similarity"] == pytest.approx(np.mean(apart), abs=1e-6)


def test_no_repeat_of_one_seed_has_the_new_weights_of_a_repeat_of_another(small):
    drawn.weights = []
    for seed in (0, 1, 2):
        checked(small, drawn, *noise(1), block_ends=r"block\d_out", seed=seed, repeats=3)
    found = {weights["block1_conv"][0].tobytes() for weights in drawn.weights}
    assert len(found) == 1 + 9  # what was learned, and three times three new ones


def test_the_seed_fixes_the_new_weights_and_the_model_and_the_world_stay_as_they_were():
    model, before = learned(), random.getstate()
    weights, config = model.get_weights(), model.get_config()
    drawn.weights = []
    for seed in (0, 0, 1):
        checked(model, drawn, *noise(), seed=seed, repeats=1)
    one, same, other = (drawn.weights[5 * run + 1]["block1_conv"][0] for run in range(3))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)
    assert random.getstate() == before
    assert model.get_config() == config
    for kept, old in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(kept, old)


def test_a_new_map_that_is_no_explanation_counts_as_destroyed_and_an_image_without_a_map_does_not_count(small):
    pixels, classes = noise(3)
    heat = (pixels.mean(axis=3) / 255).astype(np.float32)
    asked = []

    def explain(model, pixels, classes):
        asked.append(len(pixels))
        return Heatmaps(heat[:2], [None, "zero everywhere"])

    maps = {"method": Heatmaps(heat, [None, None, "zero everywhere"])}
    found = randomisation(small, pixels, classes, {"method": explain}, maps, block_ends=r"block\d_out")["method"]
    assert (found["images"], found["without_map"]) == (2, 1)
    assert set(asked) == {2}
    assert found["stages"][0] == {"stage": "head", "similarity": 0.5, "by_repeat": [0.5] * 3, "destroyed": 3}
    assert found["passes"] is True  # 0.5 is the bound


def test_without_any_map_nothing_is_known(small):
    pixels, classes = noise(2)
    maps = {"method": Heatmaps(np.zeros((2, 12, 12), np.float32), ["zero", "zero"])}
    found = randomisation(small, pixels, classes, {"method": draw_edges}, maps)["method"]
    assert (found["passes"], found["similarity"], found["images"]) == (None, None, 0)


def test_the_bound_decides(small):
    assert checked(small, draw_edges, *noise(), bound=1.1)["passes"] is True


def test_edges_are_no_explanation_of_an_image_of_one_colour(small):
    assert draw_edges(small, np.full((1, 12, 12, 3), 9, np.uint8), np.zeros(1, int)).reasons == [
        "the image has no edges"
    ]


def test_rank_correlation_equals_scipys_with_ties_and_is_zero_for_a_flat_map():
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 4, (2, 5, 6, 7)) / 3
    found = rank_correlation(first, second)
    expected = [scipy.stats.spearmanr(one.ravel(), other.ravel())[0] for one, other in zip(first, second, strict=True)]
    np.testing.assert_allclose(found, expected)
    np.testing.assert_allclose(rank_correlation(first, 1 - first), -np.ones(5))
    assert rank_correlation(first, np.ones_like(first)).tolist() == [0] * 5


def test_large_maps_are_averaged_first():
    first, second = np.random.default_rng(0).random((2, 1, 64, 64)).astype(np.float32)
    means = [one.reshape(32, 2, 32, 2).mean(axis=(1, 3)).ravel() for one in (first[0], second[0])]
    np.testing.assert_allclose(rank_correlation(first, second), scipy.stats.spearmanr(*means)[0], atol=1e-6)


def test_no_repeat_is_refused(small):
    with pytest.raises(InputError, match="needs a repeat, received 0: 3 are usual"):
        checked(small, draw_edges, *noise(), repeats=0)


def test_blocks_that_are_not_there_and_a_model_of_another_build_are_refused(small):
    with pytest.raises(InputError, match="backbone.block_ends=stage: matches no layer"):
        checked(small, draw_edges, *noise(), block_ends="stage")
    other = keras.Sequential([keras.Input((12, 12, 3)), keras.layers.Flatten(), keras.layers.Dense(2)], name="other")
    with pytest.raises(InputError, match="'other' has no layer `features`"):
        checked(other, draw_edges, *noise())


def test_the_rank_correlation_of_maps_that_are_flat_but_for_rounding_is_zero():
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(3, 8, 8))
    flat, other = (0.3 + 2e-8 * noise).astype(np.float32), rng.random((3, 8, 8))
    assert np.ptp(flat) > 0
    assert rank_correlation(flat, flat).tolist() == rank_correlation(flat, other).tolist() == [0] * 3
    small = (1e-9 * noise**2).astype(np.float32)
    np.testing.assert_allclose(rank_correlation(small, small), np.ones(3))  # a small map is not flat
