import json

import numpy as np
import pandas as pd
import pytest

from facemask_ensemble import tracking
from facemask_ensemble.data.manifest import Manifest
from facemask_ensemble.ensemble.members import latest_members, load_predictions, members_of, model_file
from facemask_ensemble.errors import InputError

CLASSES = ("none", "all", "some")


@pytest.fixture
def manifest(tmp_path):
    """Nine pictures in three splits, the splits in turn, so that no split lies in one piece."""
    rows = pd.DataFrame(
        {
            "path": [f"{number}.png" for number in range(9)],
            "sha256": [f"sha{number}" for number in range(9)],
            "label": [number % 3 for number in range(9)],
            "group": [str(number) for number in range(9)],
            "split": ["train", "test", "validation"] * 3,
        }
    )
    return Manifest("toys", tmp_path, CLASSES, rows, pd.DataFrame(columns=["path", "reason"]))


def probs_of(number):
    """Probabilities that tell which picture they belong to."""
    return [number / 10, 0.5 - number / 20, 0.5 - number / 20]


@pytest.fixture
def log(store, manifest, tmp_path):
    """Log a finished member by hand, its table's rows in another order than the manifest's."""

    def log_one(name, *, study="toys", fingerprint=manifest.fingerprint, classes=CLASSES):
        tags = {
            "kind": "member",
            "backbone": name,
            "init": "random initialisation",
            "precision": "float32",
            "dataset": "toys",
            "fingerprint": fingerprint,
            "class_names": json.dumps(classes),
            "image_size": "32",
            "parameters": "1234",
        }
        run_id = tracking.start_run(store, study, name, tags, {})
        files = tmp_path / run_id
        files.mkdir()
        judged = manifest.rows[manifest.rows["split"] != "train"]
        table = judged.assign(
            **{f"p_{label}": [probs_of(number)[i] for number in judged.index] for i, label in enumerate(classes)}
        )
        table.sample(frac=1, random_state=1).to_parquet(files / "probabilities.parquet", index=False)
        pd.DataFrame({"epoch": [1, 2], "loss": [1.0, 0.5]}).to_csv(files / "history.csv", index=False)
        (files / "model.keras").write_bytes(name.encode())
        tracking.finish_run(store, run_id, files=files, metrics={"seconds": 12.5})
        return run_id

    return log_one


def test_the_members_of_a_data_set_are_found_by_its_fingerprint(store, log, manifest):
    log("xception", fingerprint="0123")
    ids = [log("densenet201"), log("xception")]
    assert [member.run_id for member in members_of(store, manifest, None, [])] == ids


def test_predictions_follow_the_manifests_order_whatever_that_of_the_table(store, log, manifest, tmp_path):
    run_id = log("xception")
    (predictions,) = load_predictions(store, members_of(store, manifest, None, []), manifest, tmp_path / "cache")
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
    }


def test_a_manifest_of_the_same_pictures_in_another_order_gets_their_probabilities(store, log, manifest, tmp_path):
    """The order of the files is no part of a fingerprint."""
    log("xception")
    turned = Manifest("toys", tmp_path, CLASSES, manifest.rows[::-1].reset_index(drop=True), manifest.rejected)
    (predictions,) = load_predictions(store, members_of(store, turned, None, []), turned, tmp_path / "cache")
    np.testing.assert_array_equal(predictions.test_probs, [probs_of(number) for number in (7, 4, 1)])


def test_exact_copies_of_a_picture_each_get_its_probabilities(store, manifest, tmp_path, log):
    copies = pd.concat([manifest.rows, manifest.rows[1:2].assign(path="copy.png")], ignore_index=True)
    doubled = Manifest("toys", tmp_path, CLASSES, copies, manifest.rejected)
    log("xception", fingerprint=doubled.fingerprint)
    (predictions,) = load_predictions(store, members_of(store, doubled, None, []), doubled, tmp_path / "cache")
    np.testing.assert_array_equal(predictions.test_probs, [probs_of(number) for number in (1, 4, 7, 1)])


def test_a_members_model_is_the_file_that_was_logged(store, log, manifest, tmp_path):
    log("xception")
    (member,) = latest_members(store, None, [])
    assert model_file(store, member, tmp_path / "cache").read_bytes() == b"xception"


def test_no_members_are_refused_with_the_command_that_trains_some(store, log, manifest):
    log("xception", fingerprint="0123")
    with pytest.raises(InputError, match="no finished members for data set toys .*train --multirun .*dataset=toys"):
        members_of(store, manifest, None, [])
    log("xception")
    with pytest.raises(InputError, match="no finished members for data set toys .* in study moods"):
        members_of(store, manifest, "moods", [])


def test_a_member_of_another_split_is_refused_since_it_may_have_seen_the_test(store, log, manifest):
    run_id = log("xception", fingerprint="0123456789abcdef")
    with pytest.raises(InputError, match=rf"members={run_id} \(xception\) learned from another .*0123456789ab\)"):
        members_of(store, manifest, None, [run_id])


def test_a_member_of_other_classes_is_refused_with_both_lists(store, log, manifest):
    run_id = log("xception", classes=("bare", "masked"))
    with pytest.raises(InputError, match=rf"members={run_id} \(xception\) answers bare, masked, the data set has none"):
        members_of(store, manifest, None, [run_id])


def test_the_same_classes_in_another_order_are_other_classes(store, log):
    ids = [log("densenet201"), log("xception", classes=("all", "none", "some"))]
    with pytest.raises(
        InputError, match=rf"members={ids[1]} \(xception\) answers all, none, some, densenet201 has none"
    ):
        latest_members(store, None, ids)


def test_the_latest_members_are_those_of_the_data_set_trained_on_last(store, log):
    log("densenet201", study="old", fingerprint="0123")
    log("xception", study="new")
    assert [member.name for member in latest_members(store, None, [])] == ["xception"]
    assert [member.name for member in latest_members(store, "old", [])] == ["densenet201"]


def test_a_study_without_members_is_refused_with_those_that_there_are(store, log):
    log("xception", study="masks")
    log("xception", study="moods")
    with pytest.raises(InputError, match="study=nowhere: it has no finished members .*studies there: masks, moods"):
        latest_members(store, "nowhere", [])
