"""Import TensorFlow without its messages."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from facemask_ensemble.errors import InputError
from facemask_ensemble.garbage import collection_paused


def start_tensorflow() -> None:
    """Import TensorFlow as Keras's backend and let it find its devices, and discard its messages.

    It writes to the descriptor of stderr from C++, before any level of logging holds. Answers and heatmaps are
    computed by TensorFlow, also if the members were trained on another KERAS_BACKEND.

    Raises:
        InputError: Keras already runs on another backend in this process.
    """
    os.environ["KERAS_BACKEND"] = "tensorflow"
    with silent_stderr(), collection_paused():
        import keras
        import tensorflow as tf

        tf.config.list_physical_devices()
    if (running := keras.backend.backend()) != "tensorflow":
        raise InputError(
            f"KERAS_BACKEND={running}: Keras already runs on it in this process, but this step needs TensorFlow; "
            "run it in another process"
        )


@contextmanager
def silent_stderr() -> Iterator[None]:
    """Discard what this block writes to stderr, also from C++."""
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
