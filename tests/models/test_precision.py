import keras
import pytest
import tensorflow as tf

from facemask_ensemble.models.classifier import build_classifier
from facemask_ensemble.models.precision import choose_policy, set_policy
from facemask_ensemble.models.scratch import convolutions


@pytest.fixture
def policy():
    """Put the global policy back after the test."""
    before = keras.config.dtype_policy()
    yield before
    keras.config.set_dtype_policy(before)


@pytest.fixture
def devices(monkeypatch):
    """Let TensorFlow report GPUs of these compute capabilities; None for one that reports none."""

    def report(*capabilities):
        details = [{} if found is None else {"compute_capability": found} for found in capabilities]
        monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: list(range(len(details))))
        monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda gpu: details[gpu])

    return report


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ([], "float32"),
        ([(8, 0)], "mixed_float16"),
        ([(7, 0)], "mixed_float16"),
        ([(6, 1)], "float32"),
        ([(9, 0), (6, 1)], "float32"),
        ([None], "float32"),
    ],
)
def test_auto_is_half_precision_only_where_every_gpu_has_tensor_cores(capabilities, expected, devices):
    devices(*capabilities)
    assert choose_policy("auto") == expected


@pytest.mark.parametrize("precision", ["float32", "mixed_float16", "mixed_bfloat16"])
def test_a_precision_asked_for_is_taken_whatever_the_device(precision, devices):
    devices((9, 0))
    assert choose_policy(precision) == precision


@pytest.mark.parametrize(
    ("precision", "compute"),
    [("float32", "float32"), ("mixed_float16", "float16"), ("mixed_bfloat16", "bfloat16")],
)
def test_networks_built_after_it_compute_in_it_and_keep_float32_weights_and_answers(precision, compute, policy):
    assert set_policy(precision) == precision
    assert keras.config.dtype_policy().name == precision
    model = build_classifier("small", lambda pixels: convolutions(pixels, filters=[4, 4]), 16, 3)
    convolution = next(layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D))
    assert convolution.compute_dtype == compute
    assert {weight.dtype for weight in model.weights} == {"float32"}
    assert model.get_layer("probs").compute_dtype == "float32"
    assert model.output.dtype == "float32"
