"""MLflow: runs, their files and the registry. Only this package and `serving` use MLflow."""

from facemask_ensemble.tracking.datasets import log_dataset
from facemask_ensemble.tracking.members import LoggedMember, artifact, finished_members, studies
from facemask_ensemble.tracking.runs import (
    LiveMetrics,
    end_run,
    finish_run,
    has_run,
    log_audit,
    log_report,
    protect,
    reopen_run,
    replay_history,
    start_run,
)
from facemask_ensemble.tracking.store import Store, default_uri, open_store

__all__ = [
    "LiveMetrics",
    "LoggedMember",
    "Store",
    "artifact",
    "default_uri",
    "end_run",
    "finish_run",
    "finished_members",
    "has_run",
    "log_audit",
    "log_dataset",
    "log_report",
    "open_store",
    "protect",
    "reopen_run",
    "replay_history",
    "start_run",
    "studies",
]
