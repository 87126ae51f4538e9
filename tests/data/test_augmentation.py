import hashlib
import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf
from processes import HANG
from scipy.ndimage import label

from facemask_ensemble.config import CONF_DIR, options
from facemask_ensemble.errors import InputError
from facemask_ensemble.settings import read
from facemask_ensemble.settings.groups import Augmentation, Mixup

NAMES = [name for name in options("augmentation") if name != "none"]


def configured(name, seed=3):
    from hydra.utils import instantiate

    from facemask_ensemble.data.augmentation import augmentation

    settings = read(Augmentation, OmegaConf.to_container(OmegaConf.load(f"{CONF_DIR}/augmentation/{name}.yaml")))
    return augmentation([instantiate(layer.call) for layer in settings.layers], settings.mixup, seed)


def images(augment, count=7, passes=1):
    """Give the augmented batches of four noise images, in tf.data."""
    import tensorflow as tf

    rng = np.random.default_rng(0)
    pixels, labels = rng.integers(0, 256, (count, 32, 24, 3)).astype("uint8"), rng.integers(0, 3, count)
    data = tf.data.Dataset.from_tensor_slices((pixels, np.eye(3, dtype=np.float32)[labels]))
    return data.batch(4).repeat(passes).map(augment).prefetch(2)


def digest(batches):
    """Tell apart batches that differ in a single bit."""
    return hashlib.sha256(b"".join(part.numpy().tobytes() for batch in batches for part in batch)).hexdigest()


@cache
def digest_of(name):
    """Tell the batches of an augmentation where the network computes in float32."""
    return digest(images(configured(name)))


@cache
def digests():
    """Tell each augmentation's batches, its random states as a checkpoint keeps them, and what follows on those."""
    import keras

    found = {}
    for name in NAMES:
        augment, resumed = configured(name), configured(name, seed=99)
        found[name] = [digest(images(augment, passes=2))]
        saved = [keras.ops.convert_to_numpy(state) for state in augment.variables]
        for state, value in zip(resumed.variables, saved, strict=True):
            state.assign(value)
        found[name] += [[value.tolist() for value in saved], digest(images(augment)), digest(images(resumed))]
    return found


def test_no_layers_are_no_function():
    assert configured("none") is None


@pytest.mark.parametrize("name", NAMES)
def test_float32_in_0_to_255_and_labels_come_out_of_batches_of_any_size(name):
    import tensorflow as tf

    data = images(configured(name))
    assert data.element_spec == (tf.TensorSpec((None, 32, 24, 3), tf.float32), tf.TensorSpec((None, 3), tf.float32))
    first, last = ((pixels.numpy(), labels.numpy()) for pixels, labels in data)
    assert [len(first[0]), len(last[0])] == [4, 3]
    assert 0 <= first[0].min() < first[0].max() <= 255
    np.testing.assert_allclose(first[1].sum(axis=1), 1)


@pytest.mark.heavy
def test_a_training_that_goes_on_from_saved_states_draws_what_an_uninterrupted_one_would():
    for name, (first, saved, then, resumed) in digests().items():
        assert first != then == resumed, name
        assert all(count > 0 for _, count in saved[:1]), name


def test_draws_follow_from_the_seed_and_not_from_what_ran_before():
    import keras

    keras.utils.set_random_seed(1)
    first = digest(images(configured("standard")))
    keras.utils.set_random_seed(2)
    keras.layers.RandomFlip()
    assert digest(images(configured("standard"))) == first
    assert digest(images(configured("standard", seed=4))) != first


def test_every_layer_has_a_seed_of_its_own():
    augment = configured("rand_augment")
    assert len({int(state[0]) for state in augment.variables}) == len(augment.variables) == 9


def test_the_states_of_layers_within_layers_are_found():
    import keras

    from facemask_ensemble.data.augmentation import augmentation

    flip = keras.layers.RandomFlip("horizontal", dtype="float32")
    inner = keras.layers.Pipeline([flip, keras.layers.RandomBrightness(0.1, dtype="float32")])
    noise = keras.layers.GaussianNoise(0.1, dtype="float32")
    augment = augmentation([inner, noise], None, 0)
    assert [int(state[1]) for state in augment.variables] == [0, 0, 0]
    list(images(augment))
    assert all(int(state[1]) > 0 for state in augment.variables)


TESTS = str(Path(__file__).parents[1])  # where this file's own imports are


UNDER_JAX = """
import importlib.util, json, sys

import keras
assert keras.backend.backend() == "jax"
from facemask_ensemble.data.augmentation import augmentation

spec = importlib.util.spec_from_file_location("here", sys.argv[1])
here = importlib.util.module_from_spec(spec)
spec.loader.exec_module(here)
print(json.dumps(here.digests()))
augmentation([keras.layers.GaussianNoise(0.1, dtype="float32", name="noise")], None, 0)
"""


