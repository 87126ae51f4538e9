import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from composed import train_settings

from facemask_ensemble.settings import dump, read
from facemask_ensemble.settings.groups import Tracking
from facemask_ensemble.settings.train import TrainSettings
from facemask_ensemble.training.run_folder import folder_of

SETTINGS = replace(
    train_settings("backbone=xception", "dataset=folders", "backbone.weights=null", "study=masks"),
    output_dir=Path("/out"),
)


def changed(**fields):
    return folder_of(replace(SETTINGS, **fields), "abc")


def with_weights(weights):
    return {"backbone": replace(SETTINGS.backbone, weights=weights)}


def test_a_training_is_known_by_what_decides_what_is_learned(monkeypatch):
    folder = folder_of(SETTINGS, "abc")
    assert folder.parent.as_posix() == "/out/runs/masks"
    assert folder.name.startswith("xception-")
    assert folder_of(SETTINGS, "abd") != folder
    assert changed(seed=1) != folder
    assert changed(**with_weights("imagenet")) != folder
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    assert folder_of(SETTINGS, "abc") != folder


def test_weights_are_known_by_what_is_in_their_file(tmp_path):
    file = tmp_path / "own.weights.h5"
    file.write_bytes(b"one")
    first = changed(**with_weights(str(file)))
    assert changed(**with_weights(str(file))) == first
    file.write_bytes(b"two")
    assert changed(**with_weights(str(file))) != first


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("dataset", replace(SETTINGS.dataset, name="moved", root="/b")),
        ("tracking", Tracking(uri="http://host")),
        ("parent_run", "1"),
        ("tags", {"a": "b"}),
        ("again", True),
    ],
)
def test_where_images_and_results_lie_decides_nothing(key, value):
    assert changed(**{key: value}) == folder_of(SETTINGS, "abc")


def test_each_study_and_output_folder_has_trainings_of_its_own():
    assert changed(study="others").parent.as_posix() == "/out/runs/others"
    assert changed(output_dir=Path("/else")).as_posix().startswith("/else/runs/masks/xception-")


def test_settings_that_went_through_a_file_find_the_same_folder(tmp_path):
    kept = yaml.safe_load(yaml.safe_dump(dump(SETTINGS)))
    assert read(TrainSettings, kept) == SETTINGS
    assert folder_of(read(TrainSettings, json.loads(json.dumps(kept))), "abc") == folder_of(SETTINGS, "abc")
