"""What an image counts in the loss: a rare class as much as a frequent one."""

import numpy as np
import pandas as pd
import tensorflow as tf


def class_weights(labels: pd.Series, classes: int, kind: str | None) -> np.ndarray | None:
    """Weigh classes by n / (classes * count), as scikit-learn's `balanced` does; a class without images weighs 0.

    Args:
        labels: int (n,) of the training images.
        classes: number of classes.
        kind: `balanced`, or None for no weights.

    Returns:
        float32 (classes,), or None.
    """
    if kind is None:
        return None
    counts = np.bincount(labels, minlength=classes)
    present = counts > 0
    weights = np.zeros(classes, np.float32)
    weights[present] = len(labels) / (present.sum() * counts[present])
    return weights


def weighted(data: tf.data.Dataset, weights: np.ndarray | None) -> tf.data.Dataset:
    """Add each image's weight to batches of (pixels, labels); a mixed label weighs what its parts do."""
    if weights is None:
        return data

    def weigh(pixels: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        if labels.shape.rank == 2:
            return pixels, labels, tf.linalg.matvec(labels, tf.constant(weights))
        return pixels, labels, tf.gather(weights, tf.cast(labels, tf.int32))

    return data.map(weigh)
