import csv
import math
import time

import numpy as np
import pytest

from facemask_ensemble.errors import InputError


def model_at(rate):
    import keras

    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(rate), "mse")
    return model


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_every_epoch_is_on_disk_before_a_listener_hears_of_it(tmp_path):
    from facemask_ensemble.training.epoch_report import EpochReport

    path, seen = tmp_path / "history.csv", []
    report = EpochReport(path, [lambda epoch, metrics: seen.append((epoch, metrics["loss"], len(rows_of(path))))], 100)
    report.set_model(model_at(0.25))
    for epoch, loss in enumerate([0.5, 0.4]):
        report.on_epoch_begin(epoch)
        report.on_epoch_end(epoch, {"loss": loss, "val_loss": 2 * loss})
    assert seen == [(1, 0.5, 1), (2, 0.4, 2)]
    rows = rows_of(path)
    columns = ["epoch", "loss", "val_loss", "learning_rate", "epoch_seconds", "images_per_second"]
    assert [list(row) for row in rows] == [columns] * 2
    assert [(row["epoch"], row["loss"], row["val_loss"]) for row in rows] == [("1", "0.5", "1.0"), ("2", "0.4", "0.8")]
    assert {float(row["learning_rate"]) for row in rows} == {0.25}
    assert all(float(row["epoch_seconds"]) >= 0 for row in rows)


def test_a_later_phase_goes_on_in_the_same_file(tmp_path):
    from facemask_ensemble.training.epoch_report import EpochReport

    for before in (0, 1):
        report = EpochReport(tmp_path / "history.csv", [], 100, first_epoch=before)
        report.set_model(model_at(0.1))
        report.on_epoch_end(0, {"loss": 1.0})
    assert [row["epoch"] for row in rows_of(tmp_path / "history.csv")] == ["1", "2"]


def test_the_speed_is_that_of_training_whatever_validation_takes(tmp_path, monkeypatch):
    from facemask_ensemble.training import epoch_report

    clock = iter([10.0, 12.0, 17.0, 20.0, 24.0])
    monkeypatch.setattr(epoch_report.time, "perf_counter", lambda: next(clock, 0.0))
    report = epoch_report.EpochReport(tmp_path / "history.csv", [], 100)
    report.set_model(model_at(0.1))
    clock = iter([10.0, 12.0, 17.0, 20.0, 24.0])
    report.on_epoch_begin(0)
    report.on_test_begin()
    report.on_epoch_end(0, {"loss": 1.0})
    report.on_epoch_begin(1)
    report.on_epoch_end(1, {"loss": 1.0})
    rows = rows_of(tmp_path / "history.csv")
    assert [(row["epoch_seconds"], row["images_per_second"]) for row in rows] == [("7.0", "50.0"), ("4.0", "25.0")]


def test_a_history_of_an_earlier_version_keeps_its_columns(tmp_path):
    from facemask_ensemble.training.epoch_report import EpochReport

    path, heard = tmp_path / "history.csv", []
    path.write_text("epoch,loss,learning_rate\n1,0.5,0.25\n")
    report = EpochReport(path, [lambda _, metrics: heard.append(sorted(metrics))], 100, first_epoch=1)
    report.set_model(model_at(0.25))
    report.on_epoch_begin(0)
    report.on_epoch_end(0, {"loss": 0.25})
    assert path.read_text().splitlines() == ["epoch,loss,learning_rate", "1,0.5,0.25", "2,0.25,0.25"]
    assert heard == [["epoch_seconds", "images_per_second", "learning_rate", "loss"]]


class Loss:
    """A loss on a device: it is known when somebody fetched it."""

    def __init__(self, value, step, fetched):
        self.value, self.step, self.fetched = value, step, fetched

    def __float__(self):
        self.fetched.append(self.step)
        return self.value


