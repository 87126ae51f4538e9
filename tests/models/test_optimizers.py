"""Adam by TensorFlow's kernel beside Keras's own: the same weights, the same state."""

import importlib.util
import os
import subprocess
import sys

import numpy as np
import pytest

OPTIONS = {
    "plain": {},
    "other numbers": {"beta_1": 0.8, "beta_2": 0.99, "epsilon": 1e-3},
    "weight decay": {"weight_decay": 0.1},
    "averaged weights": {"use_ema": True, "ema_momentum": 0.8},
    "averaged weights put back": {"use_ema": True, "ema_momentum": 0.8, "ema_overwrite_frequency": 2},
    "gradient shortened as a whole": {"global_clipnorm": 0.01},
    "gradients shortened one by one": {"clipnorm": 0.01},
    "gradients cut": {"clipvalue": 0.001},
    "gradients gathered": {"gradient_accumulation_steps": 2},
    "amsgrad": {"amsgrad": True},
}
ON_TWO_DEVICES = """
import tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
import sys

sys.path.insert(0, sys.argv[1])
import numpy as np
import test_optimizers as tests

strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
tests.assert_same(*tests.both(strategy=strategy, use_ema=True, weight_decay=0.1, global_clipnorm=0.1))
"""


def kinds(name="Adam"):
    import keras

    from facemask_ensemble.models import optimizers

    return getattr(keras.optimizers, name), getattr(optimizers, name)


def network():
    import keras

    keras.utils.set_random_seed(0)
    model = keras.Sequential([
        keras.Input((6, 6, 2)),
        keras.layers.Conv2D(4, 3, use_bias=False),  # BatchNorm would leave it gradients of nothing but rounding
        keras.layers.BatchNormalization(),
        keras.layers.Flatten(),
        keras.layers.Dense(3, activation="softmax", dtype="float32"),
    ])  # fmt: skip
    return model


def batches():
    import tensorflow as tf

    rng = np.random.default_rng(0)
    pixels = rng.normal(size=(64, 6, 6, 2)).astype(np.float32)
    labels = np.eye(3, dtype=np.float32)[rng.integers(3, size=64)]
    return tf.data.Dataset.from_tensor_slices((pixels, labels)).batch(8)


def learn(kind, model=None, strategy=None, learning_rate=0.01, epochs=2, **options):
    """Take 16 steps; give the network."""
    import contextlib

    with strategy.scope() if strategy else contextlib.nullcontext():
        model = model or network()
        model.compile(kind(learning_rate, **options), "categorical_crossentropy")
        model.fit(batches(), epochs=epochs, verbose=0, shuffle=False)
    return model


def assert_same(expected, model, atol=1e-6):
    """Compare weights and the optimizer's variables, their names and shapes included."""
    for one, other in zip(expected.weights, model.weights, strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-4, atol=atol)
    for one, other in zip(expected.optimizer.variables, model.optimizer.variables, strict=True):
        assert (one.path, one.shape, one.dtype) == (other.path, other.shape, other.dtype)
        np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-4, atol=atol)


def operations(model):
    """Name the operations of a step that update variables by Adam's kernel."""
    import tensorflow as tf

    step = tf.function(lambda batch: model.train_step(batch))
    return [
        operation.name
        for operation in step.get_concrete_function(next(iter(batches()))).graph.get_operations()
        if operation.type == "ResourceApplyAdam"
    ]


@pytest.fixture(autouse=True)
def fresh():
    """Let Keras number its names from the start, for each of two networks too."""
    import keras

    policy = keras.config.dtype_policy()
    yield
    keras.config.set_dtype_policy(policy)


def both(name="Adam", **options):
    import keras

    learned = []
    for kind in kinds(name):
        keras.backend.clear_session(free_memory=False)
        learned.append(learn(kind, **options))
    return learned


@pytest.mark.heavy
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_the_weights_and_the_state_are_those_of_keras(options):
    assert_same(*both(**options))


@pytest.mark.heavy
def test_adamw_is_that_of_keras():
    assert_same(*both("AdamW"))


