import itertools
import json
import os
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from composed import train_settings
from PIL import Image

from benchmarks import process_watch, training, training_parts, training_workspace
from benchmarks.harness import Row
from benchmarks.process_watch import Watched, watch
from benchmarks.training_parts import Settings
from benchmarks.training_workspace import Place, draw

HOLDS = """
import os, time
held = b"1" * 150_000_000
print("epoch 1/2", flush=True)
while not (os.path.exists("line was read") and os.path.exists("memory was seen")):
    time.sleep(0.05)
"""
TINY = ("parts=[frozen]", "backbones=[deep_cnn]", "image_size=32", "images=12", "epochs=2")


def seen(*, epoch=1.0, seconds=0.0, peaks=None):
    """Make what was seen of a training whose epochs take so many seconds, the first ten more."""
    lines = [(100.0, "drawing"), (110 + epoch, "net epoch  1/3  loss 1"), (110 + 2 * epoch, "net epoch  2/3  loss 1")]
    return Watched(100.0, seconds, lines, peaks or {})


@pytest.fixture
def scripted(monkeypatch):
    """Let a place draw and train nothing: what it sees of each training is given in order."""

    def script(ours, others):
        told = []
        monkeypatch.setattr(training_workspace, "draw", lambda folder, images: folder)

        def watched(self, command, arguments, *, text="", memory):
            told.append(arguments)
            if "arrays" in arguments:
                return seen()
            return (ours if command == "facemask_ensemble.train" else others).pop(0)

        monkeypatch.setattr(Place, "_watch", watched)
        settings = train_settings("backbone=deep_cnn")
        monkeypatch.setattr(Place, "settings", lambda self, *more: settings)
        return told

    return script


def rows_of(part, folder, **asked):
    return list(training_parts.PARTS[part](Settings(**asked), folder / part))


def test_the_first_epoch_counts_for_nothing():
    lines = [(3.0, "epoch 1/3"), (8.0, "xception  epoch  2/3  loss 0.1"), (9.0, "logged"), (15.0, "epoch 3/3")]
    assert Watched(0.0, 20.0, lines).seconds_per_epoch == 6.0
    with pytest.raises(ValueError, match="only 1 epoch lines arrived"):
        _ = Watched(0.0, 20.0, lines[:1]).seconds_per_epoch


def test_a_command_is_watched_by_the_arrival_of_its_lines_and_the_memory_of_its_processes(tmp_path, monkeypatch):
    """It ends when its line has been read and its memory looked at: whoever did so at the end would wait for ever."""
    clock, peak_memory = itertools.count(), process_watch.peak_memory

    def time():
        now = next(clock)
        if now == 1:
            (tmp_path / "line was read").touch()
        return float(now)

    def look(pid):
        peak = peak_memory(pid)
        if peak and peak > 150:
            (tmp_path / "memory was seen").touch()
        return peak

    monkeypatch.setattr(process_watch, "time", SimpleNamespace(time=time))
    monkeypatch.setattr(process_watch, "peak_memory", look)
    member = f"[sys.executable, '-c', {HOLDS!r}, 'facemask_ensemble.training.member_process']"
    child = f"import subprocess, sys; subprocess.run({member})"
    looked = watch(["-c", child], tmp_path, memory=True)
    assert (looked.started, looked.epochs, looked.seconds) == (0, [1], 2)
    assert 150 < looked.peaks["member"] < 250
    assert 0 < looked.peaks["waiting"] < 100
    assert watch(["-c", "print(input())"], tmp_path, text="given").lines[0][1] == "given"


def test_a_command_that_fails_ends_the_bench_with_its_last_words(tmp_path):
    with pytest.raises(SystemExit, match=r"ended with code 3:(.|\n)*no such thing"):
        watch(["-c", "import sys; print('no such thing', file=sys.stderr); sys.exit(3)"], tmp_path)


def test_bounds_are_met_at_the_bound_itself_and_told_in_the_table():
    assert Row.at_least("speed", 0.95, 0.95).line == "| speed | 0.95 | at least 0.95 | yes |"
    assert Row.at_most("time", 2.51, 2.5).line == "| time | 2.51 | at most 2.5 | no |"
    assert training_parts._of_parent("parent", 250.0).line == "| parent | 250 MB | under 250 MB | no |"
    assert Row("alone", "3 s").line == "| alone | 3 s |  |  |"


