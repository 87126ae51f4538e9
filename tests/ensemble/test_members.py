import json
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from facemask_ensemble import tracking
from facemask_ensemble.data.manifest import Manifest
from facemask_ensemble.ensemble.members import latest_members, members_of, model_file
from facemask_ensemble.errors import InputError
from facemask_ensemble.prediction.cached_predictions import load_predictions

CLASSES = ("none", "all", "some")


@pytest.fixture
def manifest(tmp_path):
    """Nine images in three splits, the splits in turn, so that no split lies in one piece."""
    rows = pd.DataFrame(
        {
            "path": [f"{number}.png" for number in range(9)],
            "sha256": [f"sha{number}" for number in range(9)],
            "label": [number % 3 for number in range(9)],
            "group": [str(number) for number in range(9)],
            "split": ["train", "test", "validation"] * 3,
            "look": "",
            "mirrored": "",
        }
    )
    return Manifest("toys", tmp_path, CLASSES, rows, pd.DataFrame(columns=["path", "reason"]))


def probs_of(number):
    """Probabilities that tell which image they belong to."""
    return [number / 10, 0.5 - number / 20, 0.5 - number / 20]


@pytest.fixture
def log(store, manifest, tmp_path):
    """Log a finished member by hand, its table's rows in another order than the manifest's."""

    def log_one(name, *, study="toys", fingerprint=None, classes=CLASSES, learned=manifest):
        tags = {
            "kind": "member",
            "backbone": name,
            "init": "random initialisation",
            "precision": "float32",
            "dataset": "toys",
            "fingerprint": fingerprint or learned.fingerprint,
            "class_names": json.dumps(classes),
            "image_size": "32",
            "parameters": "1234",
        }
        run_id = tracking.start_run(store, study, name, tags, {})
        files = tmp_path / run_id
        files.mkdir()
        judged = learned.rows[learned.rows["split"] != "train"]
        numbers = judged["sha256"].str.extract(r"(\d+)")[0].astype(int)
        table = judged.assign(**{f"p_{label}": [probs_of(n)[i] for n in numbers] for i, label in enumerate(classes)})
        table.sample(frac=1, random_state=1).to_parquet(files / "probabilities.parquet", index=False)
        pd.DataFrame({"epoch": [1, 2], "loss": [1.0, 0.5]}).to_csv(files / "history.csv", index=False)
        (files / "model.keras").write_bytes(name.encode())
        learned.save(files / "manifest")
        tracking.finish_run(store, run_id, files=files, metrics={"seconds": 12.5})
        return run_id

    return log_one


def test_the_members_of_a_dataset_are_found_by_its_fingerprint(store, log, manifest, tmp_path):
    log("xception", fingerprint="0123")
    ids = [log("densenet201"), log("xception")]
    assert [member.run_id for member in members_of(store, manifest, None, [], tmp_path / "cache")[0]] == ids


def test_predictions_follow_the_manifests_order_whatever_that_of_the_table(store, log, manifest, tmp_path):
    run_id = log("xception")
    (predictions,) = load_predictions(
        store, members_of(store, manifest, None, [], tmp_path / "cache")[0], manifest, tmp_path / "cache"
    )
    np.testing.assert_array_equal(predictions.test_probs, [probs_of(number) for number in (1, 4, 7)])
    np.testing.assert_array_equal(predictions.validation_probs, [probs_of(number) for number in (2, 5, 8)])
    assert (predictions.name, predictions.run_id) == ("xception", run_id)
    assert predictions.about == {
        "init": "random initialisation",
        "precision": "float32",
        "image_size": 32,
        "parameters": 1234,
        "epochs": 2,
        "seconds": 12.5,
        "history": {"epoch": [1, 2], "loss": [1.0, 0.5]},
        "trained_on": None,
    }


def test_a_manifest_of_the_same_images_in_another_order_gets_their_probabilities(store, log, manifest, tmp_path):
    """The order of the files is no part of a fingerprint."""
    log("xception")
    turned = Manifest("toys", tmp_path, CLASSES, manifest.rows[::-1].reset_index(drop=True), manifest.quarantine)
    (predictions,) = load_predictions(
        store, members_of(store, turned, None, [], tmp_path / "cache")[0], turned, tmp_path / "cache"
    )
    np.testing.assert_array_equal(predictions.test_probs, [probs_of(number) for number in (7, 4, 1)])


