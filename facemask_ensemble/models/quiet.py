"""A TensorFlow that starts without a word."""

import os
import sys


def start_tensorflow() -> None:
    """Import TensorFlow and let it find its devices, with what it prints meanwhile thrown away.

    It writes to the descriptor of stderr from C++, before any level of logging holds.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    nothing = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, 2)
        import tensorflow as tf

        tf.config.list_physical_devices()
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)
