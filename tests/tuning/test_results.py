import math

import optuna
import pandas as pd
import pytest

from facemask_ensemble.search_path import ENVIRONMENT
from facemask_ensemble.tuning.figures import history, importance, slices
from facemask_ensemble.tuning.progress import best, brief, ranking
from facemask_ensemble.tuning.results import short_names, train_command, trials_table, write_results

SPACE = {
    "schedule.learning_rate": optuna.distributions.FloatDistribution(1e-4, 1e-2, log=True),
    "optimizer": optuna.distributions.CategoricalDistribution(("adam", "adamw")),
}


@pytest.fixture
def study():
    """Twelve trials: the loss is the distance of the rate from 1e-3; one in four was pruned, one failed."""
    study = optuna.create_study(study_name="search")
    for number in range(12):
        rate = 10 ** (-4 + number / 6)
        params = {"schedule.learning_rate": rate, "optimizer": ("adam", "adamw")[number % 2]}
        value = 0.4 + abs(math.log10(rate) + 3)
        state = "PRUNED" if number % 4 == 3 else "FAIL" if number == 2 else "COMPLETE"
        study.add_trial(
            optuna.create_trial(
                state=optuna.trial.TrialState[state],
                params=params,
                distributions=SPACE,
                value=None if state == "FAIL" else value,
                intermediate_values={1: value, 2: value},
                user_attrs={"overrides": [f"{key}={text}" for key, text in params.items()], "run_id": f"r{number}"},
            )
        )
    return study


def test_the_best_trials_come_first(study):
    assert [trial.number for trial in ranking(study)[:3]] == [6, 5, 8]
    assert best(study).number == 6
    assert best(optuna.create_study()) is None


def test_of_an_accuracy_the_highest_is_best():
    study = optuna.create_study(direction="maximize")
    for value in (0.5, 0.9, 0.9, 0.1):
        study.add_trial(optuna.create_trial(value=value))
    assert [trial.number for trial in ranking(study)] == [1, 2, 0, 3]


def test_the_table_has_a_row_a_trial_with_what_was_drawn(study):
    table = trials_table(study)
    assert len(table) == 12
    assert table["state"].value_counts().to_dict() == {"complete": 8, "pruned": 3, "fail": 1}
    row = table.iloc[6]
    assert (row["value"], row["epochs"], row["optimizer"], row["run_id"]) == (pytest.approx(0.4), 2, "adam", "r6")
    assert float(row["schedule.learning_rate"]) == pytest.approx(1e-3)
    assert pd.isna(table.iloc[2]["value"])


def test_the_images_are_written_where_there_are_numbers_for_them(study, tmp_path):
    names = {path.name for path in write_results(study, "val_loss", tmp_path)}
    assert names == {"trials.csv", "history.png", "importance.png", "slices.png"}
    assert all((tmp_path / name).stat().st_size > 100 for name in names)
    empty = optuna.create_study()
    assert (history(empty, "val_loss"), importance(empty, "val_loss"), slices(empty, "val_loss")) == (None,) * 3


def test_the_rate_that_alone_decides_is_what_mattered(study):
    figure = importance(study, "val_loss")
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == ["schedule.learning_rate", "optimizer"]


def test_the_course_shows_the_best_so_far(study):
    (axes,) = history(study, "val_loss").axes
    complete, pruned, so_far = axes.lines
    assert len(complete.get_xdata()) == 8
    assert list(pruned.get_xdata()) == [3, 7, 11]
    assert min(so_far.get_ydata()) == so_far.get_ydata()[-1] == pytest.approx(0.4)


def test_the_command_of_the_best_leaves_out_what_concerns_the_search():
    given = ["backbone=deep_cnn", "trials=3", "study=s", "search=none", "+space.batch_size=[8,16]", "pruner=none"]
    given += ["space.optimizer=null", "dataset.root=my images", "jobs=2", "+pruner.x=1"]
    assert train_command(given, ["batch_size=8"]) == (
        "python -m facemask_ensemble.train backbone=deep_cnn 'dataset.root=my images' batch_size=8"
    )


def test_the_command_of_the_best_leaves_out_deletions_and_packages_of_the_search_too():
    given = ["~space.optimizer", "++trials=3", "sampler@other=tpe", "~dataset.limit", "+dataset.note='jobs=2, x'"]
    assert train_command(given, ["batch_size=8"]) == (
        "python -m facemask_ensemble.train '~dataset.limit' '+dataset.note='\"'\"'jobs=2, x'\"'\"'' batch_size=8"
    )


@pytest.mark.parametrize(
    ("folders", "named"),
    [("/my/parts", "--config-dir /my/parts"), ("/a:/b", "'hydra.searchpath=[file:///a,file:///b]'")],
)
def test_the_command_of_the_best_names_the_users_own_folders(folders, named, monkeypatch):
    monkeypatch.setenv(ENVIRONMENT, folders)
    command = train_command(["backbone=tiny", "trials=3"], ["seed=1"])
    assert command == f"python -m facemask_ensemble.train {named} backbone=tiny seed=1"


def test_names_and_numbers_are_shortened_where_nothing_is_lost():
    assert short_names(["schedule.learning_rate", "a.b", "c.b", "seed"]) == ["learning_rate", "a.b", "c.b", "seed"]
    assert (
        brief(["rate=0.00123456", "batch_size=128", "optimizer=adam"]) == "rate=0.00123  batch_size=128  optimizer=adam"
    )


def test_losses_that_exploded_do_not_press_the_others_flat(study):
    study.add_trial(optuna.create_trial(params=study.trials[0].params, distributions=SPACE, value=900.0))
    (axes,) = history(study, "val_loss").axes
    assert axes.get_ylim()[1] < 10
    assert axes.get_title(loc="left").endswith("9 complete and 3 pruned trials, 1 above the scale")


def test_nothing_mattered_where_all_values_are_equal_but_for_rounding(study):
    level = optuna.create_study()
    for number, trial in enumerate(study.trials):
        value = 0.1 + 0.2 if number % 2 else 0.3
        level.add_trial(optuna.create_trial(params=trial.params, distributions=SPACE, value=value))
    assert importance(level, "val_loss") is None
