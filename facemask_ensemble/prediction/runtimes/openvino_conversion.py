"""Convert Keras to OpenVINO in a separate process, so that TensorFlow does not stay in memory."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from facemask_ensemble.ensemble.sources import Source
from facemask_ensemble.prediction.runtimes.openvino_cache import Place
from facemask_ensemble.prediction.runtimes.telemetry import stop_telemetry
from facemask_ensemble.resources import usable_cores
from facemask_ensemble.training.subprocess_call import aside

if TYPE_CHECKING:
    from numpy.typing import NDArray

FULL, SMALL = "float32", "int8"  # the kinds of networks; bfloat16 is a way of computing the first
CALIBRATION = 300  # images that the ranges of int8 are taken from
BATCH = 64  # images in memory at a time
SIDE_BY_SIDE = 2  # conversions, of one core and 2 GB each


def kind_of(precision: str) -> str:
    """Name the kind of network that a precision is computed with."""
    return SMALL if precision == SMALL else FULL


def convert(sources: Sequence[Source]) -> None:
    """Convert members that were not converted before to networks from uint8 pixels to probabilities, two at a time."""
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        list(pool.map(_converted, sources))


def quantize(place: Place, images: Sequence[Path]) -> None:
    """Quantize a converted network to int8, with activation ranges calibrated on images."""
    step = -(-len(images) // CALIBRATION)
    aside(_quantize, place, list(images[::step]))


def _converted(source: Source) -> None:
    place = Place.of(source.file)
    if place.network(FULL).exists():
        return
    with place.locked():
        if not place.network(FULL).exists():  # another command may have been first
            print(f"{source.name}: converting to OpenVINO (only once)", flush=True)
            aside(_convert, source.file, place)


def _convert(file: Path, place: Place) -> None:
    from facemask_ensemble.tensorflow_import import start_tensorflow

    start_tensorflow()
    stop_telemetry()
    import openvino
    import tensorflow as tf

    from facemask_ensemble.models.classifier import load_classifier
    from facemask_ensemble.models.copying import in_float32

    model = in_float32(load_classifier(file, as_trained=True))

    @tf.function(input_signature=[tf.TensorSpec((None, *model.input_shape[1:]), tf.uint8, "pixels")], autograph=False)
    def run(pixels: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"probabilities": model(tf.cast(pixels, tf.float32), training=False)}

    network = openvino.convert_model(run.get_concrete_function())
    network.reshape([1, *model.input_shape[1:]])  # a request is one image
    with place.writing(FULL) as target:
        openvino.save_model(network, target, compress_to_fp16=False)


def _quantize(place: Place, images: list[Path]) -> None:
    stop_telemetry()
    import nncf
    import openvino

    nncf.set_log_level("ERROR")
    network = openvino.Core().read_model(place.network(FULL))
    size = network.inputs[0].shape[1]
    seen = nncf.Dataset([pixels[None] for pixels in np.concatenate(list(squares(images, size)))])
    smaller = nncf.quantize(network, seen, subset_size=len(images), preset=nncf.QuantizationPreset.MIXED)
    with place.writing(SMALL) as target:
        openvino.save_model(smaller, target, compress_to_fp16=False)


def squares(images: Sequence[Path], size: int) -> "Iterator[NDArray[np.uint8]]":
    """Read images as a prediction reads them, some at a time, uint8 (n, size, size, 3).

    Raises:
        ImageError: one is damaged.
        OSError: one is not there.
    """
    from facemask_ensemble.data.resizing import read_content

    def read(image: Path) -> Any:
        return read_content(image.read_bytes(), [size])[0]

    with ThreadPoolExecutor(usable_cores()) as pool:
        for start in range(0, len(images), BATCH):
            yield np.stack(list(pool.map(read, images[start : start + BATCH])))
