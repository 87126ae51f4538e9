import numpy as np
import pytest

pytestmark = pytest.mark.heavy


@pytest.fixture
def network():
    """A network with a layer that notes each time it is traced or called for answers."""
    import keras

    from facemask_ensemble.models.classifier import build_classifier

    class Noted(keras.layers.Layer):
        answers = steps = 0

        def call(self, inputs, training=False):
            self.answers += not training
            self.steps += training
            return inputs

    def backbone(pixels):
        x = keras.layers.Conv2D(3, 1, kernel_regularizer="l2")(noted(pixels))
        return keras.layers.BatchNormalization(name="norm")(x)

    keras.utils.set_random_seed(0)
    noted = Noted(name="noted")
    model = build_classifier("noted", backbone, 6, 3, dropout=0.5, pooling="flatten")
    smoothed = keras.losses.CategoricalCrossentropy(label_smoothing=0.1)
    model.compile(keras.optimizers.SGD(0.0), smoothed, metrics=["accuracy"])
    noted.answers = noted.steps = 0
    return model


def data(count):
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (count, 6, 6, 3)).astype(np.uint8), np.eye(3, dtype=np.float32)[np.arange(count) % 3]


def batches(count):
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices(data(count)).batch(8)


def test_validation_and_prediction_give_what_keras_gives(network):
    """Here some probabilities are 0 and the loss is large: Keras takes it from the logits."""
    from facemask_ensemble.training.inference import share_inference

    options = {"validation_data": batches(21), "verbose": 0, "shuffle": False}
    pixels = batches(21).map(lambda pixels, _: pixels)
    probs = network.predict(pixels, verbose=0)
    expected = network.evaluate(batches(21), verbose=0)
    assert probs.min() == 0.0
    share_inference(network)
    history = network.fit(batches(16), epochs=1, **options).history
    norm = network.get_layer("norm")
    norm.moving_mean.assign(np.zeros(3))
    norm.moving_variance.assign(np.ones(3))
    np.testing.assert_allclose(network.evaluate(batches(21), verbose=0), expected, rtol=1e-6)
    np.testing.assert_allclose(network.predict(pixels, verbose=0), probs, rtol=1e-6)
    np.testing.assert_allclose(network.predict(data(21)[0], batch_size=8, verbose=0), probs, rtol=1e-6)
    assert history["val_loss"][0] != pytest.approx(expected[0])  # the moving mean was another after the epoch


def test_one_graph_serves_every_validation_and_prediction_whatever_the_size_of_a_batch(network):
    from facemask_ensemble.training.inference import share_inference

    share_inference(network)
    network.fit(batches(16), validation_data=batches(21), epochs=2, verbose=0)
    for count in (21, 3):
        network.predict(batches(count).map(lambda pixels, _: pixels), verbose=0)
    assert network.get_layer("noted").answers == 1


def test_answers_follow_the_weights(network):
    from facemask_ensemble.training.inference import share_inference

    share_inference(network)
    kernel = network.layers[-1].kernel
    kernel.assign(kernel / 1000)
    before = network.predict(data(5)[0], verbose=0)
    kernel.assign(-kernel)
    after = network.predict(data(5)[0], verbose=0)
    np.testing.assert_allclose(after * before / (after * before).sum(1, keepdims=True), 1 / 3, rtol=1e-4)


def test_an_end_of_unknown_distance_ends_a_validation(network):
    from facemask_ensemble.training.inference import share_inference

    share_inference(network)
    some = batches(21).filter(lambda *_: True)
    np.testing.assert_allclose(network.evaluate(some, verbose=0), network.evaluate(batches(21), verbose=0), rtol=1e-6)


@pytest.mark.parametrize("loss", ["categorical_crossentropy", "sparse_categorical_crossentropy"])
def test_a_training_traces_its_step_once_and_its_answers_once(network, tmp_path, loss):
    """TensorFlow traces a step twice where it creates variables, as those of metrics."""
    from facemask_ensemble.training.fit import fit
    from facemask_ensemble.training.recipe import Data, Recipe
    from facemask_ensemble.training.schedules import Phase

    shown = batches(21) if loss[0] == "c" else batches(21).map(lambda pixels, labels: (pixels, labels[:, 0]))
    data = Data(lambda passes: shown, shown, images=21, batch_size=8)
    fit(network, data, [Phase(2, 0.01, patience=None)], tmp_path, recipe=Recipe(loss=loss))
    network.predict(batches(3).map(lambda pixels, _: pixels), verbose=0)
    noted = network.get_layer("noted")
    assert (noted.steps, noted.answers) == (1, 1)