@pytest.fixture(scope="module")
def under_jax():
    """Run a process where Keras computes with JAX: it tells its digests and ends by a layer that is refused."""
    pytest.importorskip("jax")
    return subprocess.run(
        [sys.executable, "-c", UNDER_JAX, __file__],
        env={**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "PYTHONPATH": TESTS},
        capture_output=True,
        text=True,
        timeout=HANG,
        check=False,
    )


@pytest.mark.heavy
def test_every_augmentation_gives_the_same_bits_under_jax(under_jax):
    assert under_jax.stdout, under_jax.stderr[-3000:]
    assert json.loads(under_jax.stdout.splitlines()[-1]) == digests()


@pytest.mark.heavy
def test_under_jax_a_layer_that_does_not_run_in_tf_data_is_refused(under_jax):
    assert "InputError: augmentation layer 'noise' needs KERAS_BACKEND=tensorflow" in under_jax.stderr


def test_flip_gives_the_image_or_its_mirror_image_and_both():
    pixels = np.random.default_rng(0).integers(0, 256, (1, 8, 8, 3)).astype("uint8")
    flipped, _ = configured("flip")(np.repeat(pixels, 40, axis=0), np.zeros(40, np.int32))
    same = [np.array_equal(one, pixels[0]) for one in flipped]
    mirrored = [np.array_equal(one, pixels[0, :, ::-1]) for one in flipped]
    assert 5 < sum(same) < 35
    assert 5 < sum(mirrored) < 35
    assert sum(same) + sum(mirrored) == 40


@pytest.mark.heavy
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("name", NAMES)
def test_the_precision_of_the_network_makes_no_difference(name, policy):
    import keras

    expected = digest_of(name)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        found = digest(images(configured(name)))
    finally:
        keras.config.set_dtype_policy(before)
    assert found == expected


@pytest.mark.parametrize("name", ["flip", "standard", "rand_augment"])
def test_what_is_meant_for_scenes_keeps_every_corner_in_sight(name):
    image = np.zeros((67, 67, 3), np.uint8)
    for row in (0, 64):
        for column in (0, 64):
            image[row : row + 3, column : column + 3] = 255
    changed, _ = configured(name)(np.repeat(image[None], 200, axis=0), np.zeros(200, np.int32))
    seen = [label(one.mean(axis=-1) > one.mean() + 40)[1] for one in changed.numpy()]
    assert seen == [4] * 200


def test_classic_turns_by_up_to_20_degrees():
    augment = configured("classic")
    image = np.zeros((101, 101, 3), np.float32)
    image[50, 55:] = 255  # a ray to the right
    turned = np.asarray(augment.layers[0](np.repeat(image[None], 300, axis=0), training=True))[..., 0]
    rows, columns = np.mgrid[-50:51, -50:51]
    angles = np.degrees(np.arctan2((turned * rows).sum(axis=(1, 2)), (turned * columns).sum(axis=(1, 2))))
    assert 18.5 < angles.max() < 20.5
    assert -20.5 < angles.min() < -18.5


def test_classic_shears_by_a_slope_of_up_to_a_fifth():
    augment = configured("classic")
    image = np.zeros((101, 101, 3), np.float32)
    image[:, 50] = 255  # an upright line
    sheared = np.asarray(augment.layers[2](np.repeat(image[None], 300, axis=0), training=True))[..., 0]
    columns = (sheared * np.arange(101)).sum(axis=2) / sheared.sum(axis=2)
    slopes = (columns[:, 60] - columns[:, 20]) / 40
    assert 0.18 < slopes.max() < 0.202
    assert -0.202 < slopes.min() < -0.18


def test_mixup_alone_is_an_augmentation_and_takes_defaults():
    from facemask_ensemble.data.augmentation import augmentation

    augment = augmentation([], Mixup(alpha=0.3), 0)
    assert (augment.mixup.alpha, augment.mixup.classes) == (0.3, "same")


def test_a_key_that_mixup_has_not_is_refused():
    given = {"name": "mine", "layers": [], "mixup": {"alpha": 0.3, "class": "any"}}
    with pytest.raises(InputError, match="augmentation.mixup.class: there is no such key; did you mean .*.classes?"):
        read(Augmentation, given, above="augmentation")


def test_whole_number_labels_are_left_alone_without_mixup():
    _, labels = configured("flip")(np.zeros((3, 8, 8, 3), np.uint8), np.array([2, 0, 1]))
    np.testing.assert_array_equal(labels, [2, 0, 1])


def test_a_layer_in_half_precision_is_refused():
    import keras

    from facemask_ensemble.data.augmentation import augmentation

    coarse = keras.layers.RandomFlip("horizontal", dtype="mixed_bfloat16", name="coarse")
    with pytest.raises(InputError, match="'coarse' computes in bfloat16.*add `dtype: float32`"):
        augmentation([coarse], None, 0)
