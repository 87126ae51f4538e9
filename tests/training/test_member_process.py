import json
import os
import signal
import subprocess
import sys

import pandas as pd
import psutil
import pytest
import yaml
from processes import HANG, STOPS, start

from facemask_ensemble.errors import InputError
from facemask_ensemble.training.member_process import Outcome, outcome_of

SMALL = (
    "backbone=deep_cnn",
    "precision=float32",
    "dataset.count=60",
    "dataset.size=48",
    "image_size=32",
    "augmentation=none",
)


def test_an_outcome_is_read_as_it_was_written(tmp_path):
    outcome = Outcome("xception", "finished", summary={"validation_accuracy": 0.5, "not_logged": None})
    outcome.write(tmp_path)
    assert Outcome.read(tmp_path) == outcome


@pytest.mark.parametrize("folder", ["3_deep_cnn", "12_deep_cnn", "deep_cnn-0123456789"])
@pytest.mark.parametrize("left", [None, ""])
def test_a_process_that_left_no_word_failed_under_its_backbones_name(folder, left, tmp_path):
    (tmp_path / folder).mkdir()
    if left is not None:
        (tmp_path / folder / "outcome.json").write_text(left)
    outcome = Outcome.read(tmp_path / folder)
    assert (outcome.name, outcome.state) == ("deep_cnn", "failed")
    assert outcome.message == "its process ended without an error message"


def test_what_a_user_can_mend_is_refused_and_anything_else_failed():
    assert outcome_of("xception", InputError("root=x: no\nsuch folder")) == Outcome(
        "xception", "refused", "root=x: no such folder"
    )
    assert outcome_of("xception", KeyError("label")) == Outcome("xception", "failed", "KeyError: 'label'")


def start_training(place, *arguments, until, python=sys.executable):
    """Start a training in a process group of its own; return it once it printed what is waited for."""
    command = [python, "-m", "facemask_ensemble.train", *SMALL, *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = start(command, cwd=place, text=True, start_new_session=True, **pipes)
    for line in process.stdout:
        if until in line:
            return process
    raise AssertionError(process.stderr.read())


def logged_run(place, name="deep_cnn"):
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{place}/outputs/mlflow.db")
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    (run,) = client.search_runs(experiments, f"tags.mlflow.runName = '{name}'")
    return run


@pytest.mark.heavy
def test_a_killed_training_is_reported_and_keeps_what_it_had(place_with_store, preloaded):
    process = start_training(place_with_store, "schedule.epochs=5000", until="epoch  3/5000", python=preloaded)
    (child,) = psutil.Process(process.pid).children()
    child.send_signal(signal.SIGKILL)
    _, said = process.communicate()
    assert process.returncode == 1
    (folder,) = (place_with_store / "outputs" / "runs" / "scenes").iterdir()
    assert said.splitlines() == [
        "error: deep_cnn failed: its process was ended by SIGKILL, as happens when memory runs out; try a smaller "
        f"batch_size; see {folder / 'log.txt'}"
    ]
    assert Outcome.read(folder).state == "failed"
    config = yaml.safe_load((folder / "files" / "config.yaml").read_text())
    assert (config["image_size"], config["schedule"]["epochs"]) == (32, 5000)
    assert pd.read_csv(folder / "files" / "history.csv")["epoch"].tolist()[:2] == [1, 2]
    assert (folder / "checkpoint.npz").exists()
    assert len(list(folder.glob("best-*.npz"))) >= 1
    run = logged_run(place_with_store)
    assert run.info.status == "FAILED"
    assert "SIGKILL" in run.data.tags["error"]


@pytest.mark.heavy
def test_a_member_is_trained_by_one_command_at_a_time_and_ctrl_c_closes_its_run(
    command, place_with_store, assert_refused, preloaded
):
    process = start_training(place_with_store, "schedule.epochs=5000", until="epoch  2/5000", python=preloaded)
    done = command("train", *SMALL, "schedule.epochs=5000", cwd=place_with_store)
    assert_refused(done, "another process is training this member; wait until it ends, or stop it")
    assert process.poll() is None
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate()
    assert process.returncode == 130
    assert said == ""
    (folder,) = (place_with_store / "outputs" / "runs" / "scenes").iterdir()
    assert json.loads((folder / "outcome.json").read_text())["state"] == "stopped"
    assert logged_run(place_with_store).info.status == "KILLED"


@pytest.mark.heavy
@pytest.mark.parametrize("number", STOPS)
def test_a_signal_to_the_command_alone_ends_its_training_in_order(number, place_with_store, preloaded):
    process = start_training(place_with_store, "schedule.epochs=5000", until="epoch  2/5000", python=preloaded)
    (child,) = psutil.Process(process.pid).children()
    process.send_signal(number)
    assert_stopped(process, 128 + number, child, place_with_store)


@pytest.mark.heavy
def test_a_command_and_its_training_that_get_the_same_signal_twice_end_in_order(place_with_store, preloaded):
    """So does `timeout`: it signals its command, then the whole process group."""
    process = start_training(place_with_store, "schedule.epochs=5000", until="epoch  2/5000", python=preloaded)
    (child,) = psutil.Process(process.pid).children()
    process.terminate()
    os.killpg(process.pid, signal.SIGTERM)
    assert_stopped(process, 143, child, place_with_store)


def assert_stopped(process, code, child, place):
    said, errors = process.communicate()
    assert (process.returncode, errors) == (code, "")
    assert "stopped; run the same command again to resume after the last finished epoch" in said
    assert not child.is_running()
    (folder,) = (place / "outputs" / "runs" / "scenes").iterdir()
    assert Outcome.read(folder).state == "stopped"
    assert (folder / "checkpoint.npz").exists()
    run = logged_run(place)
    assert (run.info.status, run.data.tags["error"]) == ("KILLED", "Stopped: stopped by SIGTERM")


@pytest.mark.heavy
def test_a_training_that_crashes_is_one_line_and_a_log(command, place_with_store):
    done = command(
        "train", *SMALL, "schedule.epochs=1", "backbone.features._target_=builtins.int", cwd=place_with_store
    )
    assert done.returncode == 1
    (folder,) = (place_with_store / "outputs" / "runs" / "scenes").iterdir()
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: deep_cnn failed: TypeError: int() takes at most 2 arguments")
    assert line.endswith(f"; see {folder / 'log.txt'}")
    assert "Traceback" in (folder / "log.txt").read_text()


@pytest.mark.heavy
def test_a_training_ends_with_its_command_however_that_was_ended(place_with_store):
    process = start_training(place_with_store, "schedule.epochs=5000", until="epoch  2/5000")
    (child,) = psutil.Process(process.pid).children()
    process.kill()
    process.wait()
    process.stdout.close()
    process.stderr.close()
    child.wait(HANG)
    (folder,) = (place_with_store / "outputs" / "runs" / "scenes").iterdir()
    assert Outcome.read(folder).state == "stopped"
    assert logged_run(place_with_store).info.status == "KILLED"
