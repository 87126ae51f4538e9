"""The same weights again from the same command, or a refusal that says what stands in the way."""

import re

import keras
import tensorflow as tf

from facemask_ensemble.models.backend import environment


def prepare(seed: int, *, deterministic: bool) -> None:
    """Seed Python, NumPy, TensorFlow and Keras; with `deterministic`, let no operation depend on the order of threads.

    TensorFlow then also reads and augments in one thread where an operation has a state, and is slower for it. JAX has
    to be told before its process starts: `models.backend.environment`.
    """
    keras.utils.set_random_seed(seed)
    if deterministic:
        tf.config.experimental.enable_op_determinism()  # under JAX too, for the data
        if keras.backend.backend() == "jax" and "XLA_FLAGS" in environment(deterministic=True):
            raise RuntimeError("XLA_FLAGS: start the process with models.backend.environment(deterministic=True)")


def explain_determinism(error: BaseException) -> str | None:
    """Put an operation's refusal to be deterministic into one line with the next step; None for any other error.

    TensorFlow raises UnimplementedError for operations that have no deterministic version (on a GPU, mostly), and
    RuntimeError or ValueError for random ones without a seed.
    """
    kinds = (tf.errors.UnimplementedError, tf.errors.InvalidArgumentError, RuntimeError, ValueError)
    text = " ".join(str(error).split())
    said = re.search(r"[^.:]*\bdetermini\w+[^.]*", text, re.I)
    if not isinstance(error, kinds) or said is None:
        return None
    return (
        f"deterministic=true: {said.group().strip()[:200]}; remove what uses it, perhaps an augmentation, or give "
        "deterministic=false"
    )