def test_images_are_files_in_folders_of_a_split_and_a_class(tmp_path):
    folder = draw(tmp_path / "drawn", 16)
    counts = {split: len(list((folder / split).glob("*/*.jpg"))) for split in ("train", "validation", "test")}
    assert counts == {"train": 16, "validation": 4, "test": 3}
    with Image.open(next(folder.rglob("*.jpg"))) as image:
        assert (image.format, image.size) == ("JPEG", (400, 400))


def test_every_training_is_a_study_of_its_own_and_the_last_override_counts(tmp_path):
    place = Place(tmp_path, tmp_path, ("image_size=32", "seed=5"))
    first, second = (dict(text.split("=", 1) for text in place.overrides("image_size=64")) for _ in range(2))
    assert first["study"] != second["study"]
    assert (first["image_size"], first["seed"], first["augmentation"]) == ("64", "5", "none")
    with pytest.raises(Exception, match="image_size=4: must be a whole number of at least 16"):
        place.settings("backbone=deep_cnn", "image_size=4")


def test_the_best_round_of_each_is_compared(scripted, tmp_path):
    scripted([seen(epoch=12), seen(epoch=10)], [seen(epoch=9), seen(epoch=11)])
    rows = rows_of("bare", tmp_path, images=90)
    assert [row.figure for row in rows] == [
        "10.0 images/s (slowest round 8.2)",
        "9.0 images/s (slowest round 7.5)",
        "0.90",
    ]
    assert rows[-1].met is False


def test_times_are_summed_over_the_backbones(scripted, tmp_path):
    told = scripted([seen(epoch=1), seen(epoch=9)], [seen(epoch=3), seen(epoch=10)])
    rows = rows_of("reference", tmp_path, backbones=["xception", "deep_cnn"], images=30)
    assert rows[0].figure == "30.0 and 10.0 images/s, 3.00 times"
    assert (rows[-1].figure, rows[-1].met) == ("1.30", True)
    assert "precision=auto" in told[0] and "precision=float32" not in told[0]


def test_the_precision_that_was_measured_is_told(tmp_path):
    remembered = tmp_path / "outputs" / "precision"
    remembered.mkdir(parents=True)
    (remembered / "xception-0a1b.json").write_text(json.dumps({"policy": "mixed_bfloat16"}))
    assert training_parts._precision(tmp_path, "xception") == " (mixed_bfloat16)"
    assert training_parts._precision(tmp_path, "resnet50v2") == ""


def test_the_time_to_the_first_prediction_ends_with_the_file_of_probabilities(scripted, tmp_path, monkeypatch):
    """Watched trainings start at 100; files are written after 40 and 30 s of Keras's way, 20 and 22 s of ours."""
    monkeypatch.setattr(Place, "arrays", lambda self, *more: None)
    told = scripted([seen()], [seen() for _ in range(8)])
    ended = {
        "first_by_keras-xception": 140,
        "first-xception": 120,
        "first_by_keras-deep_cnn": 130,
        "first-deep_cnn": 122,
    }
    for name, moment in ended.items():
        file = tmp_path / "first" / name / "files" / "probabilities.parquet"
        file.parent.mkdir(parents=True)
        file.touch()
        os.utime(file, (moment, moment))
    monkeypatch.setattr(Place, "prepare", lambda folder, images, *shared: Place(folder, folder, shared))
    rows = rows_of("first", tmp_path, backbones=["xception", "deep_cnn"])
    assert [row.figure for row in rows] == ["40.0 s and 20.0 s, 0.50", "30.0 s and 22.0 s, 0.73", "0.60"]
    assert rows[-1].what == "all of them, 70 s and 42 s: ours / Keras's"
    assert rows[-1].met is True
    ways = [arguments[0] for arguments in told[1:]]
    assert ways == ["folder", "first_by_keras", "folder", "first"] * 2


def test_a_sweep_is_timed_whole(scripted, tmp_path):
    told = scripted([seen(), seen(seconds=100.0), seen(seconds=66.0)], [])
    rows = rows_of("sweep", tmp_path)
    assert [row.figure for row in rows] == ["100 s", "66 s", "0.66"]
    assert rows[-1].met is False
    assert told[1][0] == told[2][0] == "--multirun"
    assert "image_size=${backbone.smallest_side}" in told[1] and "hydra.launcher.n_jobs=2" in told[2]