def epoch_of(losses, finite, fetched):
    """Call `finite` as `fit` does in an epoch of these losses, and give the epochs that callbacks after it heard of."""
    import keras

    from facemask_ensemble.training.callbacks import Callbacks

    class Ends(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            ended.append(epoch)

    ended = []
    called = Callbacks([finite, Ends()], lambda: None, model=model_at(0.1))
    called.on_epoch_begin(0)
    for step, loss in enumerate(losses):
        called.on_train_batch_end(step, {"loss": Loss(loss, step, fetched)})
    called.on_test_batch_end(0, {"loss": Loss(0.5, "validation", fetched)})
    called.on_epoch_end(0, {"loss": losses[-1]})
    return ended


def test_only_every_tenth_step_waits_for_its_loss():
    from facemask_ensemble.training.callbacks import FiniteLoss
    from facemask_ensemble.training.checkpoint import Progress

    fetched = []
    assert epoch_of([0.5] * 35, FiniteLoss(Progress(), 0.1), fetched) == [0]
    assert fetched == [9, 19, 29]


@pytest.mark.parametrize(
    ("first", "when"),
    [(0, " by step 10"), (9, " by step 10"), (10, " by step 20"), (19, " by step 20"), (20, ""), (24, "")],
)
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_at_any_step_ends_the_epoch_before_anything_is_written(first, when, value):
    """The mean over an epoch stays what it is once one loss is not finite; the last look is at the epoch's end."""
    from facemask_ensemble.training.callbacks import FiniteLoss
    from facemask_ensemble.training.checkpoint import Progress

    losses = [0.5] * first + [value] * (25 - first)
    message = rf"learning_rate=0.1: the loss became {value} in epoch 3{when}; the checkpoint of epoch 2 is kept"
    with pytest.raises(InputError, match=message):
        epoch_of(losses, FiniteLoss(Progress(epochs=2), 0.1), [])


def test_the_best_weights_are_those_of_the_lowest_loss_and_never_of_nan(tmp_path):
    from facemask_ensemble.training.checkpoint import Progress, Writer
    from facemask_ensemble.training.checkpoint_callbacks import BestWeights

    model, progress = model_at(0.1), Progress()
    best = BestWeights(tmp_path, progress, model, Writer())
    best.set_model(model)
    for number, loss in enumerate([math.nan, 0.7, 0.3, math.nan, 0.5, 0.3]):
        model.set_weights([np.full((2, 1), number, "float32"), np.zeros(1, "float32")])
        best.on_epoch_end(number, {"val_loss": loss})
        progress.epochs += 1
    assert (progress.best_loss, progress.best_epoch) == (0.3, 3)
    best.restore()
    np.testing.assert_array_equal(model.get_weights()[0], [[2], [2]])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best-0002.npz", "best-0003.npz"]
    best.tidy(tmp_path / "best-0003.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["best-0003.npz"]


def test_what_a_writer_was_given_is_on_disk_when_it_ends_and_a_fault_is_raised(tmp_path):
    from facemask_ensemble.training.checkpoint import Writer

    with Writer() as writer:
        writer.write(lambda: (time.sleep(0.2), (tmp_path / "slow").touch()))
    assert (tmp_path / "slow").exists()
    with pytest.raises(FileNotFoundError), Writer() as writer:
        writer.write((tmp_path / "none" / "slow").touch)
    with pytest.raises(KeyboardInterrupt), Writer() as writer:
        writer.write((tmp_path / "before").touch)
        writer.write((tmp_path / "none" / "slow").touch)
        writer.write((tmp_path / "after").touch)
        raise KeyboardInterrupt
    assert (tmp_path / "before").exists()
    assert not (tmp_path / "after").exists()  # nothing is built on what is not there


def test_a_copy_of_a_variable_stays_as_it_was():
    import keras

    from facemask_ensemble.training.checkpoint import copy_of

    variable = keras.Variable(np.ones(3, "float32"))
    copy = copy_of(variable)
    variable.assign([5, 6, 7])
    np.testing.assert_array_equal(copy, [1, 1, 1])


def test_an_epochs_line_names_the_member_and_its_numbers(capsys):
    from facemask_ensemble.training.epoch_report import epoch_line

    metrics = {"loss": 0.1234, "accuracy": 0.5, "val_loss": 1.0, "val_accuracy": 0.25, "epoch_seconds": 12.4}
    epoch_line("xception", 10)(3, metrics)
    said = " ".join(capsys.readouterr().out.split())
    assert said == "xception epoch 3/10 loss 0.123 accuracy 0.500 val_loss 1.000 val_accuracy 0.250 12 s"
