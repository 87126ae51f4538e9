import atexit
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from facemask_ensemble import tracking
from facemask_ensemble.config import CONF_DIR
from facemask_ensemble.training.isolation import Outcome
from facemask_ensemble.training.sweep import Sweep, parent_run, read_outcomes, show, threads_per_job

SMALL = (
    "--multirun", "backbone=deep_cnn", "dataset.count=60", "dataset.size=48", "image_size=32", "augmentation=none",
    "schedule.epochs=1", "study=sweep",
)  # fmt: skip


def runs_of(place, study="sweep"):
    """Give the parent run of the one sweep and the runs of its members."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{place}/outputs/mlflow.db")
    runs = client.search_runs([client.get_experiment_by_name(study).experiment_id])
    (parent,) = [run for run in runs if run.data.tags["kind"] == "sweep"]
    return parent, [run for run in runs if run is not parent]


def jobs_of(place):
    return {job.name: outcome for job, outcome in read_outcomes(next(place.glob("outputs/runs/*_sweep"))).items()}


def test_outcomes_are_in_the_order_of_their_numbers(tmp_path):
    for number in (10, 9, 0):
        (tmp_path / f"{number}_xception").mkdir()
    (tmp_path / ".submitit").mkdir()
    Outcome("xception", "finished", summary={"validation_accuracy": 0.5}).write(tmp_path / "9_xception")
    outcomes = read_outcomes(tmp_path)
    assert [job.name for job in outcomes] == ["0_xception", "9_xception", "10_xception"]
    assert [outcome.state for outcome in outcomes.values()] == ["failed", "finished", "failed"]


def test_the_end_of_a_sweep_shows_errors_and_how_to_send_what_was_not_logged(tmp_path, capsys):
    for name in ("0_xception", "1_deep_cnn"):
        (tmp_path / name).mkdir()
    (tmp_path / "1_deep_cnn" / "log.txt").touch()
    summary = {"validation_accuracy": 0.5, "seconds": 3.2, "not_logged": "connection refused"}
    Outcome("xception", "finished", summary=summary).write(tmp_path / "0_xception")
    Outcome("deep_cnn", "failed", "TypeError: x").write(tmp_path / "1_deep_cnn")
    show(read_outcomes(tmp_path))
    said = capsys.readouterr()
    assert f"facemask_ensemble.upload folder={tmp_path / '0_xception'}" in said.out
    assert said.err == f"error: deep_cnn failed: TypeError: x (log: {tmp_path / '1_deep_cnn' / 'log.txt'})\n"


@pytest.mark.parametrize(("jobs", "threads"), [(1, 8), (2, 4), (3, 2), (16, 1), (-1, 1)])
def test_jobs_side_by_side_share_the_cores(jobs, threads, monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    assert threads_per_job(OmegaConf.create({"launcher": {"n_jobs": jobs}})) == threads


def test_jobs_one_after_the_other_have_all_cores():
    assert threads_per_job(OmegaConf.create({"launcher": {"_target_": "basic"}})) is None


def test_a_choice_that_is_not_there_is_refused_before_any_training(command, tmp_path, assert_refused):
    done = command("train", *SMALL, "backbone=deep_cnn,vgg99", cwd=tmp_path)
    assert_refused(done, "backbone=vgg99: there is no such backbone; choose one of deep_cnn, ")
    assert list(tmp_path.glob("outputs/*")) == []


def test_the_parent_run_is_noted_in_the_sweeps_folder_whatever_the_clock_says(place_with_store, monkeypatch):
    """The folder is named by the time, in seconds."""
    monkeypatch.chdir(place_with_store)
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        config = compose("train", list(SMALL[1:]), return_hydra_config=True)
    sweep = Sweep()
    sweep.on_multirun_start(config)
    atexit.unregister(sweep.on_stopped)
    time.sleep(1.1)
    parent, _ = runs_of(place_with_store)
    assert parent_run(Path(config.hydra.sweep.dir)) == parent.info.run_id


@pytest.mark.heavy
def test_the_members_of_a_sweep_are_trained_under_one_parent_run(command, place_with_store):
    done = command("train", *SMALL, "seed=0,1", cwd=place_with_store)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    parent, members = runs_of(place_with_store)
    assert parent.info.status == "FINISHED"
    assert {member.data.tags["mlflow.parentRunId"] for member in members} == {parent.info.run_id}
    assert {member.info.status for member in members} == {"FINISHED"}
    assert {member.data.params["seed"] for member in members} == {"0", "1"}
    jobs = jobs_of(place_with_store)
    assert list(jobs) == ["0_deep_cnn", "1_deep_cnn"]
    assert all(f"{job.summary['validation_accuracy']:.3f}" in done.stdout for job in jobs.values())


@pytest.mark.heavy
def test_members_that_fail_are_reported_at_the_end_and_the_others_are_kept(command, place_with_store):
    """Side by side: one that trains, one whose backbone is broken, and two of a size that is refused."""
    broken = "backbone.features._target_=facemask_ensemble.models.scratch.convolutions,builtins.int"
    workers = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    done = command("train", *SMALL, "image_size=32,8", broken, *workers, cwd=place_with_store)
    assert done.returncode == 1
    states = {name: job.state for name, job in jobs_of(place_with_store).items()}
    assert states == {
        "0_deep_cnn": "finished",
        "1_deep_cnn": "failed",
        "2_deep_cnn": "refused",
        "3_deep_cnn": "refused",
    }
    failed, *refused = done.stderr.splitlines()
    log = Path(re.search(r"\(log: (.+)\)$", failed)[1])
    assert failed.startswith("error: deep_cnn failed: TypeError: 'filters' is an invalid keyword argument")
    assert "Traceback" in log.read_text()
    assert [line.partition(" (the")[0] for line in refused] == [
        "error: deep_cnn refused: image_size=8: must be a whole number of at least 16"
    ] * 2
    parent, members = runs_of(place_with_store)
    assert parent.info.status == "FAILED"
    (kept,) = [member for member in members if member.info.status == "FINISHED"]
    store = tracking.open_store(None, place_with_store / "outputs")
    (member,) = tracking.finished_members(store, study="sweep")
    assert member.run_id == kept.info.run_id
    assert tracking.artifact(store, member.run_id, "model.keras", place_with_store).is_file()


@pytest.mark.heavy
def test_a_sweep_of_members_that_are_all_refused_ends_as_bad_input_does(command, place_with_store):
    done = command("train", *SMALL, "image_size=8,9", cwd=place_with_store)
    assert done.returncode == 2
    assert [line.partition(":")[0] for line in done.stderr.splitlines()] == ["error"] * 2


@pytest.mark.heavy
@pytest.mark.parametrize(
    "launcher", [["seed=0,1"], ["seed=0", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]], ids=["basic", "joblib"]
)
def test_ctrl_c_stops_the_whole_sweep_and_closes_its_runs(launcher, place_with_store):
    train = [sys.executable, "-m", "facemask_ensemble.train", *SMALL, "schedule.epochs=5000", *launcher]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(train, cwd=place_with_store, text=True, start_new_session=True, **pipes) as process:
        next(line for line in iter(process.stdout.readline, "") if "epoch  2/5000" in line)
        os.killpg(process.pid, signal.SIGINT)
        said, errors = process.communicate(timeout=120)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    parent, (member,) = runs_of(place_with_store)
    assert parent.info.status == member.info.status == "KILLED"
    assert list(jobs_of(place_with_store)) == ["0_deep_cnn"]
    assert "stopped; what was finished is kept in" in said
