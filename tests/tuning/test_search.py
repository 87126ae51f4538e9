import itertools
import math
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from processes import HANG

from facemask_ensemble.errors import InputError
from facemask_ensemble.training.member_process import Outcome
from facemask_ensemble.tuning.space import Choice
from facemask_ensemble.tuning.trial import epochs


def states(study):
    return [trial.state.name for trial in study.get_trials()]


def run(study, objective, trials, **options):
    from facemask_ensemble.tuning.search import search

    ended = []
    search(study, objective, trials, ended.append, **options)
    return ended


def test_a_search_reports_every_epoch_and_takes_the_lowest_loss(make_study, make_objective):
    study = make_study()
    objective = make_objective(loss=lambda drawn, epoch: drawn["x"] + abs(epoch - 3))
    ended = run(study, objective, 2)
    assert [trial.number for trial in ended] == [0, 1]
    for trial in study.get_trials():
        x = trial.params["x"]
        assert trial.intermediate_values == pytest.approx({1: x + 2, 2: x + 1, 3: x, 4: x + 1, 5: x + 2})
        assert trial.value == pytest.approx(x)
        assert trial.user_attrs["run_id"] == f"run-{trial.number}"
    assert [settings.tags for settings in objective.train.settings] == [
        {"tune": "masks", "trial": "0"},
        {"tune": "masks", "trial": "1"},
    ]


def test_the_accuracy_is_that_of_the_weights_that_were_kept(make_study, make_objective):
    study = make_study(direction="maximize")
    run(study, make_objective(metric="val_accuracy"), 1)
    (trial,) = study.get_trials()
    assert trial.value == 0.5
    assert trial.intermediate_values[1] == pytest.approx(math.exp(-trial.params["x"] - 1))


@pytest.mark.heavy
def test_a_trial_that_promises_nothing_is_stopped(make_study, make_objective):
    import optuna

    study = make_study(pruner=optuna.pruners.ThresholdPruner(upper=0.7, n_warmup_steps=2))
    objective = make_objective(loss=lambda drawn, epoch: drawn["x"])
    run(study, objective, 8)
    for trial in study.get_trials():
        pruned = trial.params["x"] > 0.7
        assert trial.state.name == ("PRUNED" if pruned else "COMPLETE")
        assert trial.last_step == (2 if pruned else 5)
    assert {"PRUNED", "COMPLETE"} == set(states(study))


@pytest.mark.heavy
def test_a_search_goes_on_until_there_are_as_many_trials_as_asked_for(make_study, make_objective):
    run(make_study(), make_objective(), 3)
    study = make_study()
    assert len(run(study, make_objective(), 5)) == 2
    assert len(run(study, make_objective(), 5)) == 0
    assert states(study) == ["COMPLETE"] * 5


@pytest.mark.heavy
def test_the_same_draws_come_however_often_a_search_is_begun_again(make_study, make_objective):
    at_once, in_parts = make_study("a"), make_study("b")
    run(at_once, make_objective(epochs=1), 6)
    for trials in (2, 3, 6):
        import shutil

        objective = make_objective(epochs=1)
        shutil.rmtree(objective.train.folder, ignore_errors=True)
        run(make_study("b"), objective, trials)
    assert [trial.params for trial in at_once.get_trials()] == [trial.params for trial in in_parts.get_trials()]
    assert len({trial.params["x"] for trial in at_once.get_trials()}) == 6


def test_a_failed_training_is_marked_and_the_search_goes_on(make_study, make_objective, tmp_path):
    def train(settings, watch):
        if settings.tags["trial"] == "0":
            return Outcome("deep_cnn", "failed", "out of memory"), tmp_path
        return make_objective().train(settings, watch)

    study = make_study()
    run(study, make_objective(train), 3)
    assert states(study) == ["FAIL", "COMPLETE", "COMPLETE"]
    assert study.get_trials()[0].user_attrs["error"] == "out of memory"


def test_a_loss_that_exploded_is_that_draws_failure_alone(make_study, make_objective, tmp_path):
    (tmp_path / "run.json").write_text("{}")  # the training had begun
    study = make_study()
    refused = Outcome("deep_cnn", "refused", "schedule.learning_rate=9: the loss became nan")
    run(study, make_objective(lambda *_: (refused, tmp_path)), 2)
    assert states(study) == ["FAIL", "FAIL"]


def test_a_loss_of_nan_fails_and_counts(make_study, make_objective):
    study = make_study()
    run(study, make_objective(loss=lambda *_: math.nan), 2)
    assert states(study) == ["FAIL", "FAIL"]
    assert "val_loss" in study.get_trials()[0].user_attrs["error"]


def test_a_refused_config_ends_the_search_with_its_line(make_study, make_objective, tmp_path):
    refused = Outcome("deep_cnn", "refused", "backbone.weights=x: wrong md5")
    with pytest.raises(InputError, match="backbone.weights=x: wrong md5"):
        run(make_study(), make_objective(lambda *_: (refused, tmp_path)), 3)


