"""What a user can fix ends a training with one line and exit code 2, and what was reached stays."""

import os
import resource
import signal
import subprocess
import sys

import pytest
from processes import HANG, start

TRAIN = (
    "train", "backbone=deep_cnn", "precision=float32", "dataset.count=60", "dataset.size=48", "image_size=32",
    "augmentation=none", "study=bad",
)  # fmt: skip
BIG = ("backbone.head.pooling=flatten", "backbone.head.hidden=[256]")
LIMIT = 4_000_000  # bytes a file: less than the network's weights, more than anything else


def folder_in(place):
    (folder,) = (place / "outputs" / "runs" / "bad").iterdir()
    return folder


def stop_in_epoch(number, python, place, *arguments):
    """Train until an epoch has ended, then stop as by Ctrl-C."""
    command = [python, "-m", f"facemask_ensemble.{TRAIN[0]}", *TRAIN[1:], *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with start(command, cwd=place, text=True, start_new_session=True, **pipes) as process:
        next(line for line in process.stdout if f"epoch {number:>2}/" in line)
        os.killpg(process.pid, signal.SIGINT)
        process.communicate()


@pytest.mark.heavy
@pytest.mark.parametrize("rate", ["nan", "-1", "0"])
def test_a_rate_that_is_none_is_refused_at_once(rate, command, tmp_path, assert_refused):
    done = command(*TRAIN, f"schedule.learning_rate={rate}", cwd=tmp_path)
    assert_refused(done, "schedule.learning_rate=", "must be a number above 0, such as 1e-3")
    assert not (tmp_path / "outputs" / "runs").exists()


def test_a_weights_file_with_a_wrong_md5_is_refused_at_once(command, tmp_path, assert_refused):
    file = tmp_path / "xception_weights_tf_dim_ordering_tf_kernels_notop.h5"
    file.write_bytes(b"not the weights")
    for given in (file, tmp_path):
        done = command("train", "backbone=xception", f"backbone.weights={given}", cwd=tmp_path)
        assert_refused(done, "its md5 is ", "b0042744bf5b25fce3cb969f33bebb97")
    assert not (tmp_path / "outputs" / "runs").exists()


@pytest.mark.heavy
def test_an_exploding_loss_is_stopped_with_its_epoch_and_step(command, place_with_store, assert_refused):
    done = command(*TRAIN, "optimizer=sgd", "schedule.learning_rate=1e25", "schedule.warmup=0", cwd=place_with_store)
    assert_refused(done, "schedule.learning_rate=1e+25: the loss became nan in epoch ", "lower the rate")


@pytest.mark.heavy
def test_a_full_disk_costs_one_epoch_and_a_checkpoint_that_was_cut_short_none(
    command, preloaded, place_with_store, assert_refused
):
    """A limit on the size of a file stands for the disk."""
    arguments = ("schedule.epochs=2000", *BIG)
    stop_in_epoch(3, preloaded, place_with_store, *arguments)
    file = folder_in(place_with_store) / "checkpoint.npz"
    before = file.read_bytes()
    assert len(before) > LIMIT
    full = subprocess.run(
        [sys.executable, "-m", "facemask_ensemble.train", *TRAIN[1:], *arguments], cwd=place_with_store, text=True,
        capture_output=True, timeout=HANG, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, LIMIT)),
    )  # fmt: skip
    assert_refused(full, "the disk is full", "Finished work is kept")
    assert file.read_bytes() == before
    assert list(folder_in(place_with_store).glob("*.part")) == []
    file.write_bytes(before[:-1000])
    assert_refused(command(*TRAIN, *arguments, cwd=place_with_store), f"{file} is damaged", "delete it to train")
    assert file.read_bytes() == before[:-1000]
    file.write_bytes(before)
    stop_in_epoch(6, preloaded, place_with_store, *arguments)
    history = (folder_in(place_with_store) / "files" / "history.csv").read_text().splitlines()
    assert [line.partition(",")[0] for line in history[:7]] == ["epoch", "1", "2", "3", "4", "5", "6"]
