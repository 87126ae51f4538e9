"""Numeric precision: half where the device is good at it."""

import keras
import tensorflow as tf

TENSOR_CORES = (7, 0)  # compute capability from which float16 is faster


def choose_policy(precision: str) -> str:
    """Name the Keras dtype policy for `auto`, or return the one asked for.

    `auto` is mixed_float16 on a GPU with tensor cores and float32 everywhere else: on CPUs the gain of half precision
    depends on the backbone, from 1.5 times faster to slower.
    """
    if precision != "auto":
        return precision
    gpus = tf.config.list_physical_devices("GPU")
    details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
    fast = gpus and all(detail.get("compute_capability", (0, 0)) >= TENSOR_CORES for detail in details)
    return "mixed_float16" if fast else "float32"


def set_policy(precision: str) -> str:
    """Set the global dtype policy and return its name."""
    policy = choose_policy(precision)
    keras.config.set_dtype_policy(policy)
    return policy
