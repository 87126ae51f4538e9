import os
import re
import signal
import subprocess
import sys

import pandas as pd
import pytest
from processes import start, wait_until

SMALL = (
    "backbone=deep_cnn", "dataset.count=60", "dataset.size=48", "image_size=32", "schedule.epochs=1",
    "precision=float32", "study=search", "search=none", "batch_size=32", "augmentation=none",
    "+space.schedule.learning_rate={low: 1e-4, high: 1e-2, log: true}",
)  # fmt: skip


def trials_of(place):
    return pd.read_csv(place / "outputs" / "tune" / "search" / "trials.csv")


def study_of(place):
    import optuna

    return optuna.load_study(study_name="search", storage=f"sqlite:///{place}/outputs/tune.db")


def without(*modules, arguments, cwd):
    """Run the command where some modules cannot be imported; say at the end which heavy ones were."""
    script = (
        "import atexit, sys\n"
        f"sys.modules.update(dict.fromkeys({modules!r}))\n"
        f"sys.argv = ['tune', *{list(arguments)!r}]\n"
        "heavy = ('tensorflow', 'keras', 'mlflow', 'optuna')\n"
        "atexit.register(lambda: print('IMPORTED', *[name for name in heavy if sys.modules.get(name)]))\n"
        "from facemask_ensemble.tune import main\n"
        "main()\n"
    )
    return subprocess.run([sys.executable, "-c", script], cwd=cwd, capture_output=True, text=True, check=False)


def test_help_teaches_without_importing_tensorflow_or_optuna(tmp_path):
    done = without(arguments=["--help"], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "IMPORTED"
    for word in ("python -m facemask_ensemble.tune", "space:", "finetune | none | recipe", "trials: 20", "optimizer:"):
        assert word in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_without_optuna_the_command_says_what_to_install(tmp_path, assert_refused):
    done = without("optuna", arguments=SMALL, cwd=tmp_path)
    assert_refused(done, 'pip install "facemask-ensemble[tune]"')
    assert done.stdout.splitlines()[-1] == "IMPORTED"


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["+space.schedule.rate=[1,2]"], "space.schedule.rate: there is no such key"),
        (["+space.batch_size=[8,16]"], "batch_size=32: is set on the command line and searched"),
        (["space.schedule.learning_rate.low=1"], "space.schedule.learning_rate.low=1: must be below"),
        (["image_size=8"], "image_size=8: must be a whole number of at least 16"),
        (["search=all"], "search=all: there is no such search; choose one of finetune, none, recipe"),
        (["trials=0"], "trials=0: must be a whole number"),
        (["tracking=server", "tracking.uri=nowhere"], "tracking.uri=nowhere: not an address"),
    ],
)
def test_what_cannot_be_searched_is_refused_in_one_line(arguments, words, command, tmp_path, assert_refused):
    assert_refused(command("tune", *SMALL, *arguments, cwd=tmp_path), words)


def test_a_storage_that_does_not_answer_is_refused_at_once(command, tmp_path, assert_refused, closed_port):
    storage = f"storage=postgresql+psycopg2://me:secret@127.0.0.1:{closed_port}/studies"
    done = command("tune", *SMALL, storage, cwd=tmp_path)
    line = assert_refused(
        done, "a study cannot be stored there", "refused", "start the database, or leave storage=null"
    )
    assert "secret" not in line


@pytest.mark.parametrize("multirun", ["--multirun", "-m"])
def test_a_search_is_no_sweep(multirun, command, tmp_path, assert_refused):
    assert_refused(command("tune", multirun, *SMALL, "seed=0,1", cwd=tmp_path), "--multirun", "jobs=2")
    assert list(tmp_path.glob("outputs/*.db")) == []


@pytest.mark.heavy
def test_a_search_ends_with_its_best_trials_and_the_command_that_trains_the_best(
    command, place_with_store, assert_refused
):
    done = command("tune", *SMALL, "trials=2", cwd=place_with_store)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    trials = trials_of(place_with_store)
    assert trials["state"].tolist() == ["complete", "complete"]
    best = trials.sort_values("value").iloc[0]
    rate = best["schedule.learning_rate"]
    last = done.stdout.splitlines()[-1]
    assert last.startswith("python -m facemask_ensemble.train backbone=deep_cnn dataset.count=60")
    assert float(re.search(r"schedule.learning_rate=(\S+)$", last)[1]) == pytest.approx(rate)
    assert not any(word in last for word in ("space", "search", "trials", "study"))
    assert f"trial {best['trial']}" in done.stdout
    files = {path.name for path in (place_with_store / "outputs" / "tune" / "search").iterdir()}
    assert {"trials.csv", "history.png", "slices.png"} <= files
    assert runs_of(place_with_store) == {("search", "0", "FINISHED"), ("search", "1", "FINISHED")}
    again = command("tune", *SMALL, "trials=2", cwd=place_with_store)  # nothing is left to do
    assert again.stdout.splitlines()[-1] == last
    assert_what_was_searched_is_not_mixed_with_something_else(command, place_with_store, assert_refused)


