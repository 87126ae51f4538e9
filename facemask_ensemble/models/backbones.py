"""Backbones: Keras Applications fed with what they were made for, straight from raw pixels."""

import errno
from collections.abc import Callable, Mapping
from typing import Any

import keras

from facemask_ensemble.errors import InputError
from facemask_ensemble.models.flattening import flatten
from facemask_ensemble.settings.groups import Official
from facemask_ensemble.weights import IMAGENET, weights_file

PREPROCESSING = "preprocessing"  # name of the layer before the network's own ones
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
CAFFE_MEAN_BGR = (103.939, 116.779, 123.68)
PIXEL_SPREAD = 255 * sum(IMAGENET_STD) / 3


def features(
    pixels: keras.KerasTensor,
    *,
    application: Callable[..., keras.Model],
    preprocessing: str,
    weights: str | None,
    batch_norm_momentum: float = 0.9,
    residual_gamma: float | None = None,
    initializer: str | None = None,
    official: Mapping[str, str] | None = None,
) -> keras.KerasTensor:
    """Apply a Keras Application without its top to raw pixels, as part of the same flat graph.

    Args:
        pixels: float (n, h, w, 3), RGB in 0..255.
        application: constructor, such as `keras.applications.Xception`.
        preprocessing: what it expects: `raw`, `symmetric`, `imagenet`, `efficientnet_v1` or `caffe`.
        weights: `imagenet`, the path of a weights file without top or of a folder of official ones, or None for random
            initialisation.
        batch_norm_momentum: from random initialisation only, where Keras's 0.99 needs more steps than a short training
            has; there stochastic depth is switched off as well.
        residual_gamma: from random initialisation only, the scale at which the BatchNorm that ends a residual branch
            starts, so that a deep network begins as a shallow one (Goyal et al. 2017, section 5.1, who take 0).
        initializer: from random initialisation only, Keras's name of the one for the convolutions' kernels instead of
            the network's own, for a deep network without BatchNorm (`he_normal`: He et al. 2015, section 2.2).
        official: `file`, `md5` or `sha256`, and `address` of the official weights without top, as
            `weights.check_weights` takes them.

    Returns:
        The last feature map, (n, rows, columns, channels).

    Raises:
        InputError: the weights cannot be downloaded or are another network's.
    """
    source = weights_file(weights, None if official is None else Official(**official))
    inputs = preprocess(pixels, preprocessing, own_file=source not in (None, IMAGENET))
    try:
        model = application(include_top=False, input_tensor=inputs, weights=source)
    except Exception as error:
        raise _refuse_weights(weights, application, error) from error
    model = flatten(model)
    if weights is None:
        _suit_random_start(model, batch_norm_momentum)
        if residual_gamma is not None:
            _quiet_branches(model, residual_gamma)
        if initializer is not None:
            _draw_kernels(model, initializer, PIXEL_SPREAD if preprocessing == "caffe" else 1.0)
    return model.output


def preprocess(pixels: keras.KerasTensor, kind: str, *, own_file: bool = False) -> keras.KerasTensor:
    """Bring raw pixels 0..255 to the range a network was trained on, by layers that are saved with it.

    Args:
        pixels: float (n, h, w, 3), RGB in 0..255.
        kind: `raw` (rescaling is inside the network), `symmetric` (-1..1), `imagenet` (ImageNet's mean and standard
            deviation), `efficientnet_v1` (raw, see `own_file`) or `caffe` (BGR less ImageNet's mean).
        own_file: EfficientNetB0 to B7 divide once more by the root of ImageNet's standard deviation, and Keras adds
            that layer for `weights="imagenet"` only; with a file of the same weights it has to stand here.
    """
    if kind == "symmetric":
        return keras.layers.Rescaling(1 / 127.5, offset=-1, dtype="float32", name=PREPROCESSING)(pixels)
    if kind == "imagenet":
        mean = [255 * value for value in IMAGENET_MEAN]
        variance = [(255 * value) ** 2 for value in IMAGENET_STD]
        return keras.layers.Normalization(mean=mean, variance=variance, dtype="float32", name=PREPROCESSING)(pixels)
    if kind == "caffe":
        offset = [-mean for mean in CAFFE_MEAN_BGR]
        bgr = keras.ops.flip(pixels, axis=-1)
        return keras.layers.Rescaling(1.0, offset=offset, dtype="float32", name=PREPROCESSING)(bgr)
    if kind == "efficientnet_v1" and own_file:
        scale = [value**-0.5 for value in IMAGENET_STD]
        offset = [255 * mean * (1 - factor) for mean, factor in zip(IMAGENET_MEAN, scale, strict=True)]
        return keras.layers.Rescaling(scale, offset=offset, dtype="float32")(pixels)
    if kind in ("raw", "efficientnet_v1"):
        return pixels
    raise InputError(
        f"backbone preprocessing must be raw, symmetric, imagenet, efficientnet_v1 or caffe. Received: {kind}; "
        "fix it in the backbone's YAML"
    )


def _suit_random_start(model: keras.Model, momentum: float) -> None:
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = momentum
        elif isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0


def _quiet_branches(model: keras.Model, gamma: float) -> None:
    for layer in model.layers:
        if isinstance(layer, keras.layers.Add):
            branch = _producer(layer)
            while isinstance(branch, keras.layers.Dropout):
                branch = _producer(branch)
            if isinstance(branch, keras.layers.BatchNormalization):
                branch.gamma.assign(gamma * keras.ops.ones_like(branch.gamma))


def _draw_kernels(model: keras.Model, initializer: str, input_spread: float) -> None:
    """Draw every kernel again; the first for inputs of that standard deviation, because initializers assume 1."""
    for number, layer in enumerate(layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)):
        draw = keras.initializers.get(initializer)  # one a layer: each instance draws the same numbers again
        kernel = draw(layer.kernel.shape, dtype=layer.kernel.dtype)
        layer.kernel.assign(kernel if number else kernel / input_spread)


def _producer(layer: keras.Layer) -> keras.Layer:
    """Return the layer that gives this one's first input."""
    inputs = layer.input[0] if isinstance(layer.input, list) else layer.input
    return inputs._keras_history.operation


def _refuse_weights(weights: str | None, application: Any, error: Exception) -> Exception:
    """Say what is wrong with the weights; anything else stays the error it is."""
    name = getattr(getattr(application, "func", application), "__name__", "this backbone")
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return error
    if weights == "imagenet":
        reason = " ".join(str(error).split())
        if "URL fetch failure" in reason or isinstance(error, OSError):
            return InputError(
                f"backbone.weights=imagenet: the weights of {name} cannot be downloaded ({reason}); "
                "give a file, or a folder of official files, with backbone.weights=PATH, or backbone.weights=null for "
                "random initialisation"
            )
        return error
    if weights is not None:
        reason = " ".join(str(error).split())[:200]
        return InputError(
            f"backbone.weights={weights}: not the weights of {name} without top ({reason}); "
            "give that network's file, or null for random initialisation"
        )
    return error
