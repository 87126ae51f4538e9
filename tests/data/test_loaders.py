import numpy as np
import pytest


@pytest.fixture
def marked():
    """Ten images that carry their number in every pixel, and labels 0, 1, 2, 0, 1, …"""
    numbers = np.arange(10, dtype=np.uint8)
    return np.broadcast_to(numbers[:, None, None, None], (10, 4, 5, 3)).copy(), numbers.astype(int) % 3


def epoch(data):
    """Read one epoch: the sizes of its batches, the images' numbers and their labels."""
    batches = list(data.as_numpy_iterator())
    numbers = np.concatenate([pixels[:, 0, 0, 0] for pixels, _ in batches])
    return [len(pixels) for pixels, _ in batches], numbers.tolist(), np.concatenate([labels for _, labels in batches])


def load(marked, **options):
    from facemask_ensemble.data.loaders import batches

    return batches(*marked, 3, 4, **options)


def test_images_keep_their_order_their_labels_and_their_values_without_a_seed(marked):
    data = load(marked)
    sizes, numbers, labels = epoch(data)
    assert sizes == [4, 4, 2]
    assert len(data) == 3
    assert numbers == list(range(10))
    np.testing.assert_array_equal(labels, np.eye(3)[marked[1]])
    pixels, one_hot = data.element_spec
    assert (pixels.dtype, pixels.shape.as_list()) == ("uint8", [None, 4, 5, 3])
    assert (one_hot.dtype, one_hot.shape.as_list()) == ("float32", [None, 3])


def test_every_epoch_shows_every_image_once_with_its_own_label_in_another_order(marked):
    data = load(marked, shuffle_seed=7)
    epochs = [epoch(data) for _ in range(3)]
    for sizes, numbers, labels in epochs:
        assert sizes == [4, 4, 2]
        assert sorted(numbers) == list(range(10))
        np.testing.assert_array_equal(labels.argmax(axis=1), np.array(numbers) % 3)
    assert len({tuple(numbers) for _, numbers, _ in epochs}) == 3


def test_the_same_seed_gives_the_same_orders_and_another_seed_others(marked):
    import keras

    def orders(seed):
        keras.utils.set_random_seed(0)
        data = load(marked, shuffle_seed=seed)
        return [epoch(data)[1] for _ in range(2)]

    assert orders(7) == orders(7)
    assert orders(7) != orders(8)
    assert orders(0) == orders(0)


def test_batches_are_mixed_not_only_put_in_another_order(marked):
    data = load(marked, shuffle_seed=7)
    first = {frozenset(epoch(data)[1][:4]) for _ in range(5)}
    assert len(first) > 1


def test_augmentation_is_applied_to_images_and_not_to_labels(marked):
    import tensorflow as tf

    data = load(marked, augment=lambda pixels, labels: (tf.cast(pixels, tf.float32) + 100, labels))
    _, numbers, labels = epoch(data)
    assert numbers == list(range(100, 110))
    np.testing.assert_array_equal(labels.argmax(axis=1), marked[1])


def test_augmentation_draws_anew_every_epoch_and_the_same_for_the_same_seed(marked):
    import keras

    from facemask_ensemble.data.augmentation import augmentation

    def epochs():
        brighter = augmentation([keras.layers.RandomBrightness(0.2, dtype="float32")], None, seed=3)
        data = load((marked[0] + 100, marked[1]), augment=brighter)
        return [epoch(data)[1] for _ in range(2)]

    first, second = epochs()
    assert first != second
    assert epochs() == [first, second]


@pytest.mark.parametrize("passes", [1, 3])
def test_a_pass_has_the_order_of_its_number_whatever_was_made_before(passes, marked):
    data = load(marked, shuffle_seed=7)
    whole = [epoch(data)[1] for _ in range(5)]
    later = load(marked, shuffle_seed=7, passes=passes)
    assert [epoch(later)[1] for _ in range(5 - passes)] == whole[passes:]


def test_a_memory_map_is_read_like_an_array(marked, tmp_path):
    pixels, labels = marked
    np.save(tmp_path / "pixels.npy", pixels)
    mapped = np.load(tmp_path / "pixels.npy", mmap_mode="r")
    assert epoch(load((mapped, labels), shuffle_seed=1))[1] == epoch(load(marked, shuffle_seed=1))[1]


def test_no_pipeline_of_ours_waits_for_tensorflows_tuner():
    from facemask_ensemble.data import loaders

    pixels, labels = np.zeros((4, 8, 8, 3), np.uint8), np.zeros(4, int)
    pipelines = [
        loaders.batches(pixels, labels, 2, 2, shuffle_seed=1),
        loaders.images(pixels, 2),
        loaders.batches(pixels, labels, 2, 2, augment=lambda *batch: batch).map(lambda pixels, _: pixels),
    ]
    assert [data.options().autotune.enabled for data in pipelines] == [False] * 3


def test_images_to_predict_from_come_alone_and_in_their_order():
    from facemask_ensemble.data import loaders

    pixels = np.arange(5, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 3), np.uint8)
    found = [batch.numpy() for batch in loaders.images(pixels, 2)]
    assert [len(batch) for batch in found] == [2, 2, 1]
    np.testing.assert_array_equal(np.concatenate(found), pixels)
