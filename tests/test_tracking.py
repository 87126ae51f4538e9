import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import warnings
from pathlib import Path

import pandas as pd
import pytest
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from processes import HANG, wait_for_server

from facemask_ensemble import tracking
from facemask_ensemble.data.manifest import Manifest
from facemask_ensemble.errors import InputError

DAY = 86_400_000  # milliseconds


def log_member(store, name, *, study="masks", fingerprint="f1", day=1, status="FINISHED", kind="member"):
    """Log a run as a training does; `day` it ended on tells the newest."""
    tags = {"kind": kind, "backbone": name, "fingerprint": fingerprint, "class_names": '["none", "all"]'}
    run_id = tracking.start_run(store, study, name, tags, {"seed": 0})
    if status != "RUNNING":
        store.client.set_terminated(run_id, status, end_time=day * DAY)
    return run_id


def ids(members):
    return [member.run_id for member in members]


def test_an_embedded_store_keeps_its_database_and_its_artifacts_in_the_output_folder(store, tmp_path):
    assert store.uri == f"sqlite:///{tmp_path}/mlflow.db"
    run_id = tracking.start_run(store, "my study", "xception", {}, {})
    (tmp_path / "given").mkdir()
    (tmp_path / "given" / "note.txt").write_text("kept")
    tracking.finish_run(store, run_id, files=tmp_path / "given", metrics={"accuracy": 0.5})
    kept = tracking.artifact(store, run_id, "note.txt", tmp_path / "cache")
    assert kept.read_text() == "kept"
    assert tmp_path / "mlruns" in kept.parents
    run = store.client.get_run(run_id)
    assert run.info.status == "FINISHED"
    assert run.data.metrics == {"accuracy": 0.5}


def test_an_artifact_that_is_gone_is_refused_with_the_run_it_was_of(store, tmp_path):
    run_id = log_member(store, "xception")
    with pytest.raises(InputError, match=f"{run_id}.*model.keras.*train .* again"):
        tracking.artifact(store, run_id, "model.keras", tmp_path / "cache")


def test_long_parameters_are_cut_and_a_parent_is_named(store):
    parent = tracking.start_run(store, "masks", "sweep", {"kind": "sweep"}, {})
    run_id = tracking.start_run(store, "masks", "xception", {}, {"phases": "x" * 9000, "weights": None}, parent)
    data = store.client.get_run(run_id).data
    assert data.params == {"phases": "x" * 500, "weights": "None"}
    assert data.tags["mlflow.parentRunId"] == parent


@pytest.fixture
def manifest(tmp_path):
    """Three images, of which two are for training and one for the test."""
    rows = {"path": ["a.png", "b.png", "c.png"], "sha256": ["x", "y", "z"], "split": ["train", "test", "train"]}
    rows = pd.DataFrame(rows).assign(label=0, group="", look="", mirrored="")
    return Manifest("toys", tmp_path, ("none",), rows, pd.DataFrame(columns=["path", "reason"]))


def test_a_dataset_that_another_run_records_at_that_very_moment_is_recorded_for_both(store, manifest, monkeypatch):
    runs = [tracking.start_run(store, "masks", name, {}, {}) for name in ("xception", "vgg16")]
    record = store.client.log_inputs

    def be_late(*arguments, **options):
        monkeypatch.setattr(store.client, "log_inputs", record)
        tracking.log_dataset(store, runs[0], manifest, ("train", "test"))
        raise MlflowException(
            "(sqlite3.IntegrityError) UNIQUE constraint failed: datasets.experiment_id, datasets.name"
        )

    monkeypatch.setattr(store.client, "log_inputs", be_late)
    tracking.log_dataset(store, runs[1], manifest, ("train", "test"))
    first, second = ([item.dataset for item in store.client.get_run(run).inputs.dataset_inputs] for run in runs)
    assert len(first) == len(second) == 2
    assert {data.digest for data in first} == {data.digest for data in second}


def test_a_dataset_that_cannot_be_recorded_is_said_to_be_so(store, manifest, monkeypatch):
    run_id = tracking.start_run(store, "masks", "xception", {}, {})

    def fail(*arguments, **options):
        raise MlflowException("database is locked")

    monkeypatch.setattr(store.client, "log_inputs", fail)
    with pytest.raises(MlflowException, match="database is locked"):
        tracking.log_dataset(store, run_id, manifest)


