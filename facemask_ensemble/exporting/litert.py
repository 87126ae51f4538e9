"""LiteRT, which was TensorFlow Lite: one .tflite file, for phones and small boards."""

import warnings
from collections.abc import Iterator
from pathlib import Path

from facemask_ensemble.exporting import Inputs, Options, Run
from facemask_ensemble.exporting.graphs import SIGNATURE
from facemask_ensemble.tensorflow_import import silent_stderr


def write(saved: Path, place: Path, options: Options) -> Path:
    """Convert with TensorFlow: float16 stores the weights so, int8 calculates in it too, within calibrated ranges."""
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_saved_model(str(saved), signature_keys=[SIGNATURE])
    if options.precision != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if options.precision == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if options.precision == "int8":
        converter.representative_dataset = lambda: _calibration(options)
    path = place.with_name(f"{place.name}.tflite")
    with silent_stderr(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path.write_bytes(converter.convert())
    return path


def read(path: Path) -> Run:
    """Open it with the interpreter that TensorFlow brings; it answers as many images as it is given."""
    import tensorflow as tf

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it points to the package ai-edge-litert, which has the same one
        interpreter = tf.lite.Interpreter(model_path=str(path))
    runner = interpreter.get_signature_runner(SIGNATURE)

    def run(inputs: Inputs) -> dict:
        return dict(runner(**inputs))

    return run


def _calibration(options: Options) -> Iterator[tuple[str, Inputs]]:
    for sample in options.samples:
        yield SIGNATURE, sample
