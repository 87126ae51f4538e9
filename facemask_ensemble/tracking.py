"""MLflow: the one module that speaks to it."""

import json
import logging
import os
import shutil
import socket
import uuid
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "5")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "1")
os.environ.setdefault("MLFLOW_ENABLE_ASYNC_LOGGING", "false")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

import filelock
import mlflow
import pandas as pd
from mlflow.entities import Metric, Param, Run
from mlflow.exceptions import MlflowException
from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor
from mlflow.tracking import MlflowClient
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from facemask_ensemble.errors import InputError

logging.getLogger("mlflow").setLevel(logging.WARNING)  # how it sets up a database is of no use to a user

LATEST_FIRST = ["attributes.end_time DESC"]
BATCH = 500  # metrics a request; the server takes at most 1,000
PATIENCE = 5.0  # seconds with an address that may be dead
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


def open_store(uri: str | None, output_dir: Path) -> Store:
    """Open the tracking store, or create the embedded one.

    Args:
        uri: of a server or database; None for the embedded sqlite store in `output_dir`.
        output_dir: absolute; the embedded store keeps `mlflow.db` and `mlruns/` here.

    Raises:
        InputError: it is no address, nothing answers there, or the embedded store is broken.
    """
    embedded = uri is None
    if uri is not None and "://" not in uri:
        raise InputError(f"tracking.uri={uri}: no address; give one such as http://{uri or 'host:5000'}")
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
                f"{output_dir / 'mlflow.db'} cannot be opened ({_short(error)}); move it away, or give another "
                "output_dir"
            ) from error
        raise InputError(
            f"tracking.uri={uri}: no tracking server answers there ({_short(error)}); start it, or leave "
            "tracking=sqlite to log into output_dir"
        ) from error
    return Store(client, uri, artifacts)


@contextmanager
def _impatient(uri: str) -> Iterator[None]:
    """Ask once: against a dead address MLflow tries again and again, a database for minutes."""
    address = urlsplit(uri)
    port = address.port or PORTS.get(address.scheme.partition("+")[0])
    if address.hostname and port and not address.scheme.startswith("http"):
        socket.create_connection((address.hostname, port), timeout=PATIENCE).close()
    retries = os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"]
    os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
    try:
        yield
    finally:
        os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = retries


def start_run(
    store: Store, study: str, name: str, tags: Mapping[str, str], params: Mapping[str, Any], parent: str | None = None
) -> str:
    """Start a run and return its id. Long parameters are cut; the config artifact has them whole."""
    labels = {**tags, **({"mlflow.parentRunId": parent} if parent else {})}
    run = store.client.create_run(store.experiment(study), run_name=name, tags=labels)
    store.client.log_batch(run.info.run_id, params=[Param(key, str(value)[:500]) for key, value in params.items()])
    return str(run.info.run_id)


class LiveMetrics:
    """Send every epoch's metrics as they come; a server that stops answering ends that, not the training."""

    def __init__(self, store: Store, run_id: str) -> None:
        self.store, self.run_id, self.lost = store, run_id, False
        self.system = SystemMetricsMonitor(run_id, sampling_interval=5, samples_before_logging=2)

    def __enter__(self) -> "LiveMetrics":
        """Start to sample the system's use."""
        self.system.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop sampling."""
        self.system.finish()

    def __call__(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Log one epoch."""
        if self.lost:
            return
        try:
            self.store.client.log_batch(self.run_id, metrics=_metrics(metrics, epoch))
        except Exception as error:  # any fault of the store must not cost a training
            self.lost = True
            warnings.warn(f"MLflow at {self.store.uri} no longer answers ({_short(error)})", stacklevel=2)


def finish_run(
    store: Store, run_id: str, *, files: Path, metrics: Mapping[str, float], status: str = "FINISHED"
) -> None:
    """Log final metrics and everything in a folder, and close the run."""
    store.client.log_batch(run_id, metrics=_metrics(metrics, 0))
    store.client.log_artifacts(run_id, str(files))
    store.client.set_terminated(run_id, status)


def replay_history(store: Store, run_id: str, history: pd.DataFrame) -> None:
    """Log the epochs that the store has not seen."""
    known = {metric.step for metric in store.client.get_metric_history(run_id, "loss")}
    missing = [
        metric
        for row in history.to_dict("records")
        if int(row["epoch"]) not in known
        for metric in _metrics({str(k): v for k, v in row.items() if k != "epoch"}, int(row["epoch"]))
    ]
    for start in range(0, len(missing), BATCH):
        store.client.log_batch(run_id, metrics=missing[start : start + BATCH])


def end_run(store: Store, run_id: str, status: str, message: str = "") -> None:
    """Close a run that failed or was stopped, with its reason as a tag."""
    if message:
        store.client.set_tag(run_id, "error", message[:5000])
    store.client.set_terminated(run_id, status)