def test_exact_copies_of_an_image_each_get_its_probabilities(store, manifest, tmp_path, log):
    copies = pd.concat([manifest.rows, manifest.rows[1:2].assign(path="copy.png")], ignore_index=True)
    doubled = Manifest("toys", tmp_path, CLASSES, copies, manifest.quarantine)
    log("xception", learned=doubled)
    (predictions,) = load_predictions(
        store, members_of(store, doubled, None, [], tmp_path / "cache")[0], doubled, tmp_path / "cache"
    )
    np.testing.assert_array_equal(predictions.test_probs, [probs_of(number) for number in (1, 4, 7, 1)])


def test_a_members_model_is_the_file_that_was_logged(store, log, manifest, tmp_path):
    log("xception")
    (member,) = latest_members(store, None, [])
    assert model_file(store, member, tmp_path / "cache").read_bytes() == b"xception"


def test_no_members_are_refused_with_the_command_that_trains_some(store, log, manifest, tmp_path):
    log("xception", fingerprint="0123")
    with pytest.raises(InputError, match="no finished members for dataset toys .*train --multirun .*dataset=toys"):
        members_of(store, manifest, None, [], tmp_path / "cache")
    log("xception")
    with pytest.raises(InputError, match="no finished members for dataset toys .* in study moods"):
        members_of(store, manifest, "moods", [], tmp_path / "cache")


def with_rows(manifest, near_duplicates=None, **columns):
    return replace(manifest, rows=manifest.rows.assign(**columns), near_duplicates=near_duplicates)


def test_a_member_of_another_split_that_has_seen_a_test_image_is_refused(store, log, manifest, tmp_path):
    turned = with_rows(manifest, split=["test", "train", "validation"] * 3)
    run_id = log("xception", learned=turned)
    refusal = rf"members={run_id} \(xception\) was trained on 1.png \(train split\), which is the same image as 1.png"
    with pytest.raises(InputError, match=refusal + ", one of 3 such images in the test split of toys"):
        members_of(store, manifest, None, [run_id], tmp_path / "cache")


def test_a_member_that_was_tuned_on_a_test_image_is_refused_whatever_its_file_is_called(store, log, manifest, tmp_path):
    turned = with_rows(manifest, split=["train", "validation", "test"] * 3, path=[f"old/{n}.jpg" for n in range(9)])
    run_id = log("xception", learned=turned)
    with pytest.raises(InputError, match=r"old/1.jpg \(validation split\), which is the same image as 1.png"):
        members_of(store, manifest, None, [run_id], tmp_path / "cache")


@pytest.mark.parametrize("way", ["look", "mirrored"])
def test_a_member_that_has_seen_a_near_copy_is_refused(store, log, manifest, tmp_path, way):
    learned = with_rows(
        manifest, near_duplicates=8, sha256=[f"other{n}" for n in range(9)], look=["00000000000000ff", *[""] * 8]
    )
    looks = {"look": "f" * 16, "mirrored": "0f" * 8, way: "000000000000ff00"}
    far = with_rows(manifest, 8, **{key: ["", value, *[""] * 7] for key, value in looks.items()})
    run_id = log("xception", learned=learned)
    assert members_of(store, far, None, [run_id], tmp_path / "cache")[0][0].name == "xception"  # 16 bits apart
    looks[way] = "0000000000f000ff"
    near = with_rows(manifest, 8, **{key: ["", value, *[""] * 7] for key, value in looks.items()})
    with pytest.raises(InputError, match=r"0.png \(train split\), which is nearly the same image as 1.png, one of 1"):
        members_of(store, near, None, [run_id], tmp_path / "cache")


def test_a_member_whose_training_has_seen_a_validation_image_is_refused(store, log, manifest, tmp_path):
    """The validation split chooses the best member; having been tuned on it is no reason."""
    fresh = [f"new{n}" for n in range(9)]
    for place, refused in ((0, True), (5, False)):
        learned = with_rows(manifest, sha256=[*fresh[:place], "sha2", *fresh[place + 1 :]])
        run_id = log("xception", learned=learned)
        expected = pytest.raises(InputError, match="in the validation split of toys") if refused else nullcontext()
        with expected:
            members_of(store, manifest, None, [run_id], tmp_path / "cache")


