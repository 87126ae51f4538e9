"""Heatmaps: where a member looked when it scored a class."""

from bisect import bisect_left
from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tf_keras_vis.utils.scores import CategoricalScore

from facemask_ensemble.errors import InputError
from facemask_ensemble.explanation.overlay import enlarge
from facemask_ensemble.explanation.surrogate import FEATURES, last_map_size, surrogate
from facemask_ensemble.rounding import negligible

FLAT = 1e-3
LEAST = np.finfo(np.float32).tiny  # a smaller number has lost its last digits
SMALLEST_USEFUL = 3
LARGEST_TRIED = 1024


class Heatmaps(NamedTuple):
    """Maps float32 (n, h, w) in 0..1, and for each image why it has none (its map is then all zero) or None."""

    maps: NDArray[np.float32]
    reasons: list[str | None]


def heatmaps(
    model: keras.Model,
    pixels: NDArray[np.uint8],
    classes: NDArray[np.integer],
    method: Callable[[keras.Model], Any],
    batch_size: int = 16,
) -> Heatmaps:
    """Show for each image where the model sees its class.

    Args:
        model: flat graph from raw RGB pixels to probabilities, with layers named `features` and `probabilities`.
        pixels: uint8 (n, h, w, 3) at the size the model takes.
        classes: int (n,), the class to explain in each image.
        method: takes a model and returns a callable as those of tf-keras-vis are; conf/heatmap/ names them.
        batch_size: images explained at once; bounds the memory.
    """
    _refuse_wrong(model, pixels, classes)
    if not len(pixels):
        return Heatmaps(np.zeros(pixels.shape[:3], np.float32), [])
    height, width = pixels.shape[1:3]
    if last_map_size(model, height, width) == (1, 1):
        return Heatmaps(np.zeros(pixels.shape[:3], np.float32), [_no_place(model, height, width)] * len(pixels))
    cut = surrogate(model, height, width)
    explain = method(cut)
    raw = [
        _raw_maps(explain, cut.get_layer(FEATURES), pixels[batch], classes[batch])
        for batch in (slice(start, start + batch_size) for start in range(0, len(pixels), batch_size))
    ]
    maps, reasons = zip(*(_finish(one, height, width) for one in np.concatenate(raw)), strict=True)
    return Heatmaps(np.stack(maps), list(reasons))


def _raw_maps(
    explain: Callable[..., Any], features: keras.Layer, pixels: NDArray[np.uint8], classes: NDArray[np.integer]
) -> NDArray[np.float32]:
    maps = explain(
        CategoricalScore([int(label) for label in classes]),
        tf.constant(pixels, tf.float32),
        penultimate_layer=features,
        seek_penultimate_conv_layer=False,
        expand_cam=False,
        normalize_cam=False,
    )
    return np.asarray(maps, np.float32)


def _finish(raw: NDArray[np.float32], height: int, width: int) -> tuple[NDArray[np.float32], str | None]:
    """Scale one map to the image's size and to 0..1 (zero stays zero), or say why it is no explanation."""
    nothing = np.zeros((height, width), np.float32)
    if not np.isfinite(raw).all():
        return nothing, "its map has values that are not finite: no explanation"
    if raw.max() < LEAST or negligible(raw.max(), np.abs(raw).max()):
        return nothing, "its map is zero everywhere: nothing in the image speaks for this class"
    if np.ptp(raw) <= FLAT * raw.max():
        return nothing, "its map has the same value everywhere: no explanation"
    scaled = enlarge(np.maximum(raw / raw.max(), 0), height, width)
    return scaled / scaled.max(), None


def _no_place(model: keras.Model, height: int, width: int) -> str:
    larger = range(min(height, width) + 1, LARGEST_TRIED)
    found = bisect_left(larger, SMALLEST_USEFUL, key=lambda side: min(last_map_size(model, side, side)))
    useful = f"{SMALLEST_USEFUL}x{SMALLEST_USEFUL}"
    advice = f"; use image_size >= {larger[found]} for a {useful} map" if found < len(larger) else ""
    size = f"{height}" if height == width else f"{height}x{width}"
    return f"its last feature map is 1x1 at {size} px: it cannot show a place{advice}"


def _refuse_wrong(model: keras.Model, pixels: NDArray[np.uint8], classes: NDArray[np.integer]) -> None:
    if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[-1] != 3:
        raise InputError(f"pixels are uint8 (n, h, w, 3), received {pixels.dtype} {pixels.shape}: pass RGB images")
    wanted = model.input_shape[1:]
    if any(side not in (None, given) for side, given in zip(wanted, pixels.shape[1:], strict=True)):
        raise InputError(f"model {model.name!r} takes images of {wanted}, received {pixels.shape[1:]}: resize them")
    if classes.shape != pixels.shape[:1] or not np.issubdtype(classes.dtype, np.integer):
        raise InputError(
            f"classes are one integer for each of {len(pixels)} images, received {classes.dtype} {classes.shape}: "
            "pass the label to explain for each"
        )
    count = model.output_shape[-1]
    if len(classes) and not 0 <= classes.min() <= classes.max() < count:
        raise InputError(
            f"model {model.name!r} has classes 0..{count - 1}, received {classes.min()}..{classes.max()}: "
            "pass labels in that range"
        )