def test_the_splits_of_a_manifest_are_recorded_as_a_runs_inputs(store, manifest, tmp_path):
    run_id = tracking.start_run(store, "masks", "xception", {}, {})
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        tracking.log_dataset(store, run_id, manifest, ("train", "test"))
    inputs = store.client.get_run(run_id).inputs.dataset_inputs
    found = {item.tags[0].value: item.dataset for item in inputs}
    assert {context: json.loads(data.profile)["num_rows"] for context, data in found.items()} == {
        "training": 2,
        "test": 1,
    }
    for data in found.values():
        assert data.name == "toys" and data.digest.startswith(manifest.fingerprint[:24])
        assert str(tmp_path) in data.source
        assert [column["name"] for column in json.loads(data.schema)["mlflow_colspec"]] == [
            "path",
            "sha256",
            "label",
            "split",
        ]


def test_an_audit_is_logged_with_its_files_and_numbers(store, tmp_path):
    (tmp_path / "audit").mkdir()
    (tmp_path / "audit" / "audit.json").write_text("{}")
    run_id = tracking.log_audit(store, "hands", "generic", tmp_path / "audit", {"near_copies": 3})
    run = store.client.get_run(run_id)
    assert (run.data.tags["kind"], run.data.metrics, run.info.status) == ("audit", {"near_copies": 3.0}, "FINISHED")
    assert tracking.artifact(store, run_id, "audit.json", tmp_path / "cache").read_text() == "{}"


def test_a_study_deleted_in_mlflow_is_refused_with_the_way_back(store):
    store.client.delete_experiment(store.experiment("masks"))
    with pytest.raises(InputError, match="study=masks: deleted .* restore it .* or give another study"):
        tracking.start_run(store, "masks", "xception", {}, {})


def test_the_newest_finished_member_of_every_name_is_found(store):
    log_member(store, "xception", day=1)
    newest = log_member(store, "xception", day=3)
    log_member(store, "xception", day=2)
    other = log_member(store, "densenet201", study="elsewhere", day=1)
    found = tracking.finished_members(store)
    assert [(member.name, member.run_id) for member in found] == [("densenet201", other), ("xception", newest)]
    assert found[0].class_names == ("none", "all")
    assert found[0].params == {"seed": "0"}


@pytest.mark.parametrize("status", ["RUNNING", "FAILED", "KILLED"])
def test_a_newer_training_that_did_not_finish_does_not_hide_an_older_one(status, store):
    finished = log_member(store, "xception", day=1)
    log_member(store, "xception", day=2, status=status)
    assert ids(tracking.finished_members(store)) == [finished]


def test_reports_and_sweeps_are_no_members(store):
    log_member(store, "report", kind="report")
    log_member(store, "sweep", kind="sweep")
    assert tracking.finished_members(store) == []


def test_members_can_be_asked_for_by_dataset_and_by_study(store):
    here = log_member(store, "xception", study="here", fingerprint="f1", day=1)
    there = log_member(store, "xception", study="there", fingerprint="f1", day=2)
    other = log_member(store, "xception", study="there", fingerprint="f2", day=3)
    assert ids(tracking.finished_members(store, fingerprint="f1")) == [there]
    assert ids(tracking.finished_members(store, fingerprint="f1", study="here")) == [here]
    assert ids(tracking.finished_members(store, study="there")) == [other]
    assert tracking.finished_members(store, study="nowhere") == []
    assert tracking.finished_members(store, fingerprint="f3") == []


def test_without_a_dataset_named_the_members_are_those_of_the_one_trained_on_last(store):
    log_member(store, "densenet201", fingerprint="f1", day=1)
    log_member(store, "resnet50v2", fingerprint="f1", day=3)
    last = [
        log_member(store, "inceptionv3", fingerprint="f2", day=2),
        log_member(store, "xception", fingerprint="f2", day=4),
    ]
    assert ids(tracking.finished_members(store)) == last


def test_run_ids_choose_members_whatever_is_newer(store):
    old = log_member(store, "xception", fingerprint="f1", day=1)
    log_member(store, "xception", fingerprint="f2", day=2)
    assert ids(tracking.finished_members(store, fingerprint="f2", run_ids=[old])) == [old]
    assert ids(tracking.finished_members(store, run_ids=old)) == [old]


