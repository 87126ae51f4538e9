"""One GPU a process for trainings side by side: two in one GPU's memory end each other."""

import os
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

PAUSE = 0.5  # seconds between two looks for a free GPU


@contextmanager
def lease(folder: Path) -> Iterator[dict[str, str]]:
    """Keep one GPU of this machine for this process until the end of the block; wait where all are taken.

    Not for jobs of Slurm or Ray: they are given GPUs of their own, each of which they may call 0.

    Args:
        folder: of the locks, the same for all processes that share the GPUs; made where it is missing.

    Yields:
        The variables for the training's process: `CUDA_VISIBLE_DEVICES`, or none on a machine without GPUs.
    """
    gpus = visible_gpus()
    if not gpus:
        yield {}
        return
    folder.mkdir(parents=True, exist_ok=True)
    gpu, lock = _first_free(gpus, folder)
    try:
        yield {"CUDA_VISIBLE_DEVICES": gpu}
    finally:
        lock.release()


def visible_gpus() -> list[str]:
    """Name the GPUs that this process may use: those of CUDA_VISIBLE_DEVICES, else all of the machine."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is None:
        return _installed_gpus()
    names = [name.strip() for name in chosen.split(",")]
    # CUDA itself stops reading at the first name that is none.
    end = next((place for place, name in enumerate(names) if not name or name.startswith("-")), len(names))
    return names[:end]


def _installed_gpus() -> list[str]:
    """Ask the driver; a GPU that is cut into slices (MIG) is given by its slices."""
    try:
        said = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=30, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    found: list[str] = []
    for name in re.findall(r"UUID: ((?:GPU|MIG)-[^\s)]+)", said):
        if name.startswith("MIG-") and found and found[-1].startswith("GPU-"):
            found.pop()
        found.append(name)
    return found


def _first_free(gpus: list[str], folder: Path) -> tuple[str, filelock.BaseFileLock]:
    machine = socket.gethostname()  # the folder may be shared with others, whose GPUs bear the same numbers
    while True:
        for gpu in gpus:
            lock = filelock.FileLock(folder / f".gpu-{machine}-{gpu.replace('/', '_')}.lock")
            try:
                lock.acquire(timeout=0)
            except filelock.Timeout:
                continue
            return gpu, lock
        time.sleep(PAUSE)
