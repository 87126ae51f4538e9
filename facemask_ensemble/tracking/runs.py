"""Write runs: parameters, metrics and files of trainings, sweeps and reports."""

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.entities import Metric, Param
from mlflow.exceptions import MlflowException
from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

from facemask_ensemble.data.manifest import Manifest
from facemask_ensemble.tracking.datasets import log_dataset
from facemask_ensemble.tracking.interrupts import uninterrupted
from facemask_ensemble.tracking.store import Store, short

BATCH = 500  # metrics a request; the server takes at most 1,000


@uninterrupted()
def start_run(
    store: Store, study: str, name: str, tags: Mapping[str, str], params: Mapping[str, Any], parent: str | None = None
) -> str:
    """Start a run and return its id. Long parameters are cut; the config artifact has them whole."""
    labels = {**tags, **({"mlflow.parentRunId": parent} if parent else {})}
    run = store.client.create_run(store.experiment(study), run_name=name, tags=labels)
    store.client.log_batch(run.info.run_id, params=[Param(key, str(value)[:500]) for key, value in params.items()])
    return str(run.info.run_id)


def has_run(store: Store, run_id: str) -> bool:
    """Tell whether the store holds a run, and not only in its bin."""
    try:
        return store.client.get_run(run_id).info.lifecycle_stage == "active"
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return False
        raise


@uninterrupted()
def reopen_run(store: Store, run_id: str, parent: str | None = None) -> bool:
    """Resume a run that was stopped or failed; False if the store no longer has it."""
    if not has_run(store, run_id):
        return False
    store.client.update_run(run_id, status="RUNNING")
    if parent:
        store.client.set_tag(run_id, "mlflow.parentRunId", parent)
    if "error" in store.client.get_run(run_id).data.tags:
        store.client.delete_tag(run_id, "error")
    return True


class LiveMetrics:
    """Send every epoch's metrics as they come; if the server stops responding, this stops, but not the training.

    Epochs that an earlier try has sent already are not sent twice.
    """

    def __init__(self, store: Store, run_id: str) -> None:
        self.store, self.run_id, self.lost = store, run_id, False
        self.known: set[int] | None = None
        self.system = SystemMetricsMonitor(run_id, sampling_interval=5, samples_before_logging=2)

    def __enter__(self) -> "LiveMetrics":
        """Start to sample the system's use."""
        self.system.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop sampling."""
        self.system.finish()

    @uninterrupted()
    def __call__(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Log one epoch."""
        if self.lost:
            return
        try:
            if self.known is None:
                self.known = _epochs_in(self.store, self.run_id)
            if epoch not in self.known:
                self.store.client.log_batch(self.run_id, metrics=_metrics(metrics, epoch))
        except Exception as error:  # a fault of the store must not end a training
            self.lost = True
            warnings.warn(f"MLflow at {self.store.uri} no longer answers ({short(error)})", stacklevel=2)


@uninterrupted()
def finish_run(
    store: Store, run_id: str, *, files: Path, metrics: Mapping[str, float], status: str = "FINISHED"
) -> None:
    """Log final metrics and everything in a folder, and close the run."""
    store.client.log_batch(run_id, metrics=_metrics(metrics, 0))
    store.client.log_artifacts(run_id, str(files))
    store.client.set_terminated(run_id, status)


@uninterrupted()
def replay_history(store: Store, run_id: str, history: pd.DataFrame) -> None:
    """Log the epochs that the store has not seen."""
    known = _epochs_in(store, run_id)
    missing = [
        metric
        for row in history.to_dict("records")
        if int(row["epoch"]) not in known
        for metric in _metrics({str(k): v for k, v in row.items() if k != "epoch"}, int(row["epoch"]))
    ]
    for start in range(0, len(missing), BATCH):
        store.client.log_batch(run_id, metrics=missing[start : start + BATCH])


def _epochs_in(store: Store, run_id: str) -> set[int]:
    return {metric.step for metric in store.client.get_metric_history(run_id, "loss")}


@uninterrupted()
def end_run(store: Store, run_id: str, status: str, message: str = "") -> None:
    """Close a run that failed or was stopped, with its reason as a tag."""
    if message:
        store.client.set_tag(run_id, "error", message[:5000])
    store.client.set_terminated(run_id, status)


def log_report(
    store: Store, study: str, manifest: Manifest, folder: Path, votes: Mapping[str, Mapping[str, Any]]
) -> str:
    """Log a report's folder, what it was judged on and the votes' accuracies as a run of the study; return its id."""
    run_id = start_run(store, study, "report", {"kind": "report", "fingerprint": manifest.fingerprint}, {})
    log_dataset(store, run_id, manifest, ("validation", "test"))
    metrics = {f"{rule}_accuracy": scores["accuracy"] for rule, scores in votes.items()}
    finish_run(store, run_id, files=folder, metrics=metrics)
    return run_id


def log_audit(store: Store, name: str, task: str, folder: Path, metrics: Mapping[str, float]) -> str:
    """Log an audit's folder and its numbers as a run of the experiment `name`; return its id."""
    run_id = start_run(store, name, "audit", {"kind": "audit", "task": task}, {})
    finish_run(store, run_id, files=folder, metrics=metrics)
    return run_id


def protect(action: Callable[[], object]) -> str | None:
    """Do something with the store that may fail, and return a short reason if it fails."""
    try:
        action()
    except Exception as error:  # no fault of the store may cost results on disk
        return short(error)
    return None


def _metrics(metrics: Mapping[str, float], step: int) -> list[Metric]:
    now = int(pd.Timestamp.now("UTC").timestamp() * 1000)
    return [Metric(name, float(value), now, step) for name, value in metrics.items()]