@dataclass(frozen=True)
class LoggedMember:
    """A finished training in the store."""

    run_id: str
    name: str
    tags: dict[str, str]
    params: dict[str, str]
    metrics: dict[str, float]

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes in label order."""
        return tuple(json.loads(self.tags["class_names"]))


def finished_members(
    store: Store, *, fingerprint: str | None = None, study: str | None = None, run_ids: Sequence[str] | str = ()
) -> list[LoggedMember]:
    """Find trained members: the newest of every name, in the order of their names.

    Args:
        store: to search.
        fingerprint: only those trained on this data set and split.
        study: only those of this study.
        run_ids: just these runs, whatever the rest says; a single one may stand alone.

    Raises:
        InputError: a run id is not a finished member's.
    """
    if run_ids:
        return [_member_of(store, run_id) for run_id in ([run_ids] if isinstance(run_ids, str) else run_ids)]
    experiments = [e.experiment_id for e in store.client.search_experiments() if study in (None, e.name)]
    if not experiments:
        return []
    query = "tags.kind = 'member' and attributes.status = 'FINISHED'"
    if fingerprint:
        query += f" and tags.fingerprint = '{fingerprint}'"
    runs = _search_all(store, experiments, query)
    newest: dict[str, LoggedMember] = {}
    for run in runs:
        member = _member(run)
        if (
            fingerprint is None
            and newest
            and member.tags["fingerprint"] != next(iter(newest.values())).tags["fingerprint"]
        ):
            continue
        newest.setdefault(member.name, member)
    return [newest[name] for name in sorted(newest)]


def studies(store: Store) -> list[str]:
    """Name the studies in the store that hold a run."""
    return sorted(e.name for e in store.client.search_experiments() if _search_all(store, [e.experiment_id], "", 1))


def artifact(store: Store, run_id: str, path: str, cache: Path) -> Path:
    """Return a local file of a run's artifact; one that lies on a server is kept in `cache`.

    Raises:
        InputError: the store has lost it, or does not hand it out.
    """
    kept = cache / run_id / path
    if kept.exists():
        return kept
    local = mlflow.artifacts.download_artifacts
    part = cache / f"{run_id}.{uuid.uuid4().hex[:8]}.part"
    try:
        uri = store.client.get_run(run_id).info.artifact_uri
        if uri.startswith("file:"):
            return Path(local(artifact_uri=f"{uri}/{path}"))
        part.mkdir(parents=True)
        kept.parent.mkdir(parents=True, exist_ok=True)
        Path(local(run_id=run_id, artifact_path=path, dst_path=str(part))).replace(kept)  # whole or not at all
    except (MlflowException, OSError) as error:
        raise InputError(
            f"members={run_id}: {path} cannot be had from {store.uri} ({_short(error)}); restore it, or train that "
            "member again"
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return kept


def log_report(store: Store, study: str, fingerprint: str, folder: Path, votes: Mapping[str, Mapping[str, Any]]) -> str:
    """Log a report's folder and the votes' accuracies as a run of the study; return its id."""
    run_id = start_run(store, study, "report", {"kind": "report", "fingerprint": fingerprint}, {})
    metrics = {f"{rule}_accuracy": scores["accuracy"] for rule, scores in votes.items()}
    finish_run(store, run_id, files=folder, metrics=metrics)
    return run_id


def protect(action: Callable[[], object]) -> str | None:
    """Do something with the store that may fail, and return the reason in short where it does."""
    try:
        action()
    except Exception as error:  # results on disk must survive whatever the store does
        return _short(error)
    return None


def _search_all(store: Store, experiments: list[str], query: str, most: int = 10_000) -> list[Run]:
    found: list[Run] = []
    token = None
    while len(found) < most:
        page = store.client.search_runs(
            experiments, query, order_by=LATEST_FIRST, page_token=token, max_results=min(most, 1000)
        )
        found += page
        token = page.token
        if not token:
            break
    return found


def _member_of(store: Store, run_id: str) -> LoggedMember:
    try:
        run = store.client.get_run(run_id)
    except MlflowException as error:
        raise InputError(f"members={run_id}: no such run in {store.uri}; `make ui` shows the run ids") from error
    if run.data.tags.get("kind") != "member" or run.info.status != "FINISHED":
        raise InputError(f"members={run_id}: that run is no finished member (it is {run.info.status}); train it first")
    return _member(run)


def _member(run: Run) -> LoggedMember:
    data = run.data
    return LoggedMember(run.info.run_id, data.tags["backbone"], dict(data.tags), dict(data.params), dict(data.metrics))


def _metrics(metrics: Mapping[str, float], step: int) -> list[Metric]:
    now = int(pd.Timestamp.now("UTC").timestamp() * 1000)
    return [Metric(name, float(value), now, step) for name, value in metrics.items()]


def _short(error: BaseException) -> str:
    """Put an error into one short line; one of the system's that caused it says more than what was made of it."""
    said, cause = error, error.__cause__ or error.__context__
    while cause is not None:
        if isinstance(cause, OSError):
            said = cause
        cause = cause.__cause__ or cause.__context__
    return " ".join(str(said).split())[:160]