def test_a_member_that_has_seen_none_of_the_images_is_asked_about_them(store, log, manifest, tmp_path, monkeypatch):
    asked = []

    def predict_all(models, files, batch_size):
        asked.append((list(models), [file.name for file in files]))
        return np.array([[probs_of(int(file.stem)) for file in files]])

    monkeypatch.setattr("facemask_ensemble.prediction.cached_predictions.predict_all", predict_all)
    run_id = log("xception", learned=with_rows(manifest, sha256=[f"other{n}" for n in range(9)]))
    for _ in range(2):
        found, _ = members_of(store, manifest, None, [run_id], tmp_path / "cache")
        (predictions,) = load_predictions(store, found, manifest, tmp_path / "cache")
        np.testing.assert_allclose(predictions.test_probs, [probs_of(number) for number in (1, 4, 7)])
    assert asked == [(["xception"], [f"{number}.png" for number in (1, 2, 4, 5, 7, 8)])]
    assert predictions.about["trained_on"] == "other images of toys"


def test_members_of_different_splits_are_judged_on_what_none_has_seen(store, log, manifest, tmp_path):
    """One has learned test image 1 and validation image 2, the other test image 4: 7, 5 and 8 are left."""
    learned = [
        with_rows(manifest, split=["test", "train", "train", "train", "test", "test", "train", "test", "test"]),
        with_rows(manifest, split=["train", "test", "test", "train", "train", "test", "train", "test", "test"]),
    ]
    ids = [log(name, learned=one) for name, one in zip(("densenet201", "xception"), learned, strict=True)]
    with pytest.raises(InputError, match="seen=leave_out"):
        members_of(store, manifest, None, ids, tmp_path / "cache")
    members, left = members_of(store, manifest, None, ids, tmp_path / "cache", seen="leave_out")
    assert left.split("test")["path"].tolist() == ["7.png"]
    assert left.split("validation")["path"].tolist() == ["5.png", "8.png"]
    predictions = load_predictions(store, members, left, tmp_path / "cache")
    np.testing.assert_array_equal(predictions[0].test_probs, [probs_of(7)])
    assert predictions[0].about["trained_on"] == "other images of toys"


def test_members_that_have_seen_every_test_image_together_cannot_be_judged(store, log, manifest, tmp_path):
    learned = with_rows(manifest, split=["test", "train", "test"] * 3)
    with pytest.raises(InputError, match="no test image of toys is left: each of the 3 was used to train a member"):
        members_of(store, manifest, None, [log("xception", learned=learned)], tmp_path / "cache", seen="leave_out")


@pytest.mark.heavy
def test_a_member_of_other_classes_is_refused_with_both_lists(store, log, manifest, tmp_path):
    run_id = log("xception", classes=("bare", "masked"))
    with pytest.raises(InputError, match=rf"members={run_id} \(xception\) answers bare, masked, the dataset has none"):
        members_of(store, manifest, None, [run_id], tmp_path / "cache")


def test_the_same_classes_in_another_order_are_other_classes(store, log):
    ids = [log("densenet201"), log("xception", classes=("all", "none", "some"))]
    with pytest.raises(
        InputError, match=rf"members={ids[1]} \(xception\) answers all, none, some, densenet201 has none"
    ):
        latest_members(store, None, ids)


def test_the_latest_members_are_those_of_the_dataset_trained_on_last(store, log):
    log("densenet201", study="old", fingerprint="0123")
    log("xception", study="new")
    assert [member.name for member in latest_members(store, None, [])] == ["xception"]
    assert [member.name for member in latest_members(store, "old", [])] == ["densenet201"]


def test_a_study_without_members_is_refused_with_those_that_there_are(store, log):
    log("xception", study="masks")
    log("xception", study="moods")
    with pytest.raises(InputError, match="study=nowhere: it has no finished members .*studies there: masks, moods"):
        latest_members(store, "nowhere", [])