def assert_what_was_searched_is_not_mixed_with_something_else(command, place, assert_refused):
    for arguments, words in [
        (["metric=val_accuracy"], "study=search: started with metric=val_loss, now it is val_accuracy"),
        (["space.schedule.learning_rate.high=1"], "started with space.schedule.learning_rate=[0.0001, 0.01, True"),
        (["image_size=48"], "started with image_size=32, now it is 48"),
        (["dataset.count=80"], "started with fingerprint of the dataset="),
    ]:
        assert_refused(command("tune", *SMALL, *arguments, cwd=place), words, "give another study")


def runs_of(place):
    """Give the study, the trial's number and the state of every run."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{place}/outputs/mlflow.db")
    runs = client.search_runs([client.get_experiment_by_name("search").experiment_id])
    return {(run.data.tags["tune"], run.data.tags["trial"], run.info.status) for run in runs}


@pytest.mark.heavy
def test_a_trial_that_promises_nothing_is_stopped_in_mid_training(command, place_with_store):
    pruner = ("pruner._target_=optuna.pruners.ThresholdPruner", "~pruner.n_startup_trials", "+pruner.upper=0.0")
    done = command("tune", *SMALL, "schedule.epochs=5000", *pruner, "trials=1", cwd=place_with_store)
    assert done.returncode == 1
    assert done.stderr.startswith("error: no trial was completed (1 pruned); see ")
    (trial,) = study_of(place_with_store).get_trials()
    assert trial.state.name == "PRUNED"
    assert 2 <= trial.last_step < 5000  # two epochs are given to every trial
    assert runs_of(place_with_store) == {("search", "0", "KILLED")}


@pytest.mark.heavy
def test_two_searches_side_by_side_share_one_study(preloaded, place_with_store):
    search = [preloaded, "-m", "facemask_ensemble.tune", *SMALL, "trials=3"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    both = [start(search, cwd=place_with_store, **pipes) for _ in range(2)]
    said = [process.communicate() for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    trials = study_of(place_with_store).get_trials()
    assert 3 <= len(trials) <= 4
    assert {trial.state.name for trial in trials} == {"COMPLETE"}
    assert len({trial.params["schedule.learning_rate"] for trial in trials}) == len(trials)
    ended = [set(re.findall(r"^trial (\d+): val_loss", out, re.M)) for out, _ in said]
    assert all(ended)
    assert ended[0].isdisjoint(ended[1])
    assert ended[0] | ended[1] == {str(number) for number in range(len(trials))}


@pytest.mark.heavy
@pytest.mark.parametrize(("jobs", "stop", "code"), [(1, "Ctrl-C", 130), (2, "SIGTERM to the command alone", 143)])
def test_a_stop_keeps_the_trials_that_run_side_by_side_or_alone_for_the_next_time(
    jobs, stop, code, command, preloaded, place_with_store
):
    many = [*SMALL, "schedule.epochs=20", f"jobs={jobs}", "pruner=none", "trials=2"]
    search = [preloaded, "-m", "facemask_ensemble.tune", *many]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with start(search, cwd=place_with_store, start_new_session=True, **pipes) as process:
        wait_for_epochs(place_with_store, jobs)
        if stop == "Ctrl-C":
            os.killpg(process.pid, signal.SIGINT)
        else:
            process.terminate()
        said, errors = process.communicate()
    assert process.returncode == code, errors
    assert "Traceback" not in errors
    assert "run the same command again" in said
    stopped = study_of(place_with_store).get_trials()
    assert [trial.state.name for trial in stopped] == ["FAIL"] * jobs + ["WAITING"] * jobs
    done = command("tune", *many, cwd=place_with_store)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith("python -m facemask_ensemble.train")
    trials = study_of(place_with_store).get_trials()
    complete = sorted((trial for trial in trials if trial.state.name == "COMPLETE"), key=lambda one: one.datetime_start)
    assert len(complete) == 2
    assert (complete[1].datetime_start < complete[0].datetime_complete) == (jobs == 2)
    rates = [(trial.state.name, trial.params["schedule.learning_rate"]) for trial in trials]
    assert {rate for state, rate in rates if state == "FAIL"} <= {rate for state, rate in rates if state == "COMPLETE"}
    assert len(list(place_with_store.glob("outputs/runs/search/*"))) == 2  # what was begun was continued


def wait_for_epochs(place, trainings):
    def ended():
        histories = list(place.glob("outputs/runs/search/*/files/history.csv"))
        return len(histories) == trainings and all(len(path.read_text().splitlines()) > 2 for path in histories)

    wait_until(ended, f"two epochs of {trainings} trainings")
