"""The classifier: one flat graph from raw pixels to class probabilities."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import keras

from facemask_ensemble.errors import InputError
from facemask_ensemble.models.backbones import PREPROCESSING
from facemask_ensemble.models.copying import half_dtypes, in_float32
from facemask_ensemble.models.flattening import flatten
from facemask_ensemble.models.hardware import is_faster_in
from facemask_ensemble.search_path import ENVIRONMENT, import_own_backbones

FEATURES, POOL, PROBABILITIES = "features", "pool", "probabilities"
POOLINGS = {"average": keras.layers.GlobalAveragePooling2D, "flatten": keras.layers.Flatten}


def build_classifier(
    name: str,
    backbone: Callable[[keras.KerasTensor], keras.KerasTensor],
    image_size: int,
    classes: int,
    dropout: float = 0.2,
    *,
    pooling: str = "average",
    hidden: Sequence[int] = (),
) -> keras.Model:
    """Build `pixels -> features -> pool -> dropout -> hidden_1 ... -> probs`.

    Args:
        name: of the model; the same as the backbone's.
        backbone: maps pixels (n, s, s, 3), RGB 0..255, to a feature map (n, rows, columns, channels).
        image_size: side s of the square input, in pixels.
        classes: number of classes.
        dropout: share of pooled features dropped while training.
        pooling: `average` over the map, or `flatten`, which keeps places and ties the network to its input size.
        hidden: units of each dense layer with ReLU between the pooled features and the probabilities.

    Returns:
        A functional model with the layers `pixels`, `features`, `pool` and `probabilities`, which is float32
        under any dtype policy.

    Raises:
        InputError: an unknown pooling or an impossible number of units.
    """
    _check_head(pooling, hidden)
    pixels = keras.Input((image_size, image_size, 3), name="pixels", dtype="float32")
    trunk = flatten(keras.Model(pixels, backbone(pixels)))
    features = keras.layers.Identity(name=FEATURES)(trunk.output)
    x = POOLINGS[pooling](name=POOL)(features)
    x = keras.layers.Dropout(dropout, name="dropout")(x)
    for number, units in enumerate(hidden, 1):
        layer = keras.layers.Dense(units, activation="relu", kernel_initializer="he_normal", name=f"hidden_{number}")
        x = layer(x)
    probs = keras.layers.Dense(classes, activation="softmax", dtype="float32", name=PROBABILITIES)(x)
    return keras.Model(pixels, probs, name=name)


def backbone_layers(model: keras.Model) -> list[keras.Layer]:
    """List the network's own layers in the order and with the indices of Keras Applications' `model.layers`.

    Index 0 is the input layer; our preprocessing is left out. EfficientNetB0 to B7 have one layer more with pretrained
    weights than with random ones, as they have in Keras.
    """
    names = [layer.name for layer in model.layers]
    return [layer for layer in model.layers[: names.index(FEATURES)] if layer.name != PREPROCESSING]


def head_layers(model: keras.Model) -> list[keras.Layer]:
    """List the layers behind `pool`: dropout, hidden ones and `probabilities`."""
    names = [layer.name for layer in model.layers]
    return model.layers[names.index(POOL) + 1 :]


def load_classifier(path: Path, *, as_trained: bool = False) -> keras.Model:
    """Load a saved classifier for inference, in a precision that this machine is fast in.

    A classifier in half precision that this machine is slow in is computed in float32: with the same weights, its
    probabilities differ by the rounding of half precision.

    Args:
        path: of the `.keras` file.
        as_trained: keep the precision that it was trained in, however slow.

    A layer of the user is known once the module that registers it is imported: if one is missing, the modules of
    the backbones in the user's own folders are imported.

    Raises:
        InputError: it contains code, such as a Lambda layer, or a layer that is not registered.
    """
    model = _load(path)
    if as_trained or all(is_faster_in(dtype) for dtype in half_dtypes(model)):
        return model
    return in_float32(model)


def _load(path: Path) -> keras.Model:
    try:
        return _load_safely(path)
    except TypeError as error:
        if "Could not locate class" not in str(error):
            raise
    import_own_backbones()
    try:
        return _load_safely(path)
    except TypeError as error:
        lost = re.search(r"Could not locate class '([^']+)'", str(error))
        raise InputError(
            f"{path.name}: its layer {lost[1] if lost else ''} is not known; decorate the class with "
            "keras.saving.register_keras_serializable(), and give the folder of its backbone: --config-dir FOLDER, or "
            f"{ENVIRONMENT}=FOLDER"
        ) from None


def _load_safely(path: Path) -> keras.Model:
    try:
        return keras.models.load_model(path, compile=False, safe_mode=True)
    except ValueError as error:
        if "unsafe" not in str(error):
            raise
        raise InputError(
            f"{path.name}: it contains Python code, such as a Lambda layer, which is never loaded; "
            "train it again without that layer"
        ) from None


def _check_head(pooling: str, hidden: Sequence[int]) -> None:
    if pooling not in POOLINGS:
        raise InputError(f"backbone.head.pooling={pooling}: must be one of {', '.join(POOLINGS)}")
    for units in hidden:
        if not isinstance(units, int) or units < 1:
            raise InputError(
                f"backbone.head.hidden={list(hidden)}: every dense layer needs a whole number of units of at least 1; "
                "give [] for none"
            )
