import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from facemask_ensemble.auditing.examples import shown_paths
from facemask_ensemble.auditing.report import Subject, metrics, report_on

CLASSES = ("bare", "masked")


def findings_of(count=120, **columns):
    """Readable images of two classes that differ in nothing that can be told without looking."""
    generator = np.random.default_rng(3)
    hashes = [f"{value:016x}" for value in generator.integers(0, 2**63, 2 * count)]
    rows = pd.DataFrame(
        {
            "path": [f"{CLASSES[place % 2]}/{generator.integers(10**9)}.jpg" for place in range(count)],
            "label": np.arange(count) % 2,
            "group": "",
            "split": "",
            "size": generator.integers(5_000, 50_000, count),
            "mtime_ns": 0,
            "sha256": [f"{place:064x}" for place in range(count)],
            "width": 300,
            "height": 300,
            "format": "JPEG",
            "odd": "",
            "look": hashes[:count],
            "mirrored": hashes[count:],
            "red": generator.normal(120, 5, count),
            "green": generator.normal(120, 5, count),
            "blue": generator.normal(120, 5, count),
            "reason": "",
        }
    )
    return rows.assign(**columns)


def audited(rows, refusal="", quarantine=(), used=None, distance=8):
    used = rows[rows["reason"] == ""].assign(split="train") if used is None else used
    left_out = pd.DataFrame(list(quarantine), columns=["path", "reason"], dtype=str)
    subject = Subject("set", Path("/data"), CLASSES, rows, used[["path", "split"]], left_out, refusal, distance, 0.3)
    return report_on(subject)


def titles(report, *levels):
    return [found["title"] for found in report["findings"] if not levels or found["level"] in levels]


def test_a_sound_set_is_ready_to_train_and_nothing_is_found():
    report, copies = audited(findings_of())
    assert report["verdict"] == "Ready to train."
    assert report["findings"] == []
    assert copies.empty


def test_a_set_that_cannot_be_split_is_said_so_first():
    report, _ = audited(findings_of(), refusal="the test split has no image of class 'bare'")
    assert report["verdict"] == "No model can be trained on this dataset yet."
    assert "Training stops with this error: the test split has no image" in report["findings"][0]["text"]


def test_exact_copies_of_two_classes_are_to_be_mended():
    rows = findings_of()
    rows.loc[[3, 8], ["sha256", "look", "mirrored"]] = ["f" * 64, "0" * 15 + "7", "1" * 16]
    report, copies = audited(rows)
    assert report["verdict"] == "Fix one thing before you trust a model trained on this dataset."
    assert titles(report, "fix") == ["The same image has two labels"]
    assert copies[["kind", "bits"]].to_numpy().tolist() == [["exact", 0]] * 2


@pytest.mark.parametrize(("bits", "level"), [(4, "fix"), (8, "look")])
def test_near_copies_of_two_classes_are_shown_and_the_nearest_are_to_be_mended(bits, level):
    rows = findings_of()
    rows.loc[3, "look"] = f"{int(rows.loc[8, 'look'], 16) ^ ((1 << bits) - 1):016x}"
    report, _ = audited(rows)
    assert titles(report, level) == ["Near copies have different labels"]
    (pair,) = report["copies"]["conflicts"]
    assert pair["bits"] == bits
    assert set(pair["paths"]) <= set(shown_paths(report))


def test_a_size_that_only_one_class_has_is_named_with_its_images():
    rows = findings_of()
    rows["width"] = np.where((rows["label"] == 1) & (rows.index < 60), 301, 300)
    report, _ = audited(rows)
    (found,) = [found for found in report["findings"] if found["section"] == "shortcuts"]
    assert found["level"] == "fix"
    assert "301x300: 30 images, 30 masked, 0 bare" in found["text"]
    (told,) = report["shortcuts"]["shortcut_values"]
    assert len(told["examples"]) == 10
    assert {example["class"] for example in told["examples"]} == {"masked"}


def test_a_size_is_named_even_where_guessing_from_it_gains_next_to_nothing():
    """Of 3,000 images 24 have one size and one class: 0.4 points of balanced accuracy."""
    rows = findings_of(3000)
    rows["width"] = np.where((rows["label"] == 1) & (rows.index < 48), 301, 300)
    report, _ = audited(rows)
    (cue,) = [cue for cue in report["shortcuts"]["cues"] if cue["name"] == "size"]
    assert cue["grade"] == "none"
    assert titles(report, "look") == ["Images of 301x300 have an unusual mix of classes"]


def test_names_that_tell_the_class_are_to_be_looked_at_not_mended():
    rows = findings_of()
    rows["path"] = [f"{CLASSES[label]}/{'ab'[label]}_{place}.jpg" for place, label in enumerate(rows["label"])]
    report, _ = audited(rows)
    assert titles(report, "look") == ["File name predicts the class"]
    assert titles(report, "fix") == []


def test_a_name_that_is_the_class_is_no_shortcut():
    rows = findings_of()
    numbers = np.random.default_rng(0).permutation(len(rows))
    rows["path"] = [f"x/{CLASSES[label]}-{number}.jpg" for label, number in zip(rows["label"], numbers, strict=True)]
    assert audited(rows)[0]["findings"] == []


def test_a_given_split_that_leaks_is_told_with_its_counts():
    rows = findings_of(split=["train", "train", "test", "test"] * 30)
    rows.loc[2, ["look", "mirrored", "label"]] = [*rows.loc[0, ["look", "mirrored"]], 0]
    report, _ = audited(rows)
    (leak,) = [found for found in report["findings"] if found["title"] == "The given split leaks"]
    assert "1 of 60 test images have a copy" in leak["text"]


def test_left_out_files_are_to_be_looked_at_where_they_are_many():
    rows = findings_of()
    few = audited(rows, quarantine=[("a.jpg", "empty file")])[0]
    many = audited(rows, quarantine=[(f"{place}.jpg", "empty file") for place in range(3)])[0]
    assert titles(few, "note") == ["Some files are left out"]
    assert titles(many, "look") == ["Some files are left out"]


def test_a_set_of_which_nothing_can_be_read_is_audited_all_the_same():
    rows = findings_of(reason="truncated", sha256="", look="", mirrored="", format="", width=0, height=0)
    report, copies = audited(
        rows, refusal="no image can be read", quarantine=zip(rows["path"], rows["reason"], strict=True)
    )
    assert report["verdict"] == "No model can be trained on this dataset yet."
    assert report["images"] == {"labelled": 120, "readable": 0, "used": 0}
    assert report["files"]["left_out"][0]["files"] == 120
    assert copies.empty


def test_the_report_and_its_metrics_are_plain_numbers():
    report, _ = audited(findings_of())
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    found = metrics(report)
    assert found["images"] == found["images_used"] == 120
    assert found["to_fix"] == 0
    assert 0.3 < found["guessed_by_colour"] < 0.7
    assert all(isinstance(value, float) for value in found.values())


def test_twenty_thousand_images_take_seconds():
    """No loop over pairs: some 1.5 s on one core, five times that allowed for a busy machine."""
    import time

    rows = findings_of(20_000)
    start = time.process_time()
    audited(rows)
    assert time.process_time() - start < 8
