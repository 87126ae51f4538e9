"""A TensorFlow that starts without a word."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from facemask_ensemble.errors import InputError


def start_tensorflow() -> None:
    """Import TensorFlow as Keras's backend and let it find its devices, with what it prints meanwhile thrown away.

    It writes to the descriptor of stderr from C++, before any level of logging holds. Answers and heatmaps are
    TensorFlow's, whatever KERAS_BACKEND the members were trained with.

    Raises:
        InputError: Keras runs on another backend in this process already.
    """
    os.environ["KERAS_BACKEND"] = "tensorflow"
    with silent_stderr():
        import keras
        import tensorflow as tf

        tf.config.list_physical_devices()
    if (running := keras.backend.backend()) != "tensorflow":
        raise InputError(
            f"KERAS_BACKEND={running}: this process already runs Keras on it, but this step needs TensorFlow; "
            "run it in a separate process"
        )


@contextmanager
def silent_stderr() -> Iterator[None]:
    """Throw away what is written to stderr meanwhile, from C++ too."""
    sys.stderr.flush()
    kept = os.dup(2)
    nothing = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, 2)
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)
