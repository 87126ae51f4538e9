"""Start a classifier from another member: its backbone with a new head."""

import re
from collections.abc import Sequence
from pathlib import Path

import keras

from facemask_ensemble.models.classifier import FEATURES, build_classifier, load_classifier
from facemask_ensemble.models.copying import copy_model
from facemask_ensemble.weights import check_member

# Keras pads these layers of EfficientNetB0 to B7, MobileNetV2 and V3 by whether the map is even, where it was built.
_PADDED_BY_SIZE = re.compile(r"(stem_conv|block\w+_dwconv|expanded_conv_\d+_depthwise|block_\d+)_pad")


def start_from_member(
    model_file: Path,
    name: str,
    image_size: int,
    classes: int,
    dropout: float = 0.2,
    *,
    pooling: str = "average",
    hidden: Sequence[int] = (),
) -> keras.Model:
    """Build a classifier from a saved member: its graph and weights up to `features`, and a new head.

    The saved graph is copied and not built again, because Keras builds EfficientNetB0 to B7 with one layer more for
    `imagenet`. The copy takes the present dtype policy, and stochastic depth and BatchNorm's momentum from the member.

    Args:
        model_file: the member's `model.keras`, of any input size and number of classes.
        name: of the backbone, which must be the member's.
        image_size: side of the square input, in pixels.
        classes: number of classes.
        dropout: share of pooled features dropped while training.
        pooling: as in `build_classifier`.
        hidden: as in `build_classifier`.

    Returns:
        A model as `build_classifier` gives it.

    Raises:
        InputError: the file is damaged, not a member, or a member of another backbone.
    """
    check_member(model_file, name)
    member = load_classifier(model_file, as_trained=True)
    trunk = keras.Model(member.input, member.get_layer(FEATURES).input)
    return build_classifier(
        name, lambda pixels: _copy(trunk, pixels), image_size, classes, dropout, pooling=pooling, hidden=hidden
    )


def _copy(trunk: keras.Model, pixels: keras.KerasTensor) -> keras.KerasTensor:
    copied = copy_model(trunk, keras.config.dtype_policy().name, inputs=pixels, call=_call_padded)
    for layer in copied.layers:
        layer.trainable = True  # setting it on the model, whose own is True, changes none of them
    return copied.output


def _call_padded(layer: keras.Layer, maps: keras.KerasTensor, *args: object, **kwargs: object) -> keras.KerasTensor:
    if isinstance(layer, keras.layers.ZeroPadding2D) and _PADDED_BY_SIZE.fullmatch(layer.name):
        sides = zip(layer.padding, maps.shape[1:3], strict=True)
        layer.padding = tuple((after - 1 + side % 2, after) for (_, after), side in sides)
    return layer(maps, *args, **kwargs)
