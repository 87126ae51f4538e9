import numpy as np
import pandas as pd
import pytest

from facemask_ensemble.training.class_weights import class_weights, weighted

pytestmark = pytest.mark.heavy

LABELS = pd.Series([0, 0, 0, 0, 0, 0, 1, 1, 1, 2])


def test_balanced_weights_are_those_of_scikit_learn():
    from sklearn.utils.class_weight import compute_class_weight

    expected = compute_class_weight("balanced", classes=np.arange(3), y=LABELS)
    np.testing.assert_allclose(class_weights(LABELS, 3, "balanced"), expected)
    assert class_weights(LABELS, 3, None) is None


def test_a_class_without_images_weighs_nothing():
    np.testing.assert_allclose(class_weights(pd.Series([0, 0, 0, 2]), 3, "balanced"), [2 / 3, 0, 2])


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (np.int32([2, 0]), [4.0, 0.5]),
        (np.float32([[0, 0, 1], [1, 0, 0]]), [4.0, 0.5]),
        (np.float32([[0.5, 0, 0.5], [0, 0.75, 0.25]]), [2.25, 1.75]),
    ],
    ids=["integers", "one-hot", "mixed"],
)
def test_an_image_weighs_what_the_parts_of_its_label_do(labels, expected):
    import tensorflow as tf

    data = tf.data.Dataset.from_tensors((np.zeros((2, 1)), labels))
    ((_, _, weights),) = weighted(data, np.float32([0.5, 1.0, 4.0])).as_numpy_iterator()
    np.testing.assert_allclose(weights, expected)
    assert weighted(data, None) is data
