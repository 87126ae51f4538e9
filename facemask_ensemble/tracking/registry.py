"""MLflow's model registry: an ensemble's versions, and which of them is the champion."""

import os
import re
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from mlflow.entities import Run
from mlflow.entities.model_registry import RegisteredModel
from mlflow.exceptions import MlflowException

from facemask_ensemble.errors import InputError
from facemask_ensemble.tracking.interrupts import uninterrupted
from facemask_ensemble.tracking.members import LATEST_FIRST, artifact, studies
from facemask_ensemble.tracking.store import Store, short

os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")  # three small files, and a bar for each

CHAMPION = "champion"
FOLDER = "ensemble"  # of a report's artifacts
FILES = ("ensemble.json", "card.json", "card.html", "answers.parquet")
MODEL = "MLmodel"
ADDRESS = re.compile(r"models:/(?P<name>[^/@]+)(?:@(?P<alias>[^/@]+)|/(?P<number>\d+))")


@dataclass(frozen=True)
class Version:
    """One version of a registered ensemble, and the report run that it came from."""

    name: str
    number: int
    run_id: str


def find_report(store: Store, study: str | None, run_id: str | None) -> tuple[str, str]:
    """Give the run id and the study of a report: the given run, or the newest of a study or of all studies.

    Raises:
        InputError: there is none, or the run is not a finished report.
    """
    if run_id is not None:
        run = _report_run(store, run_id)
        return run_id, str(store.client.get_experiment(run.info.experiment_id).name)
    experiments = {e.experiment_id: e.name for e in store.client.search_experiments() if study in (None, e.name)}
    query = "tags.kind = 'report' and attributes.status = 'FINISHED'"
    found = store.client.search_runs([*experiments], query, order_by=LATEST_FIRST, max_results=1) if experiments else []
    if not found:
        said = f"study={study}: it has no report" if study else "there is no report"
        raise InputError(
            f"{said} in {store.uri}; studies there: {', '.join(studies(store)) or 'none'}. Write one: "
            f"python -m facemask_ensemble.evaluate study={study or 'STUDY'}"
        )
    return str(found[0].info.run_id), str(experiments[found[0].info.experiment_id])


def ensemble_folder(store: Store, run_id: str, cache: Path, advice: str) -> Path:
    """Return a local copy of the folder in which a report keeps its ensemble.

    Raises:
        InputError: the report has none, or a file of it is lost; the message ends with the advice.
    """
    try:
        there = {Path(file.path).name for file in store.client.list_artifacts(run_id, FOLDER)}
    except MlflowException:  # the run itself was deleted for good
        there = set()
    missing = [name for name in FILES if name not in there]
    if missing:
        raise InputError(f"report={run_id}: {FOLDER}/{missing[0]} is not in {store.uri}; {advice}")
    return artifact(store, run_id, FOLDER, cache)


def champion(store: Store, name: str) -> Version | None:
    """Give the version that has the alias, if any."""
    with _told(store, name):
        model = _model(store, name)
        if model is None or CHAMPION not in model.aliases:
            return None
        found = store.client.get_model_version(name, str(model.aliases[CHAMPION]))
    return Version(name, int(found.version), found.run_id or "")


def has_model(store: Store, run_id: str) -> bool:
    """Tell whether a report's folder can be loaded as a model already."""
    return MODEL in {Path(file.path).name for file in store.client.list_artifacts(run_id, FOLDER)}


@uninterrupted()
def add_model(store: Store, run_id: str, folder: Path) -> None:
    """Put a saved model's files beside those that a report keeps of its ensemble; what makes it a model comes last."""
    parts = sorted(folder.iterdir(), key=lambda part: part.name == MODEL)
    for part in parts:
        if part.is_dir():
            store.client.log_artifacts(run_id, str(part), f"{FOLDER}/{part.name}")
        else:
            store.client.log_artifact(run_id, str(part), FOLDER)


