"""Find trained members in a store, and their files."""

import json
import shutil
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import mlflow
from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from facemask_ensemble.errors import InputError
from facemask_ensemble.settings.task import GENERIC
from facemask_ensemble.tracking.store import Store, short

LATEST_FIRST = ["attributes.end_time DESC"]


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

    @property
    def task(self) -> str:
        """The name of the task that it was trained for."""
        return self.tags.get("task", GENERIC)


def finished_members(
    store: Store, *, fingerprint: str | None = None, study: str | None = None, run_ids: Sequence[str] | str = ()
) -> list[LoggedMember]:
    """Find trained members: the newest of every name, in the order of their names.

    Args:
        store: to search.
        fingerprint: only those trained on this dataset and split.
        study: only those of this study.
        run_ids: only these runs, whatever the other arguments are; or a single run id.

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
    """Return a local file of a run's artifact; a file from a server is kept in `cache`.

    Raises:
        InputError: the store has lost it or refuses to give it.
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
            f"members={run_id}: {path} cannot be downloaded from {store.uri} ({short(error)}); restore it, or train "
            "that "
            "member again"
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return kept


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
        raise InputError(
            f"members={run_id}: that run is not a finished member (it is {run.info.status}); train it first"
        )
    return _member(run)


def _member(run: Run) -> LoggedMember:
    data = run.data
    return LoggedMember(run.info.run_id, data.tags["backbone"], dict(data.tags), dict(data.params), dict(data.metrics))