@pytest.mark.parametrize(
    ("kind", "status", "message"),
    [
        ("member", "FAILED", r"not a finished member \(it is FAILED\); train it first"),
        ("report", "FINISHED", "not a finished member"),
    ],
)
def test_a_run_id_that_is_no_finished_member_is_refused(kind, status, message, store):
    run_id = log_member(store, "xception", kind=kind, status=status)
    with pytest.raises(InputError, match=f"members={run_id}: that run is {message}"):
        tracking.finished_members(store, run_ids=[run_id])


def test_a_run_id_that_is_not_there_is_refused(store):
    with pytest.raises(InputError, match="members=0123: no such run in sqlite:///.*mlflow.db"):
        tracking.finished_members(store, run_ids=["0123"])


def test_studies_are_those_that_hold_a_run(store):
    log_member(store, "xception", study="masks")
    log_member(store, "xception", study="moods")
    store.experiment("empty")
    assert tracking.studies(store) == ["masks", "moods"]


def test_a_history_is_replayed_from_where_the_store_stopped_listening(store):
    run_id = tracking.start_run(store, "masks", "xception", {}, {})
    rows = [{"epoch": epoch, "loss": 1 / epoch, "val_loss": 2 / epoch} for epoch in range(1, 5)]
    with tracking.LiveMetrics(store, run_id) as live:
        for row in rows[:2]:
            live(row["epoch"], {key: row[key] for key in ("loss", "val_loss")})
    for _ in range(2):  # a second time changes nothing
        tracking.replay_history(store, run_id, pd.DataFrame(rows))
    for key, factor in {"loss": 1, "val_loss": 2}.items():
        logged = [(metric.step, metric.value) for metric in store.client.get_metric_history(run_id, key)]
        assert sorted(logged) == [(epoch, factor / epoch) for epoch in range(1, 5)]


def test_a_server_that_stops_answering_is_asked_once_and_never_again(store, closed_port, monkeypatch):
    run_id = tracking.start_run(store, "masks", "xception", {}, {})
    calls = []
    dead = MlflowClient(f"http://127.0.0.1:{closed_port}")
    monkeypatch.setattr(dead, "get_metric_history", counted(dead.get_metric_history, calls))
    gone = tracking.Store(dead, f"http://127.0.0.1:{closed_port}", None)
    with tracking.LiveMetrics(gone, run_id) as live:
        with pytest.warns(UserWarning, match=f"MLflow at http://127.0.0.1:{closed_port} no longer answers"):
            live(1, {"loss": 1.0})
        live(2, {"loss": 0.5})
        live(3, {"loss": 0.2})
    assert len(calls) == 1


def counted(function, calls):
    def call(*arguments, **options):
        calls.append(arguments)
        return function(*arguments, **options)

    return call


def test_a_fault_of_the_store_is_told_in_short_and_anything_else_passes():
    def fail():
        raise RuntimeError("the server\n  said no")

    assert tracking.protect(fail) == "the server said no"
    assert tracking.protect(lambda: None) is None


