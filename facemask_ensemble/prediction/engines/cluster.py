"""A Ray cluster: joined, or started on this machine for the time of the command."""

import logging
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from facemask_ensemble.errors import InputError
from facemask_ensemble.resources import usable_cores
from facemask_ensemble.signals import handlers_kept
from facemask_ensemble.tensorflow_import import silent_stderr

ANSWERING = 5.0  # seconds in which a cluster has to answer
GO_ON = "finished answers are kept; run the same command again to resume"
LOST = {
    "ActorDiedError",
    "ActorUnavailableError",
    "NodeDiedError",
    "ObjectLostError",
    "OutOfMemoryError",
    "OwnerDiedError",
    "WorkerCrashedError",
}
SILENT = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_BACKEND_LOG_LEVEL": "fatal", "RAY_DATA_LOG_LEVEL": "CRITICAL"}
PRIVATE = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}  # stays on 127.0.0.1, which else it does on those systems alone


def room(resources: dict[str, float], workers: int | None, cores: int, gpus: float) -> int:
    """Give the number of workers that the cluster has room for."""
    most = int(resources.get("CPU", 0) // cores)
    if gpus:
        most = min(most, int(resources.get("GPU", 0) // gpus))
    if most < (workers or 1):
        raise InputError(
            f"engine.workers={workers or 1}: with engine.cores={cores} and engine.gpus={gpus:g} each, only "
            f"{most} fit into {resources.get('CPU', 0):g} cores and {resources.get('GPU', 0):g} GPUs; ask for less"
        )
    return workers or most


@contextmanager
def joined(address: str | None) -> Iterator[None]:
    """Join a cluster, or start one on this machine, without output."""
    os.environ |= SILENT if address else SILENT | PRIVATE
    if address and address != "auto":
        _refuse_silence(address)
    import ray

    place = None if address else _short_folder()
    try:
        _start(address, place)
        yield
    finally:
        ray.shutdown()
        if place:
            shutil.rmtree(place, ignore_errors=True)


def _start(address: str | None, place: str | None) -> None:
    """Connect to a cluster, or start one that keeps its files in a folder."""
    import ray

    own: dict[str, Any] = {"num_cpus": usable_cores(), "include_dashboard": False, "_temp_dir": place} if place else {}
    try:
        with silent_stderr(), handlers_kept():  # Ray's own would end the command with the code 15
            ray.init(address=address or "local", logging_level=logging.ERROR, log_to_driver=False, **own)
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        raise InputError(
            f"engine.address={address}: cannot connect to Ray ({' '.join(str(error).split())[:200]}); start it with "
            "ray start, put its token into RAY_AUTH_TOKEN if it asks for one, or give engine.address=null to start "
            "Ray on this machine"
        ) from None


def _short_folder() -> str:
    """Make a folder for Ray's files, its sockets among them, whose paths may not be long."""
    return tempfile.mkdtemp(prefix="ray-", dir="/tmp" if Path("/tmp").is_dir() else None)


def _refuse_silence(address: str) -> None:
    """Refuse an address where nothing listens: Ray would try for a quarter of an hour."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        socket.create_connection((host, int(port)), ANSWERING).close()
    except (OSError, ValueError) as error:
        raise InputError(
            f"engine.address={address}: nothing listens there ({error}); give HOST:PORT of a running Ray, or "
            "engine.address=null to start one on this machine"
        ) from None


@contextmanager
def losses_explained() -> Iterator[None]:
    """Put into one line that a worker was lost."""
    from ray.exceptions import RayError

    try:
        yield
    except RayError as error:
        if any(type(cause).__name__ in LOST for cause in _causes(error)):
            raise InputError(
                f"engine=ray: a worker was lost ({' '.join(str(error).split())[:200]}); {GO_ON}. If memory "
                "ran out, give fewer engine.workers"
            ) from None
        raise


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Follow an error through Ray's wrappers to what caused it."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = getattr(seen, "cause", None) or seen.__cause__