@pytest.mark.heavy
def test_the_rates_of_a_schedule_are_followed():
    import keras

    rate = keras.optimizers.schedules.CosineDecay(0.0, 8, warmup_target=0.05, warmup_steps=8)
    assert_same(*both(learning_rate=rate))


@pytest.mark.heavy
@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_trains_as_with_keras(policy):
    """Keras wraps the optimizer under float16, to scale the loss. Half precision makes more of a rounded weight."""
    import keras

    keras.config.set_dtype_policy(policy)
    learned = []
    for kind in kinds():
        keras.backend.clear_session(free_memory=False)
        keras.config.set_dtype_policy(policy)
        learned.append(learn(kind))
    assert_same(*learned, atol=1e-3)


@pytest.mark.heavy
def test_a_step_updates_each_variable_by_one_operation():
    expected, model = both()
    assert operations(expected) == []
    assert len(operations(model)) == len(model.trainable_variables)


@pytest.mark.heavy
@pytest.mark.parametrize("options", [{"amsgrad": True}])
def test_what_the_kernel_cannot_do_is_left_to_keras(options):
    assert operations(learn(kinds()[1], epochs=1, **options)) == []


@pytest.mark.heavy
def test_sparse_gradients_are_left_to_keras():
    """The gradient of an embedding holds the rows that were looked up, and no others."""
    import keras

    words, answers = np.array([[1, 2], [2, 3], [3, 1], [4, 4]]), np.float32([[0], [1], [0], [1]])
    learned = []
    for kind in kinds():
        keras.backend.clear_session(free_memory=False)
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((2,)), keras.layers.Embedding(9, 3), keras.layers.Flatten()])
        model.add(keras.layers.Dense(1))
        model.compile(kind(0.01), "mse")
        model.fit(words, answers, batch_size=2, epochs=5, verbose=0, shuffle=False)
        learned.append(model)
    assert_same(*learned)


@pytest.mark.heavy
@pytest.mark.parametrize("first", [0, 1], ids=["Keras's state", "its own state"])
def test_a_training_goes_on_from_a_state_that_either_has_saved(first):
    import keras

    whole = learn(kinds()[1], epochs=4)
    stopped = learn(kinds()[first], epochs=2)
    keras.backend.clear_session(free_memory=False)
    again = network()
    again.set_weights(stopped.get_weights())
    optimizer = kinds()[1](0.01)
    optimizer.build(again.trainable_variables)
    for variable, saved in zip(optimizer.variables, stopped.optimizer.variables, strict=True):
        variable.assign(saved.numpy())
    again.compile(optimizer, "categorical_crossentropy")
    again.fit(batches(), epochs=2, verbose=0, shuffle=False)
    for one, other in zip(whole.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["Adam", "AdamW"])
def test_it_is_saved_and_loaded_as_what_it_is(name):
    import keras

    kind = kinds(name)[1]
    optimizer = kind(0.02, beta_1=0.8, weight_decay=0.1, use_ema=True)
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert type(again) is kind
    assert again.get_config() == optimizer.get_config()


def test_bfloat16_weights_are_left_to_keras():
    """The kernel is for float32: rounding would differ."""
    import keras

    keras.config.set_dtype_policy("bfloat16")
    variable = keras.Variable(np.ones(3), dtype="bfloat16")
    results = []
    for kind in kinds():
        variable.assign(np.ones(3))
        optimizer = kind(0.1)
        optimizer.apply([keras.ops.convert_to_tensor([1.0, -1.0, 0.5], "bfloat16")], [variable])
        results.append(np.asarray(variable, np.float32))
    np.testing.assert_array_equal(*results)


@pytest.mark.heavy
def test_two_devices_train_as_with_keras():
    command = [sys.executable, "-c", ON_TWO_DEVICES, os.path.dirname(__file__)]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.heavy
@pytest.mark.skipif(not importlib.util.find_spec("jax"), reason="jax is not installed")
def test_under_jax_it_is_keras():
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); import test_optimizers as tests\n"
        "tests.assert_same(*tests.both(use_ema=True, global_clipnorm=0.1))"
    )
    environment = {**os.environ, "KERAS_BACKEND": "jax", "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-c", program, os.path.dirname(__file__)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
