"""Which of Keras's backends trains, and the variables its process has to start with."""

import importlib.util
import os

from facemask_ensemble.errors import InputError

BACKENDS = ("tensorflow", "jax")
DETERMINISTIC = "--xla_gpu_deterministic_ops=true"


def backend() -> str:
    """Return the backend that KERAS_BACKEND asks for, TensorFlow if it is not set; import nothing.

    Raises:
        InputError: a backend that is not supported or not installed.
    """
    name = os.environ.get("KERAS_BACKEND") or "tensorflow"
    if name not in BACKENDS:
        raise InputError(f"KERAS_BACKEND={name}: must be one of {', '.join(BACKENDS)}; unset it for TensorFlow")
    if importlib.util.find_spec(name) is None:
        raise InputError(f"KERAS_BACKEND={name}: {name} is not installed; pip install {name}, or unset KERAS_BACKEND")
    return name


def environment(*, deterministic: bool) -> dict[str, str]:
    """Give the variables that must be set before a training's process starts.

    XLA reads its flags once, before our code could set them; `determinism.prepare` sets those of TensorFlow.
    """
    variables = {"KERAS_BACKEND": backend()}
    flags = os.environ.get("XLA_FLAGS", "")
    if deterministic and DETERMINISTIC not in flags.split():
        variables["XLA_FLAGS"] = f"{flags} {DETERMINISTIC}".strip()
    return variables
