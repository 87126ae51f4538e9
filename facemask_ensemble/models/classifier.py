"""The classifier: one flat graph from raw pixels to class probabilities."""

from collections.abc import Callable
from pathlib import Path

import keras

FEATURES = "features"


def build_classifier(
    name: str,
    backbone: Callable[[keras.KerasTensor], keras.KerasTensor],
    image_size: int,
    classes: int,
    dropout: float = 0.2,
) -> keras.Model:
    """Build `pixels -> features -> pool -> probs`.

    Args:
        name: of the model; the same as the backbone's.
        backbone: maps pixels (n, s, s, 3), RGB 0..255, to a feature map (n, rows, columns, channels).
        image_size: side s of the square input, in pixels.
        classes: number of classes.
        dropout: share of pooled features dropped while training.

    Returns:
        A functional model with the layers `pixels`, `features`, `pool` and `probs`; its head is float32.
    """
    pixels = keras.Input((image_size, image_size, 3), name="pixels", dtype="float32")
    features = keras.layers.Identity(name=FEATURES)(backbone(pixels))
    pooled = keras.layers.GlobalAveragePooling2D(name="pool")(features)
    dropped = keras.layers.Dropout(dropout, name="dropout")(pooled)
    probs = keras.layers.Dense(classes, activation="softmax", dtype="float32", name="probs")(dropped)
    return keras.Model(pixels, probs, name=name)


def freeze(model: keras.Model, *, backbone: bool, batch_norm: bool) -> None:
    """Set what trains: all, only the head (`backbone=True`), or all but BatchNorm (`batch_norm=True`).

    A frozen BatchNorm keeps and uses its moving statistics, also while the rest trains.
    """
    head = {"dropout", "probs"}
    for layer in model.layers:
        is_norm = isinstance(layer, keras.layers.BatchNormalization)
        layer.trainable = layer.name in head or not (backbone or (batch_norm and is_norm))


def load_classifier(path: Path) -> keras.Model:
    """Load a saved classifier for inference."""
    return keras.models.load_model(path, compile=False, safe_mode=True)