def test_peaks_are_judged_by_the_process_they_are_of(scripted, tmp_path):
    ours = [
        seen(peaks={"waiting": 200.0, "member": 1300.0}),
        seen(peaks={"waiting": 210.0, "member": 900.0}),
        seen(peaks={"waiting": 60.0, "worker": 260.0, "member": 900.0}),
    ]
    scripted(ours, [seen(peaks={"waiting": 1000.0})])
    judged = {row.what: (row.figure, row.met) for row in rows_of("memory", tmp_path) if row.bound}
    assert judged == {
        "of that, member / bare fit": ("1.30", False),
        "what waits for a single training": ("200 MB", True),
        "what waits for a sweep, one after another": ("210 MB", True),
        "what waits for a sweep, two workers": ("60 MB", True),
        "a worker of a sweep, two workers": ("260 MB", False),
    }


def test_the_share_of_a_card_counts_a_training_step_as_three_ways_forward(scripted, tmp_path, monkeypatch):
    def speed(config, policy):
        if policy != "float32":
            raise training_parts.NotMeasured("no room")
        return 500.0

    scripted([], [Watched(0.0, 1.0, [(0.5, "7000000000")])])
    monkeypatch.setattr(training_parts, "measure", speed)
    rows = rows_of("gpu", tmp_path, backbones=["resnet50v2"], peaks=[105.0, 1000.0])
    assert rows[0].what == "resnet50v2, 224 px, batches of 32, float32"
    assert [row.figure for row in rows] == ["500.0 images/s, 10.5 TFLOP/s, 10.0% of the peak", "not measured: no room"]


@pytest.fixture
def tiny(tmp_path):
    """A config of a tiny network, and a file of images for it."""
    from benchmarks.training_baselines import arrays

    place = Place.prepare(
        tmp_path / "place", 12, "backbone=deep_cnn", "image_size=16", "batch_size=4", "schedule.epochs=2"
    )
    config = place.settings()
    arrays(config, place.folder / "arrays.npz", 0)
    return config, place.folder / "arrays.npz"


@pytest.mark.heavy
def test_bare_fits_learn_from_the_training_images_and_tell_every_epoch(tiny, capsys):
    from benchmarks.training_baselines import bare, frozen, operations

    config, file = tiny
    with np.load(file) as held:
        assert {name: held[name].shape for name in held.files} == {
            "train_pixels": (12, 16, 16, 3), "train_labels": (12, 3),
            "validation_pixels": (3, 16, 16, 3), "validation_labels": (3, 3),
        }  # fmt: skip
    for way in (bare, frozen):
        way(config, file, 2)
        assert capsys.readouterr().out.splitlines() == ["epoch 1/2", "epoch 2/2"]
    operations(config, file, 0)
    convolutions = 2 * 9 * (16**2 * 3 * 16 + 8**2 * 16 * 32 + 4**2 * 32 * 64)
    assert convolutions < int(capsys.readouterr().out.splitlines()[-1]) < 1.1 * convolutions


@pytest.mark.heavy
def test_a_member_is_trained_as_its_process_does_and_by_keras_beside_it(tiny, monkeypatch, new_store):
    """Two ways to the same weights, up to rounding."""
    import keras

    from benchmarks import training_baselines
    from facemask_ensemble.training import fit, member
    from facemask_ensemble.training.run_files import FILES, PROBABILITIES

    config, file = tiny
    shared = []
    monkeypatch.setattr(fit, "share_inference", shared.append)
    monkeypatch.setattr(fit, "build_metrics", fit.build_metrics)  # put back when the test ends
    for module in (fit, member):
        monkeypatch.setattr(module, "collection_paused", module.collection_paused)
    probs = []
    for way in ("first", "first_by_keras"):
        place = file.parent / way
        training_baselines.folder(config, place, 0)
        keras.backend.clear_session()
        training_baselines.WAYS[way](config, place, 1)
        table = pd.read_parquet(place / FILES / PROBABILITIES)
        probs.append(table.filter(like="p_").to_numpy())
    assert len(shared) == 1
    assert config.optimizer.make.name == "Adam"
    np.testing.assert_allclose(*probs, atol=1e-3)


@pytest.mark.heavy
def test_the_bench_prints_a_table_and_leaves_nothing_behind(monkeypatch, preloaded, tmp_path, capsys):
    monkeypatch.setattr("sys.executable", preloaded)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    training.main(TINY)
    rows = [line.split("|")[1:-1] for line in capsys.readouterr().out.splitlines()]
    assert len(rows) == 2 + 4 and all(len(row) == 4 for row in rows)
    assert [row[3].strip() in ("yes", "no") for row in rows].count(True) == 1
    assert list(tmp_path.iterdir()) == []
