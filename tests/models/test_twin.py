"""The float32 twin of a classifier in half precision."""

import numpy as np
import pytest

pytestmark = pytest.mark.heavy


@pytest.fixture
def half():
    """A classifier of mixed_bfloat16 whose preprocessing has numbers of its own."""
    import keras

    from facemask_ensemble.models.classifier import build_classifier

    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        return build_classifier(
            "half",
            lambda pixels: keras.layers.Conv2D(4, 3)(
                keras.layers.Normalization(mean=[120.0, 110, 100], variance=[3600.0, 3000, 2500], dtype="float32")(
                    pixels
                )
            ),
            8,
            3,
        )
    finally:
        keras.config.set_dtype_policy("float32")


def test_a_twin_has_the_weights_and_the_answers_of_its_original_but_for_rounding(half):
    from facemask_ensemble.models.twin import computes_in_half, float32_twin

    twin = float32_twin(half)
    assert computes_in_half(half)
    assert not computes_in_half(twin)
    for mine, theirs in zip(twin.get_weights(), half.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    pixels = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3)).astype("float32")
    found, expected = (model.predict(pixels, verbose=0) for model in (twin, half))
    np.testing.assert_allclose(found, expected, atol=0.02)
    assert (found != expected).any()


def test_a_classifier_in_float32_is_its_own_twin(half):
    from facemask_ensemble.models.twin import float32_twin

    twin = float32_twin(half)
    assert float32_twin(twin) is twin
