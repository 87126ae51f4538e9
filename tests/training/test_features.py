import numpy as np
import pytest

pytestmark = pytest.mark.heavy

COUNT, SIDE = 10, 4


@pytest.fixture(scope="module")
def model():
    """A classifier whose pooled features are the mean of each colour."""

    from facemask_ensemble.models.classifier import build_classifier

    return build_classifier("means", lambda pixels: pixels * 1.0, SIDE, 2, dropout=0.5)


def images():
    pixels = np.zeros((COUNT, SIDE, SIDE, 3), np.uint8)
    pixels[...] = np.arange(COUNT)[:, None, None, None] * [1, 2, 3]
    return pixels, np.arange(COUNT) % 2


def computed(model, copies=2):
    import tensorflow as tf

    from facemask_ensemble.data.loaders import batches
    from facemask_ensemble.training.features import compute_features

    brightness = tf.Variable([0.0])

    def brighter(pixels, labels):
        return tf.cast(pixels, tf.float32) + brightness.assign_add([1.0]), labels

    train = batches(*images(), 2, 4, shuffle_seed=1, augment=brighter)
    return compute_features(model, train, batches(*images(), 2, 4), copies, [brightness])


def test_features_are_computed_for_every_copy_as_it_is_augmented_and_plainly_for_validation(model):
    """Three batches a copy, each brighter by one than the one before."""
    features = computed(model)
    assert len(features.train) == 2
    for copy, (pooled, labels) in enumerate(features.train):
        assert pooled.shape == (COUNT, 3)
        added = 1 + 3 * copy + np.arange(COUNT) // 4
        numbers = (pooled[:, 0] - added).round().astype(int)
        assert sorted(numbers) == list(range(COUNT))
        np.testing.assert_allclose(pooled, numbers[:, None] * [1, 2, 3] + added[:, None], rtol=1e-6)
        np.testing.assert_array_equal(labels.argmax(axis=1), numbers % 2)
    np.testing.assert_allclose(features.validation[0], np.arange(COUNT)[:, None] * [1, 2, 3], rtol=1e-6)
    np.testing.assert_array_equal(features.states[0], [6.0])


def test_features_are_read_as_they_were_written(model, tmp_path):
    from facemask_ensemble.training.features import Features

    features = computed(model)
    features.save(tmp_path / "features.npz")
    again = Features.load(tmp_path / "features.npz")
    for one, other in zip([*features.train, features.validation], [*again.train, again.validation], strict=True):
        for array, copy in zip(one, other, strict=True):
            np.testing.assert_array_equal(array, copy)
    np.testing.assert_array_equal(again.states, features.states)


def test_an_epoch_takes_one_copy_in_an_order_of_its_own(model):
    from facemask_ensemble.training.features import head_batches

    features = computed(model)
    epochs = [
        np.concatenate([x for x, _ in data.as_numpy_iterator()])
        for data in [head_batches(features, 4, seed=3)]
        for _ in range(4)
    ]
    copies = [{tuple(row) for row in pooled} for pooled, _ in features.train]
    assert [{tuple(row) for row in epoch} for epoch in epochs] == [*copies, *copies]
    assert not np.array_equal(epochs[0], epochs[2])
    later = head_batches(features, 4, seed=3, first_epoch=2)
    np.testing.assert_array_equal(np.concatenate([x for x, _ in later.as_numpy_iterator()]), epochs[2])


def test_the_head_alone_gives_the_classifiers_probabilities_and_trains_its_weights(model):
    from facemask_ensemble.training.features import head_of

    head = head_of(model)
    pixels, _ = images()
    pooled = pixels.mean(axis=(1, 2))
    np.testing.assert_allclose(head.predict(pooled, verbose=0), model.predict(pixels, verbose=0), rtol=1e-6)
    head.get_layer("probabilities").bias.assign([3.0, 0.0])
    np.testing.assert_array_equal(model.get_layer("probabilities").bias, [3.0, 0.0])
