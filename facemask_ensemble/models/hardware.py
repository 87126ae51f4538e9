"""What the machine computes with: its processor and its GPUs as the backend sees them."""

import json
import platform
import re
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from facemask_ensemble.models.backend import backend

CPUINFO = Path("/proc/cpuinfo")
BFLOAT16 = {"avx512_bf16", "amx_bf16"}  # instructions that multiply bfloat16


@dataclass(frozen=True)
class Machine:
    """A machine as far as the speed of a network depends on it.

    Attributes:
        backend: Keras's.
        versions: of Keras and the backend.
        processor: its name.
        bfloat16: the processor's instructions for bfloat16, as Linux names them.
        gpus: their names.
        capability: the lowest compute capability of the GPUs, (0, 0) where one is not known or there are none.
    """

    backend: str
    versions: tuple[str, ...]
    processor: str
    bfloat16: tuple[str, ...] = ()
    gpus: tuple[str, ...] = ()
    capability: tuple[int, int] = (0, 0)


def this_machine() -> Machine:
    """Describe this machine; no memory of a GPU is taken."""
    name = backend()
    gpus = _ask_jax() if name == "jax" else _tensorflow_gpus()
    brand, bfloat16 = processor()
    versions = tuple(f"{package} {version(package)}" for package in ("keras", name))
    lowest = min((capability for _, capability in gpus), default=(0, 0))
    return Machine(name, versions, brand, bfloat16, tuple(gpu for gpu, _ in gpus), lowest)


def processor() -> tuple[str, tuple[str, ...]]:
    """Read the processor's name and its instructions for bfloat16, if the system reports them."""
    text = CPUINFO.read_text() if CPUINFO.exists() else ""
    name = re.search(r"^model name\s*:\s*(.+)$", text, re.M)
    flags = re.search(r"^flags\s*:\s*(.+)$", text, re.M)
    found = BFLOAT16 & set(flags.group(1).split()) if flags else set()
    return name.group(1).strip() if name else platform.processor() or platform.machine(), tuple(sorted(found))


def is_faster_in(half: str) -> bool:
    """Tell whether Keras computes faster in `float16` or `bfloat16` than in float32 on the devices that it has here.

    A GPU does. A processor does in bfloat16 if it has instructions for it. In float16 no processor does, not even one
    with instructions for that: measured on a Xeon with avx512_fp16, four backbones took 1.5 times as long.
    """
    import keras

    if any(not device.startswith("cpu") for device in keras.distribution.list_devices()):
        return True
    return half == "bfloat16" and bool(processor()[1])


def _tensorflow_gpus() -> list[tuple[str, tuple[int, int]]]:
    from facemask_ensemble.tensorflow_import import silent_stderr

    with silent_stderr():
        import tensorflow as tf

        gpus = tf.config.list_physical_devices("GPU")
    details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
    return [(detail.get("device_name", "GPU"), detail.get("compute_capability", (0, 0))) for detail in details]


def _jax_gpus() -> list[tuple[str, tuple[int, int]]]:
    import jax

    gpus = [device for device in jax.devices() if device.platform == "gpu"]
    return [(gpu.device_kind, _capability(getattr(gpu, "compute_capability", "0.0"))) for gpu in gpus]


def _capability(text: str) -> tuple[int, int]:
    major, _, minor = str(text).partition(".")
    return int(major), int(minor or 0)


def _ask_jax() -> list[tuple[str, tuple[int, int]]]:
    """Ask in a separate process: JAX takes most of a GPU's memory as soon as it opens it."""
    done = subprocess.run([sys.executable, "-m", __name__], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    lines = done.stdout.splitlines()
    return [(name, (major, minor)) for name, (major, minor) in json.loads(lines[-1])] if lines else []


if __name__ == "__main__":
    print(json.dumps(_jax_gpus()))