@pytest.mark.heavy
@pytest.mark.parametrize("how", ["raised", "returned"])
def test_a_stopped_trial_is_tried_again_with_the_same_draw(how, make_study, make_objective, tmp_path):
    def train(settings, watch):
        if how == "raised":
            raise KeyboardInterrupt
        return Outcome("deep_cnn", "stopped"), tmp_path

    study = make_study()
    with pytest.raises(KeyboardInterrupt):
        run(study, make_objective(train), 3)
    assert states(study) == ["FAIL", "WAITING"]
    run(make_study(), make_objective(), 3)
    assert states(study) == ["FAIL", "COMPLETE", "COMPLETE", "COMPLETE"]
    first, again, *others = study.get_trials()
    assert again.params == first.params
    assert again.user_attrs["again"] == 0
    assert all(other.params != first.params for other in others)


@pytest.mark.heavy
def test_a_trial_whose_process_died_is_tried_again(make_study, make_objective, tmp_path, monkeypatch):
    from facemask_ensemble.tuning import storage

    script = f"""
import os, sys
from pathlib import Path
from facemask_ensemble.tuning import storage
sys.path.insert(0, {str(Path(__file__).parent)!r})
from conftest import Drawn
storage.HEARTBEAT, storage.GRACE = 1, 2
from facemask_ensemble.tuning.sampler import Numbered
from facemask_ensemble.tuning.search import search
from facemask_ensemble.tuning.space import Range
from facemask_ensemble.tuning.trial import Objective
import optuna
opened = storage.open_storage(storage.default_storage(Path({str(tmp_path)!r})), Path({str(tmp_path)!r}))
study = storage.open_study(
    opened, "masks", "minimize", {{}}, Numbered(optuna.samplers.TPESampler, 0), optuna.pruners.NopPruner()
)
die = lambda *_: os._exit(9)
search(study, Objective([Range("x", 0.0, 1.0)], "val_loss", lambda _: Drawn({{}}), die, lambda *_: None), 2, print)
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 9
    monkeypatch.setattr(storage, "HEARTBEAT", 1)
    monkeypatch.setattr(storage, "GRACE", 2)
    study = make_study()
    assert states(study) == ["RUNNING"]
    run(study, make_objective(), 2)
    trials = study.get_trials()
    assert sorted(states(study)) == ["COMPLETE", "COMPLETE", "FAIL"]
    again = next(trial for trial in trials if trial.system_attrs.get("failed_trial") == 0)
    assert (again.params, again.state.name) == (trials[0].params, "COMPLETE")


def test_no_trial_begins_after_the_timeout(make_study, make_objective, monkeypatch):
    from facemask_ensemble.tuning import search

    study, clock = make_study(), itertools.count()  # seconds: it is asked when the search and when each trial begins
    monkeypatch.setattr(search, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    run(study, make_objective(), 10_000, timeout=4)
    assert states(study) == ["COMPLETE"] * 3


@pytest.mark.heavy
def test_a_draw_that_another_trial_trains_now_waits_for_it(make_study, make_objective, monkeypatch):
    from facemask_ensemble.tuning import trial

    study = make_study()
    begun, waits, go_on = threading.Event(), threading.Event(), threading.Event()
    monkeypatch.setattr(trial, "time", SimpleNamespace(sleep=lambda seconds: waits.set()))
    fake = make_objective().train
    order = []

    def slow(settings, watch):
        begun.set()
        go_on.wait(HANG)
        order.append(settings.tags["trial"])
        return fake(settings, watch)

    def quick(settings, watch):
        order.append(settings.tags["trial"])
        return fake(settings, watch)

    space = [Choice("x", ("1", "1 "))]
    study.enqueue_trial({"x": "1"})
    study.enqueue_trial({"x": "1"})
    first = threading.Thread(target=study.optimize, args=(make_objective(slow, space=space), 1))
    first.start()
    assert begun.wait(HANG)
    second = threading.Thread(target=make_study().optimize, args=(make_objective(quick, space=space), 1))
    second.start()
    assert waits.wait(HANG)
    assert order == []
    go_on.set()
    first.join(HANG)
    second.join(HANG)
    assert order == ["0", "1"]


def test_a_silent_storage_costs_no_training(make_study, make_objective, monkeypatch):
    import optuna
    from optuna.exceptions import StorageInternalError

    silent = [True, True]
    report = optuna.Trial.report

    def failing(trial, value, step):
        if silent and silent.pop():
            raise StorageInternalError("gone")
        report(trial, value, step)

    monkeypatch.setattr(optuna.Trial, "report", failing)
    study = make_study()
    run(study, make_objective(), 1)
    (trial,) = study.get_trials()
    assert (trial.state.name, sorted(trial.intermediate_values)) == ("COMPLETE", [1, 2, 3, 4, 5])


def test_a_line_that_is_written_at_this_moment_is_not_read(tmp_path):
    history = tmp_path / "history.csv"
    assert epochs(history, "val_loss") == []
    history.write_text("epoch,loss,val_loss\n1,0.5,0.75\n2,0.4,\n3,0.3,0.")
    (first, second) = epochs(history, "val_loss")
    assert first == (1, 0.75)
    assert second[0] == 2
    assert math.isnan(second[1])
