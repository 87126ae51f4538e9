import atexit
import os
import pickle
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from processes import HANG, start, wait_until

from facemask_ensemble import tracking
from facemask_ensemble.config import CONF_DIR
from facemask_ensemble.training import sweep
from facemask_ensemble.training.sweep import Sweep, parent_run, sweeps_over_data, threads_per_job
from facemask_ensemble.training.sweep_jobs import LiveTable, standings

SMALL = (
    "--multirun", "backbone=deep_cnn", "precision=float32", "dataset.count=60", "dataset.size=48", "image_size=32",
    "augmentation=none", "schedule.epochs=1", "study=sweep",
)  # fmt: skip


WITHOUT_LUCK = """
import sys
from pathlib import Path
from facemask_ensemble.training import member, member_process

def fail(*arguments, **options):
    raise RuntimeError("out of luck")

member._fit = fail
member_process.main(Path(sys.argv[3]), show_bar=False)
"""
BREAK_SEED_1 = """#!/bin/sh
if grep -qs '^seed: 1$' "$3/files/config.yaml"; then exec "{preloaded}" "{child}" "$@"; fi
exec "{preloaded}" "$@"
"""
TRAIN = "import sys; sys.executable = sys.argv.pop(1); from facemask_ensemble.train import main; main()"


def runs_of(place, study="sweep"):
    """Give the parent run of the one sweep and the runs of its members."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{place}/outputs/mlflow.db")
    runs = client.search_runs([client.get_experiment_by_name(study).experiment_id])
    (parent,) = [run for run in runs if run.data.tags["kind"] == "sweep"]
    return parent, [run for run in runs if run is not parent]


def states_of(place, labels):
    """Give the state of every job of the newest sweep."""
    folder = max(path for path in place.glob("outputs/sweeps/*") if path.is_dir())
    return [row.state for row in standings(folder, labels)]


@pytest.mark.parametrize(("jobs", "threads"), [(1, 8), (2, 4), (3, 2), (16, 1), (-1, 1)])
def test_jobs_side_by_side_share_the_cores(jobs, threads, monkeypatch):
    monkeypatch.setattr(sweep, "usable_cores", lambda: 8)
    assert threads_per_job(OmegaConf.create({"launcher": {"n_jobs": jobs}})) == threads


@pytest.mark.parametrize("launcher", [{"cpus_per_task": 3}, {"ray": {"remote": {"num_cpus": 3}}}])
def test_a_job_of_a_cluster_takes_the_cores_that_are_kept_for_it(launcher):
    assert threads_per_job(OmegaConf.create({"launcher": launcher})) == 3


def test_jobs_one_after_the_other_have_all_cores():
    assert threads_per_job(OmegaConf.create({"launcher": {"_target_": "basic"}})) is None


def test_a_choice_that_is_not_there_is_refused_before_any_training(command, tmp_path, assert_refused):
    done = command("train", *SMALL, "backbone=deep_cnn,vgg99", cwd=tmp_path)
    assert_refused(done, "backbone=vgg99: there is no such backbone; choose one of basic_cnn, convnexttiny, ")
    assert list(tmp_path.glob("outputs/*")) == []


@pytest.mark.parametrize("swept", [["backbone=deep_cnn", "seed=0,1"], ["backbone=glob(deep*)"]])
def test_a_list_is_one_value_and_the_data_is_checked_before_any_training(swept, command, tmp_path, assert_refused):
    own = ("dataset=table", "dataset.classes=[bare,masked]", "dataset.root=nowhere")
    done = command("train", "--multirun", *swept, *own, cwd=tmp_path)
    assert_refused(done, "dataset.root=", "nowhere: no such folder")
    assert list(tmp_path.glob("outputs/*")) == []


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["dataset=scenes,folders"], True),
        (["dataset=glob(*)"], True),
        (["+dataset.limit=range(10,30,10)"], True),
        (["dataset.classes=[a,b],[c,d]"], True),
        (["experiment=deep_cnn,rock_paper_scissors"], True),
        (["dataset.classes=[a,b]"], False),
        (["++dataset.columns={path:file,label:kind}"], False),
        (["dataset.root='faces, masks'"], False),
        (["seed=0,1", "backbone=xception,resnet50v2", "dataset.limit=10"], False),
        (["~dataset.limit", "seed=0,1"], False),
    ],
)
def test_only_several_values_for_the_data_are_a_sweep_over_data(overrides, expected):
    assert sweeps_over_data(overrides) is expected


@pytest.mark.heavy
def test_an_experiment_that_sweeps_over_the_data_itself_sweeps_over_data(tmp_path, monkeypatch, preloaded):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "executable", preloaded)
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        config = compose("train", ["dataset=folders"], return_hydra_config=True)  # as it stands, without a folder
    config.hydra.sweeper.params = {"dataset.root": "one,two"}
    sweep = Sweep()
    sweep.on_multirun_start(config)
    atexit.unregister(sweep.on_stopped)
    assert sweep.labels == ["root=one", "root=two"]


@pytest.mark.heavy
def test_the_parent_run_is_noted_in_the_sweeps_folder_whatever_the_clock_says(place_with_store, monkeypatch, preloaded):
    """The folder is named by the time, in seconds."""
    monkeypatch.chdir(place_with_store)
    monkeypatch.setattr(sys, "executable", preloaded)
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        config = compose("train", list(SMALL[1:]), return_hydra_config=True)
    sweep = Sweep()
    sweep.on_multirun_start(config)
    atexit.unregister(sweep.on_stopped)
    begun = time.strftime("%S")
    wait_until(lambda: time.strftime("%S") != begun, "the next second")
    parent, _ = runs_of(place_with_store)
    assert parent_run(Path(config.hydra.sweep.dir)) == parent.info.run_id


@pytest.mark.heavy
def test_members_that_fail_are_reported_at_the_end_and_the_others_are_kept(command, place_with_store):
    """Side by side: one that trains, one whose backbone is broken, and two of a size that is refused."""
    broken = "backbone.features._target_=facemask_ensemble.models.small_networks.convolutions,builtins.int"
    workers = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    done = command("train", *SMALL, "image_size=32,8", broken, *workers, cwd=place_with_store)
    assert done.returncode == 1
    assert states_of(place_with_store, [""] * 4) == ["finished", "failed", "refused", "refused"]
    failed, *refused = done.stderr.splitlines()
    log = Path(re.search(r"\(log: (.+)\)$", failed)[1])
    assert re.match(r"error: image_size=32 _target_=\S+ failed: TypeError: int\(\) takes", failed)
    assert "Traceback" in log.read_text()
    assert [line.partition("refused: ")[2].partition(" (the")[0] for line in refused] == [
        "image_size=8: must be a whole number of at least 16"
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
@pytest.mark.parametrize("stop", ["Ctrl-C", "SIGTERM to the command alone"])
@pytest.mark.parametrize(
    "launcher", [["seed=0,1"], ["seed=0", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]], ids=["basic", "joblib"]
)
def test_a_stop_ends_the_whole_sweep_and_closes_its_runs(launcher, stop, preloaded, place_with_store):
    train = [preloaded, "-m", "facemask_ensemble.train", *SMALL, "schedule.epochs=5000", *launcher]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with start(train, cwd=place_with_store, text=True, start_new_session=True, **pipes) as process:
        next(line for line in iter(process.stdout.readline, "") if "epoch  2/5000" in line)
        below = psutil.Process(process.pid).children(recursive=True)
        if stop == "Ctrl-C":
            os.killpg(process.pid, signal.SIGINT)
        else:
            process.terminate()
        said, errors = process.communicate()
    assert process.returncode == (130 if stop == "Ctrl-C" else 143), errors
    assert below and not psutil.wait_procs(below, HANG)[1]
    assert "Traceback" not in errors
    parent, (member,) = runs_of(place_with_store)
    assert parent.info.status == member.info.status == "KILLED"
    assert states_of(place_with_store, [""] * (2 if "seed=0,1" in launcher else 1))[0] in ("stopped", "training")
    assert "stopped; run the same command again to resume each member" in said


@pytest.mark.heavy
def test_a_sweep_that_was_killed_whole_trains_only_what_is_missing_or_failed(command, preloaded, place_with_store):
    """Of five, the second fails as long as its weights are not there; the whole sweep is killed during the fourth."""
    from mlflow.tracking import MlflowClient

    sweep = [*SMALL, "seed=0,1,2,3,4", "schedule.epochs=6", "dataset.count=200"]
    child, python = place_with_store / "child.py", place_with_store / "python"
    child.write_text(WITHOUT_LUCK)
    python.write_text(BREAK_SEED_1.format(child=child, preloaded=preloaded))
    python.chmod(0o755)
    train = [sys.executable, "-c", TRAIN, str(python), *sweep]
    with subprocess.Popen(train, cwd=place_with_store, stdout=subprocess.PIPE, text=True, start_new_session=True,
                          stderr=subprocess.DEVNULL) as process:  # fmt: skip
        starts = (line for line in process.stdout if "epoch  1/6" in line)
        for _ in range(3):  # seeds 0, 2 and 3: seed 1 never comes so far
            next(starts)
        os.killpg(process.pid, signal.SIGKILL)
    before = {run.data.params["seed"]: run for run in runs_of(place_with_store)[1]}
    assert [before[seed].info.status for seed in "02"] == ["FINISHED"] * 2
    assert before["1"].info.status == "FAILED"

    again = command("train", *sweep, cwd=place_with_store)
    assert again.returncode == 0, again.stderr
    assert again.stderr == ""
    assert states_of(place_with_store, [""] * 5) == [
        "finished before", "finished", "finished before", "finished", "finished",
    ]  # fmt: skip
    parent, members = runs_of(place_with_store)
    after = {run.data.params["seed"]: run for run in members}
    assert len(members) == 5
    assert parent.info.status == "FINISHED"
    assert {run.info.status for run in members} == {"FINISHED"}
    assert {run.data.tags["mlflow.parentRunId"] for run in members} == {parent.info.run_id}
    assert set(after) == set("01234")
    assert all(f"seed={seed}" in again.stdout for seed in "01234")
    for seed in "02":
        assert after[seed].info == before[seed].info
    client = MlflowClient(f"sqlite:///{place_with_store}/outputs/mlflow.db")
    for run in members:
        assert [metric.step for metric in client.get_metric_history(run.info.run_id, "loss")] == [1, 2, 3, 4, 5, 6]
        best = max(metric.value for metric in client.get_metric_history(run.info.run_id, "val_accuracy"))
        assert f"{best:.3f}" in again.stdout


@pytest.mark.heavy
def test_a_member_is_trained_anew_when_asked_for_or_when_its_run_is_gone(command, place_with_store):
    train = ["train", *SMALL[1:], "seed=0"]
    first = command(*train, cwd=place_with_store)
    assert "trained before" not in first.stdout
    again = command(*train, cwd=place_with_store)
    assert "already trained; again=true trains it again" in again.stdout
    anew = command(*train, "again=true", cwd=place_with_store)
    assert "trained before" not in anew.stdout
    (place_with_store / "outputs" / "mlflow.db").unlink()
    lost = command(*train, cwd=place_with_store)
    assert lost.returncode == 0, lost.stderr
    assert "trained before" not in lost.stdout


def test_the_callback_of_a_sweep_can_be_sent_to_workers_while_its_table_is_shown(tmp_path):
    sweep = Sweep()
    sweep.labels, sweep.live = ["xception"], LiveTable(tmp_path, ["xception"])
    sent = pickle.loads(pickle.dumps(sweep))
    assert (sent.labels, sent.live) == (["xception"], None)


def test_a_key_that_the_experiment_sweeps_over_itself_is_refused(command, tmp_path, assert_refused):
    done = command("train", "--multirun", "experiment=quickstart", "backbone=xception", cwd=tmp_path)
    assert_refused(done, "backbone=xception: the experiment already sweeps over backbone",
                   "give 'hydra.sweeper.params.backbone=xception' instead")  # fmt: skip