def version_folder(store: Store, address: str, cache: Path) -> Path:
    """Return a local copy of a registered version's files.

    Args:
        store: of the registry.
        address: `models:/NAME@ALIAS` or `models:/NAME/NUMBER`.
        cache: for files from a server.

    Raises:
        InputError: not such an address, or the version does not exist.
    """
    found = ADDRESS.fullmatch(address)
    if not found:
        raise InputError(f"ensemble={address}: give models:/NAME@{CHAMPION} or models:/NAME/VERSION")
    name, number = found["name"], found["number"]
    with _asked(store, address):
        version = (
            store.client.get_model_version(name, number)
            if number
            else store.client.get_model_version_by_alias(name, found["alias"])
        )
    if not version.run_id:
        raise InputError(
            f"ensemble={address}: this model was registered by hand; register one with python -m facemask_ensemble.ship"
        )
    if not has_model(store, version.run_id):
        again = f"python -m facemask_ensemble.ship report={version.run_id} name={name} champion=false"
        raise InputError(f"ensemble={address}: the files of its members are missing; ship it again: {again}")
    return artifact(store, version.run_id, FOLDER, cache / "models")


@uninterrupted()
def register(store: Store, name: str, run_id: str, tags: Mapping[str, str], description: str) -> tuple[Version, bool]:
    """Register a report's ensemble; return its version, and whether it is new: a report has one of each name."""
    with _told(store, name):
        if _model(store, name) is None:
            store.client.create_registered_model(name)
        for known in store.client.search_model_versions(f"run_id = '{run_id}'"):
            if known.name == name:
                return Version(name, int(known.version), run_id), False
        made = store.client.create_model_version(
            name, f"runs:/{run_id}/{FOLDER}", run_id, tags=dict(tags), description=description
        )
    return Version(name, int(made.version), run_id), True


@uninterrupted()
def set_champion(store: Store, version: Version) -> None:
    """Give a version the alias of the champion, and take it from the other."""
    with _told(store, version.name):
        store.client.set_registered_model_alias(version.name, CHAMPION, str(version.number))


def page_of(store: Store, version: Version) -> str:
    """Tell where a version can be looked at."""
    page = f"#/models/{quote(version.name, safe='')}/versions/{version.number}"
    if store.artifacts is None:
        return f"{store.uri.rstrip('/')}/{page}"
    if store.uri.startswith("sqlite:"):
        return f"http://127.0.0.1:5000/{page} after: mlflow ui --backend-store-uri {shlex.quote(store.uri)}"
    return f"{page} on the page of the MLflow server of that database"  # its address may hold a password


def _model(store: Store, name: str) -> RegisteredModel | None:
    try:
        return store.client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise


def _report_run(store: Store, run_id: str) -> Run:
    try:
        run: Run = store.client.get_run(run_id)
    except MlflowException as error:
        raise InputError(f"report={run_id}: no such run in {store.uri}; `make ui` shows the run ids") from error
    kind, status = run.data.tags.get("kind"), run.info.status
    if kind != "report" or status != "FINISHED" or run.info.lifecycle_stage != "active":
        raise InputError(
            f"report={run_id}: that run is not a finished report (it is {kind or 'something else'}, "
            f"{run.info.lifecycle_stage}, {status}); write one: python -m facemask_ensemble.evaluate study=STUDY"
        )
    return run


@contextmanager
def _asked(store: Store, address: str) -> Iterator[None]:
    try:
        yield
    except MlflowException as error:
        known = ", ".join(sorted(model.name for model in store.client.search_registered_models())) or "none"
        raise InputError(
            f"ensemble={address}: {store.uri} has no such version ({short(error)}); models there: {known}"
        ) from error


@contextmanager
def _told(store: Store, name: str) -> Iterator[None]:
    try:
        yield
    except MlflowException as error:
        raise InputError(
            f"name={name}: the model registry of {store.uri} returned an error ({short(error)}); "
            "give another name, or try again"
        ) from error
