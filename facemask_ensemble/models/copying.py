"""Copy a model with the same answers, in its own dtype policy or in another."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import keras

FLOAT32 = "float32"
EXACT = ("Rescaling", "Normalization")  # of 256 levels half precision has too few digits
POLICY = "DTypePolicy"


def copy_model(
    model: keras.Model,
    policy: str | None = None,
    *,
    inputs: keras.KerasTensor | None = None,
    call: Callable[..., Any] | None = None,
) -> keras.Model:
    """Copy a model with all its state.

    Weights are float32 under Keras's mixed policies, so that a copy in another policy loses nothing: its answers differ
    by the rounding between layers. Layers that scale pixels stay float32 under any policy.

    Args:
        model: flat, or with models nested in it.
        policy: Keras's name of the dtype policy of every layer; None to keep their own.
        inputs: inputs of the copy, instead of a new input.
        call: calls each new layer with its inputs, as `keras.models.clone_model` has it.

    Raises:
        ValueError: the copy's variables are not those of the model.
    """
    copy = keras.models.clone_model(
        model, input_tensors=inputs, clone_function=partial(_copy_layer, policy=policy), call_function=call
    )
    copy_state(model, copy)
    return copy


def in_float32(model: keras.Model) -> keras.Model:
    """Copy a model with every layer computing in float32; one that already does is returned unchanged."""
    return copy_model(model, FLOAT32) if half_dtypes(model) else model


def copy_state(source: keras.Layer, copy: keras.Layer) -> None:
    """Copy the state of a layer or a model to another one of the same structure.

    Beside the variables that is what a layer has computed from them: Normalization answers with a copy of its mean and
    variance, which setting the variables does not change.

    Raises:
        ValueError: their variables differ in number or shape.
    """
    shapes = [[tuple(variable.shape) for variable in one.variables] for one in (source, copy)]
    if shapes[0] != shapes[1]:
        raise ValueError(f"{source.name!r} has variables of {shapes[0]}, its copy {copy.name!r} of {shapes[1]}")
    for mine, theirs in zip(source.variables, copy.variables, strict=True):
        theirs.assign(keras.ops.convert_to_numpy(mine))
    for layer in _layers(copy):
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()


def half_dtypes(model: keras.Model) -> set[str]:
    """Name the dtypes of less than float32 that layers compute in."""
    return {layer.compute_dtype for layer in _layers(model) if _computes(layer)} & {"float16", "bfloat16"}


def in_policy(saved: Any, policy: str) -> Any:
    """Copy a layer's or a model's saved config with another dtype policy for every layer in it.

    Input layers, whose dtype is no policy, and layers that scale pixels keep theirs.
    """
    if isinstance(saved, list | tuple):
        return type(saved)(in_policy(one, policy) for one in saved)
    if not isinstance(saved, dict):
        return saved
    if saved.get("class_name") == POLICY:
        return {**saved, "config": {**saved["config"], "name": policy}}
    policy = FLOAT32 if saved.get("class_name") in EXACT else policy
    return {key: in_policy(value, policy) for key, value in saved.items()}


def _copy_layer(layer: keras.Layer, policy: str | None) -> keras.Layer:
    saved = layer.get_config()
    if policy is not None:
        saved = in_policy(saved, FLOAT32 if type(layer).__name__ in EXACT else policy)
    return type(layer).from_config(saved)


def _layers(layer: keras.Layer) -> Iterator[keras.Layer]:
    """Walk through a layer and all that are nested in it."""
    yield layer
    for inner in getattr(layer, "layers", ()):
        yield from _layers(inner)


def _computes(layer: keras.Layer) -> bool:
    """Tell a layer that computes from an input or a model, whose policy is the global one and means nothing."""
    return not isinstance(layer, keras.layers.InputLayer) and not hasattr(layer, "layers")
