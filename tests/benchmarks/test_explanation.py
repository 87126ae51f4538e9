"""The bench of heatmaps: what it measures beside what, and how it judges that."""

import keras
import pytest

from benchmarks import explanation_parts
from benchmarks.explanation_parts import METHODS, Settings


@pytest.fixture
def scripted(monkeypatch):
    """Let the ways find what they are told to, in order."""

    def script(*found):
        left, told = list(found), []

        def way(name, asked, place, backbone, **other):
            told.append((name, backbone, other))
            return left.pop(0)

        monkeypatch.setattr(explanation_parts, "_way", way)
        return told

    return script


def test_the_best_rounds_are_compared_and_gradcam_alone_is_judged(scripted, tmp_path):
    speeds = {"ours": [28.0, 30.0], "theirs": [10.0, 8.0]}
    told = scripted(
        {"gradcam": speeds, "layercam": speeds}, {"gradcam": {**speeds, "theirs": [11.0]}, "layercam": speeds}
    )
    asked = Settings(methods=["gradcam", "layercam"], backbones=["xception", "inceptionv3"])
    rows = list(explanation_parts.speed(asked, tmp_path))
    assert [way[:2] for way in told] == [("speed", "xception"), ("speed", "inceptionv3")]
    assert rows[0].what == "xception, 96 px: gradcam and tf-keras-vis one at a time"
    assert rows[0].figure == "30.0 and 10.00 images/s, 3.00 times"
    assert [row.met for row in rows] == [True, None, False, None]


def test_the_inceptions_are_given_images_of_which_they_have_a_map():
    sides = [explanation_parts._side(Settings(image_size=side), "inceptionresnetv2") for side in (96, 224)]
    assert sides == [139, 224]


def test_memory_of_many_images_is_judged_by_that_of_a_batch(scripted, tmp_path):
    told = scripted(1000.0, 1200.0, 1000.0, 1201.0)
    rows = list(explanation_parts.memory(Settings(methods=["gradcam", "scorecam"], many=500), tmp_path))
    assert [(way[2]["methods"], way[2]["images"]) for way in told[:2]] == [(["gradcam"], 16), (["gradcam"], 500)]
    assert rows[0].figure == "1000 and 1200 MB"
    assert [(row.figure, row.met) for row in rows if row.bound] == [("1.20", True), ("1.20", False)]


def test_a_system_that_tells_no_memory_is_said_to(scripted, tmp_path):
    scripted(None, None)
    [row] = explanation_parts.memory(Settings(), tmp_path)
    assert row.figure == "this system does not report it"


@pytest.mark.heavy
def test_every_method_is_timed_both_ways_and_its_memory_read():
    from benchmarks.explanation_methods import WAYS

    asked = {
        "backbone": "deep_cnn", "image_size": 32, "precision": "float32", "methods": list(METHODS),
        "images": 3, "alone": 2, "scorecam": 1, "batch_size": 2, "rounds": 2,
    }  # fmt: skip
    before = keras.config.dtype_policy()
    try:
        found = WAYS["speed"](asked)
        peak = WAYS["memory"]({**asked, "methods": ["scorecam"]})
    finally:
        keras.config.set_dtype_policy(before)
    assert list(found) == list(METHODS)
    assert all(len(one[way]) == 2 and min(one[way]) > 0 for one in found.values() for way in ("ours", "theirs"))
    assert peak is None or peak > 100
