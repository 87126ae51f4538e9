"""Copies of a model: all of its state, in its own dtype policy or in another."""

import numpy as np
import pytest

pytestmark = pytest.mark.heavy
MEAN, VARIANCE = np.array([120.0, 110, 100]), np.array([3600.0, 3000, 2500])


@pytest.fixture
def policy():
    """Set the global dtype policy; what it was before is set again."""
    import keras

    before = keras.config.dtype_policy()
    yield keras.config.set_dtype_policy
    keras.config.set_dtype_policy(before)


def adapted(name):
    """A Normalization that has got its mean and variance from data, which its config does not hold."""
    import keras

    layer = keras.layers.Normalization(name=name)
    layer.build((None, None, None, 3))
    layer.adapt_mean.assign(MEAN)
    layer.adapt_variance.assign(VARIANCE)
    layer.finalize_state()
    return layer


def given(name):
    import keras

    return keras.layers.Normalization(mean=MEAN.tolist(), variance=VARIANCE.tolist(), name=name)


def nested(name):
    """The same within a model that is a layer of the network, as ConvNeXt has them."""
    import keras

    return keras.Sequential([keras.Input((8, 8, 3)), adapted("inner"), keras.layers.Conv2D(3, 1)], name=name)


def classifier(scale):
    import keras

    from facemask_ensemble.models.classifier import build_classifier

    keras.utils.set_random_seed(0)
    model = build_classifier("small", lambda pixels: keras.layers.Conv2D(4, 3)(scale("scale")(pixels)), 8, 3)
    kernel, bias = model.get_layer("probabilities").get_weights()
    model.get_layer("probabilities").set_weights([8 * kernel, bias])
    return model


def some_pixels():
    return np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3)).astype("float32")


def answers(model):
    return model.predict(some_pixels(), verbose=0)


def inside(model):
    """All layers that compute, those of nested models too, but for the models themselves."""
    for layer in model.layers:
        if type(layer).__name__ != "InputLayer":
            yield from inside(layer) if hasattr(layer, "layers") else [layer]


@pytest.mark.parametrize("scale", [given, adapted, nested])
@pytest.mark.parametrize("trained_in", ["float32", "mixed_float16", "mixed_bfloat16"])
def test_a_copy_in_the_same_policy_answers_exactly_as_the_model_does(scale, trained_in, policy):
    from facemask_ensemble.models.copying import copy_model

    policy(trained_in)
    model = classifier(scale)
    policy("float32")
    copy = copy_model(model)
    np.testing.assert_array_equal(answers(copy), answers(model))
    assert [layer.dtype_policy.name for layer in inside(copy)] == [layer.dtype_policy.name for layer in inside(model)]
    assert not {id(variable) for variable in copy.variables} & {id(variable) for variable in model.variables}


@pytest.mark.parametrize("scale", [given, adapted, nested])
@pytest.mark.parametrize(("trained_in", "rounding"), [("mixed_float16", 0.01), ("mixed_bfloat16", 0.05)])
def test_a_copy_in_float32_has_the_weights_and_the_answers_but_for_rounding(scale, trained_in, rounding, policy):
    from facemask_ensemble.models.copying import half_dtypes, in_float32

    policy(trained_in)
    model = classifier(scale)
    policy("float32")
    copy = in_float32(model)
    assert half_dtypes(model) == {trained_in.removeprefix("mixed_")}
    assert {layer.compute_dtype for layer in inside(copy)} == {"float32"}
    for mine, theirs in zip(copy.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert np.abs(answers(copy) - answers(model)).max() < rounding
    assert (answers(copy) != answers(model)).any()
    assert np.ptp(answers(model), axis=0).max() > 0.2  # the answers tell images apart


def test_a_model_in_float32_is_its_own_copy_in_float32():
    from facemask_ensemble.models.copying import in_float32

    model = classifier(adapted)
    assert in_float32(model) is model


def test_a_copy_in_half_precision_scales_pixels_in_float32_wherever_it_does_so(policy):
    from facemask_ensemble.models.copying import copy_model, half_dtypes

    copy = copy_model(classifier(nested), "mixed_bfloat16")
    dtypes = {layer.name: layer.compute_dtype for layer in inside(copy)}
    assert dtypes["inner"] == "float32"
    assert half_dtypes(copy) == {"bfloat16"}
    assert np.abs(answers(copy) - answers(classifier(nested))).max() < 0.05


def test_a_copy_draws_the_same_random_numbers_as_the_model():
    import keras

    from facemask_ensemble.models.copying import copy_model

    model = classifier(adapted)
    model(some_pixels(), training=True)  # its dropout has drawn once
    copy = copy_model(model)
    assert len(copy.variables) == len(model.variables) > len(model.weights)
    for mine, theirs in zip(copy.variables, model.variables, strict=True):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(mine), keras.ops.convert_to_numpy(theirs))


def test_a_frozen_layer_stays_frozen_in_a_copy():
    from facemask_ensemble.models.copying import copy_model

    model = classifier(adapted)
    model.get_layer("probabilities").trainable = False
    assert [layer.trainable for layer in copy_model(model).layers] == [layer.trainable for layer in model.layers]


def test_the_state_of_a_layer_of_another_shape_is_refused_and_nothing_is_changed():
    import keras

    from facemask_ensemble.models.copying import copy_state

    wide, narrow = keras.layers.Dense(3, name="wide"), keras.layers.Dense(2, name="narrow")
    wide.build((None, 4))
    narrow.build((None, 4))
    before = narrow.get_weights()
    with pytest.raises(ValueError, match=r"'wide' has variables of \[\(4, 3\), \(3,\)\], its copy 'narrow' of"):
        copy_state(wide, narrow)
    for kept, old in zip(narrow.get_weights(), before, strict=True):
        np.testing.assert_array_equal(kept, old)
