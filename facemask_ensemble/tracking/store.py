"""Open a tracking store, embedded or on a server; if it cannot be opened, say why in one line."""

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "5")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "1")
os.environ.setdefault("MLFLOW_ENABLE_ASYNC_LOGGING", "false")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

import filelock
import mlflow
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from facemask_ensemble.errors import InputError
from facemask_ensemble.tracking.interrupts import uninterrupted

logging.getLogger("mlflow").setLevel(logging.WARNING)  # hides the messages about the setup of a database

TIMEOUT_SECONDS = 5.0  # seconds with an address that may be dead
PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}


@dataclass(frozen=True)
class Store:
    """An open tracking store."""

    client: MlflowClient
    uri: str
    artifacts: Path | None

    def experiment(self, study: str) -> str:
        """Return the id of the study's MLflow experiment, created when it is new."""
        location = (self.artifacts / study).as_uri() if self.artifacts else None
        found = self.client.get_experiment_by_name(study)
        if found is None:
            try:
                return str(self.client.create_experiment(study, artifact_location=location))
            except MlflowException:
                found = self.client.get_experiment_by_name(study)  # another process was first
                if found is None:
                    raise
        if found.lifecycle_stage != "active":
            raise InputError(
                f"study={study}: deleted in MLflow; restore it there (mlflow experiments restore --experiment-id "
                f"{found.experiment_id}), or give another study"
            )
        return str(found.experiment_id)


def default_uri(output_dir: Path) -> str:
    """Give the address of the embedded sqlite store."""
    return f"sqlite:///{output_dir}/mlflow.db"


@uninterrupted()
def open_store(uri: str | None, output_dir: Path) -> Store:
    """Open the tracking store, or create the embedded one.

    Args:
        uri: of a server or database; None for the embedded sqlite store in `output_dir`.
        output_dir: absolute; the embedded store keeps `mlflow.db` and `mlruns/` here.

    Raises:
        InputError: not an address, no answer from it, or the embedded store is damaged.
    """
    embedded = uri is None
    if uri is not None and "://" not in uri:
        raise InputError(f"tracking.uri={uri}: not an address; give one such as http://{uri or 'host:5000'}")
    uri = uri or default_uri(output_dir)
    output_dir.mkdir(parents=True, exist_ok=True)
    mlflow.set_tracking_uri(uri)
    artifacts = None if uri.startswith(("http://", "https://")) else output_dir / "mlruns"
    try:
        # Several processes that create one sqlite store at once break each other's migrations.
        with _impatient(uri), filelock.FileLock(output_dir / ".mlflow.lock"):
            client = MlflowClient(uri)
            client.search_experiments(max_results=1)
    except (MlflowException, SQLAlchemyError, OSError, ImportError) as error:
        if embedded and isinstance(error, OperationalError | OSError):
            raise
        if embedded:
            raise InputError(
                f"{output_dir / 'mlflow.db'} cannot be opened ({short(error)}); move it away, or give another "
                "output_dir"
            ) from error
        raise InputError(
            f"tracking.uri={uri}: no tracking server answers there ({short(error)}); start it, or leave "
            "tracking=sqlite to log into output_dir"
        ) from error
    return Store(client, uri, artifacts)


@contextmanager
def _impatient(uri: str) -> Iterator[None]:
    """Ask once: against a dead address MLflow tries again and again, a database for minutes."""
    address = urlsplit(uri)
    port = address.port or PORTS.get(address.scheme.partition("+")[0])
    if address.hostname and port and not address.scheme.startswith("http"):
        socket.create_connection((address.hostname, port), timeout=TIMEOUT_SECONDS).close()
    retries = os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"]
    os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
    try:
        yield
    finally:
        os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = retries


def short(error: BaseException) -> str:
    """Put an error into one short line; one of the system's that caused it says more than what was made of it."""
    said, cause = error, error.__cause__ or error.__context__
    while cause is not None:
        if isinstance(cause, OSError):
            said = cause
        cause = cause.__cause__ or cause.__context__
    return " ".join(str(said).split())[:160]