@pytest.mark.heavy
def test_processes_that_open_a_new_store_and_study_at_once_all_succeed(tmp_path):
    script = (
        "import sys; from pathlib import Path; from facemask_ensemble import tracking\n"
        f"store = tracking.open_store(None, Path({str(tmp_path)!r}))\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        "print(tracking.start_run(store, 'masks', 'xception', {'kind': 'member'}, {}))"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    started = [process.communicate(timeout=HANG)[0].strip() for process in processes]
    assert [process.returncode for process in processes] == [0] * 4
    store = tracking.open_store(None, tmp_path)
    (experiment,) = [found for found in store.client.search_experiments() if found.name == "masks"]
    assert {run.info.run_id for run in store.client.search_runs([experiment.experiment_id])} == set(started)


SMALL = (
    "backbone=deep_cnn",
    "precision=float32",
    "dataset.count=60",
    "dataset.size=48",
    "image_size=32",
    "augmentation=none",
)


@pytest.mark.heavy
@pytest.mark.parametrize("name", ["train", "evaluate"])
def test_a_dead_server_is_refused_before_the_data_is_drawn(name, command, tmp_path, closed_port, assert_refused):
    uri = f"http://127.0.0.1:{closed_port}"
    given = SMALL[:1] if name == "train" else ()
    done = command(name, *given, "tracking=server", f"tracking.uri={uri}", cwd=tmp_path)
    assert_refused(done, f"tracking.uri={uri}", "no tracking server answers", "start it, or leave tracking=sqlite")
    assert not (tmp_path / "outputs" / "data").exists()


@pytest.mark.heavy
def test_a_server_that_accepts_and_never_answers_is_given_up(command, tmp_path, assert_refused):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = f"http://127.0.0.1:{silent.getsockname()[1]}"
        done = command("train", *SMALL, "tracking=server", f"tracking.uri={uri}", cwd=tmp_path)
    assert_refused(done, f"tracking.uri={uri}", "no tracking server answers there (timed out)")


def test_a_database_server_that_is_dead_is_refused_without_trying_for_minutes(tmp_path, closed_port):
    uri = f"postgresql+psycopg2://user@127.0.0.1:{closed_port}/runs"
    with pytest.raises(InputError, match="no tracking server answers there .*refused"):
        tracking.open_store(uri, tmp_path)


def test_an_address_without_a_scheme_is_refused(tmp_path):
    with pytest.raises(InputError, match="tracking.uri=localhost:5000: not an address; .* http://localhost:5000"):
        tracking.open_store("localhost:5000", tmp_path)


def test_an_embedded_store_that_is_no_database_is_refused(tmp_path):
    (tmp_path / "mlflow.db").write_text("once a database, now a line of text")
    with pytest.raises(InputError, match="mlflow.db cannot be opened .*not a database.*; move it away"):
        tracking.open_store(None, tmp_path)


@pytest.fixture
def start_server(tmp_path, new_store):
    """Start an MLflow server on one port and store, as often as asked; each in a process group of its own."""
    shutil.copy(new_store / "mlflow.db", tmp_path / "server.db")
    groups = []

    def start(port):
        command = [
            sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
            "--backend-store-uri", f"sqlite:///{tmp_path}/server.db", "--artifacts-destination", str(tmp_path / "kept"),
        ]  # fmt: skip
        with (tmp_path / "server.log").open("a") as log:
            process = subprocess.Popen(command, cwd=tmp_path, stdout=log, stderr=log, start_new_session=True)
        groups.append(process)
        wait_for_server(f"http://127.0.0.1:{port}/health", process, tmp_path / "server.log")
        return process

    yield start
    for process in groups:
        kill_group(process)


def kill_group(process):
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.mark.heavy
def test_a_training_survives_its_server_and_is_uploaded_when_that_is_back(
    start_server, closed_port, preloaded, tmp_path
):
    epochs, uri = 40, f"http://127.0.0.1:{closed_port}"
    server = start_server(closed_port)
    given = [*SMALL, f"schedule.epochs={epochs}", "study=masks", "tracking=server", f"tracking.uri={uri}"]
    train = [preloaded, "-m", "facemask_ensemble.train", *given]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    once = {**os.environ, "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}  # it asks no second time, which takes seconds
    with subprocess.Popen(train, cwd=tmp_path, env=once, text=True, **pipes) as process:
        lines = iter(process.stdout.readline, "")
        next(line for line in lines if f"epoch  2/{epochs}" in line)  # so the first has been logged
        kill_group(server)
        said = "".join(lines)
        assert process.wait() == 0, process.stderr.read()
    assert f"epoch {epochs}/{epochs}" in said
    named = re.search(r"could not be logged to MLflow .* python -m (facemask_ensemble\.upload) (folder=(\S+))", said)
    folder = Path(named[3])
    probabilities = pd.read_parquet(folder / "files" / "probabilities.parquet")
    model = (folder / "files" / "model.keras").read_bytes()

    upload = [sys.executable, "-m", named[1], named[2]]
    start_server(closed_port)
    done = subprocess.run(upload, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    store = tracking.open_store(uri, tmp_path)
    (member,) = tracking.finished_members(store, study="masks")
    assert store.client.get_run(member.run_id).info.status == "FINISHED"
    logged = store.client.get_metric_history(member.run_id, "val_loss")
    assert sorted(metric.step for metric in logged) == list(range(1, epochs + 1))
    kept = tracking.artifact(store, member.run_id, "probabilities.parquet", tmp_path / "cache")
    pd.testing.assert_frame_equal(pd.read_parquet(kept), probabilities)
    assert tracking.artifact(store, member.run_id, "model.keras", tmp_path / "cache").read_bytes() == model
    assert not (folder / "files" / "model.keras").exists()
