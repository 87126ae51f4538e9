"""The format of TensorFlow: a folder, for TensorFlow Serving and whatever converts from it."""

import shutil
from pathlib import Path

from facemask_ensemble.exporting import Inputs, Options, Run
from facemask_ensemble.exporting.graphs import SIGNATURE


def write(saved: Path, place: Path, options: Options) -> Path:
    """Copy the SavedModel as it is."""
    return Path(shutil.copytree(saved, place))


def read(path: Path) -> Run:
    """Open it with TensorFlow."""
    import tensorflow as tf

    loaded = tf.saved_model.load(str(path))
    answer = loaded.signatures[SIGNATURE]

    def run(inputs: Inputs) -> dict:
        assert loaded is not None  # its signatures hold no reference to it
        return {name: value.numpy() for name, value in answer(**{k: tf.constant(v) for k, v in inputs.items()}).items()}

    return run
