"""What of a classifier trains: all, the head, or the backbone from some layer or block on."""

import re

import keras

from facemask_ensemble.errors import InputError
from facemask_ensemble.models.classifier import backbone_layers, head_layers


def blocks(model: keras.Model, block_ends: str) -> list[list[keras.Layer]]:
    """Cut the backbone's layers, in model order, after every layer with a name that the expression matches.

    What comes before the first end belongs to the first block, what comes after the last end to the last one.

    Raises:
        InputError: not a regular expression, or one that matches no layer.
    """
    try:
        end = re.compile(block_ends)
    except re.error as error:
        raise InputError(
            f"backbone.block_ends={block_ends}: not a valid regular expression ({error}); fix it"
        ) from error
    layers = backbone_layers(model)
    cuts = [index + 1 for index, layer in enumerate(layers) if end.fullmatch(layer.name)]
    if not cuts:
        last = ", ".join(layer.name for layer in layers[-3:])
        raise InputError(
            f"backbone.block_ends={block_ends}: matches no layer of {model.name} (its last layers: {last}); "
            "match the names of the layers that end a block"
        )
    cuts[-1] = len(layers)
    return [layers[start:stop] for start, stop in zip([0, *cuts], cuts, strict=False)]


def freeze(
    model: keras.Model,
    *,
    backbone: bool = False,
    batch_norm: bool = False,
    first_trainable: int | None = None,
    last_blocks: int | None = None,
    block_ends: str | None = None,
) -> None:
    """Set what trains: all by default; the head always.

    A frozen BatchNorm keeps and uses its moving statistics, also while the rest trains.

    Args:
        model: of `build_classifier`.
        backbone: freeze all of it.
        batch_norm: freeze every BatchNorm, also those above the cut.
        first_trainable: freeze the backbone's layers before this index of `backbone_layers`, as
            `for layer in model.layers[:20]: layer.trainable = False` does with a Keras Application for 20.
        last_blocks: freeze all but this many blocks, counted from the end.
        block_ends: regular expression of the names of the layers that end a block, for `last_blocks`.

    Raises:
        InputError: more than one of `backbone`, `first_trainable` and `last_blocks`, or a number beyond the network.
    """
    layers = backbone_layers(model)
    cut = _cut(model, backbone, first_trainable, last_blocks, block_ends)
    trainable = {layer.name for layer in [*layers[cut:], *head_layers(model)]}
    for layer in model.layers:
        is_norm = batch_norm and isinstance(layer, keras.layers.BatchNormalization)
        layer.trainable = layer.name in trainable and not is_norm


def _cut(
    model: keras.Model, backbone: bool, first_trainable: int | None, last_blocks: int | None, block_ends: str | None
) -> int:
    """Give the index of the first backbone layer that trains."""
    if backbone + (first_trainable is not None) + (last_blocks is not None) > 1:
        raise InputError(
            f"schedule.first_trainable={first_trainable}, last_blocks={last_blocks}, a frozen backbone={backbone}: "
            "each chooses the layers that train; give only one of them"
        )
    if first_trainable is not None:
        return _index(model, first_trainable)
    if last_blocks is not None:
        return _start_of_last(model, last_blocks, block_ends)
    return len(backbone_layers(model)) if backbone else 0


def _index(model: keras.Model, first_trainable: int) -> int:
    count = len(backbone_layers(model))
    if not 0 <= first_trainable < count:
        raise InputError(
            f"schedule.first_trainable={first_trainable}: {model.name} has {count} layers, so it "
            f"must be from 0 to {count - 1}; to train the head alone, use schedule=frozen"
        )
    return first_trainable


def _start_of_last(model: keras.Model, last_blocks: int, block_ends: str | None) -> int:
    if block_ends is None:
        raise InputError(
            f"schedule.last_blocks={last_blocks}: backbone.block_ends does not say where a block of {model.name} ends; "
            "give backbone.block_ends=EXPRESSION, or use schedule.first_trainable"
        )
    parts = blocks(model, block_ends)
    if not 1 <= last_blocks <= len(parts):
        raise InputError(
            f"schedule.last_blocks={last_blocks}: {model.name} has {len(parts)} blocks, so it "
            f"must be from 1 to {len(parts)}; to train the head alone, use schedule=frozen"
        )
    return sum(map(len, parts[:-last_blocks]))
