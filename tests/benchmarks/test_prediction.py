"""The bench of prediction: what it measures beside what, and how it judges that."""

import json

import pytest

from benchmarks import prediction_members, prediction_parts
from benchmarks.prediction_members import Members, photographs, random_members, speckle
from benchmarks.prediction_parts import Settings
from benchmarks.process_watch import Watched


@pytest.fixture
def scripted(monkeypatch, tmp_path):
    """Let the ways find what they are told to, in order, and the members be none."""

    def script(*found):
        left, told = list(found), []
        monkeypatch.setattr(prediction_parts, "members_of", lambda asked, place: Members(tmp_path, "toys", "toys"))
        monkeypatch.setattr(prediction_parts, "photographs", lambda *given: (["a", "b"], "images"))

        def way(name, members, files, *overrides, **more):
            told.append((name, *overrides))
            return left.pop(0)

        monkeypatch.setattr(prediction_parts, "_way", way)
        return told

    return script


def answered(seconds, predictions="ab", asked=14):
    return {"seconds": seconds, "predictions": list(predictions), "asked": asked}


def test_every_way_is_judged_beside_one_image_at_a_time(scripted, monkeypatch, tmp_path):
    monkeypatch.setattr(prediction_parts, "_torch", lambda *given: 0.2)
    told = scripted(
        {"seconds": 1.0}, {"seconds": 0.5}, answered(0.4), answered(0.25, asked=7),
        answered(0.05), answered(0.04, "ac", asked=7),
    )  # fmt: skip
    rows = list(prediction_parts.speed(Settings(precisions=["int8"]), tmp_path))
    assert [way[0] for way in told] == ["alone", "batched", *["ours"] * 4]
    assert told[-1][1:] == ("runtime=openvino", "runtime.precision=int8", "runtime.differ=null", "votes=decided")
    judged = [(row.figure, row.met) for row in rows if row.bound]
    assert judged == [("4.00", False), ("25.00", True), ("5.00", True), ("50.00%", False)]
    assert rows[3].figure == "250.0 ms an image, 50.0% of the evaluations saved"


def test_a_python_without_torch_is_said_to_be_none(tmp_path):
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho \"ModuleNotFoundError: No module named 'timm'\" >&2\nexit 1\n")
    broken.chmod(0o755)
    row = prediction_parts._torch(Settings(torch_python=str(broken)), Members(tmp_path, "toys", "toys"))
    assert row.figure == "not available (ModuleNotFoundError: No module named 'timm')"


def test_a_cold_start_is_the_best_after_the_first(scripted, monkeypatch, tmp_path):
    scripted()
    seen = iter([90.0, 7.0, 5.5])
    monkeypatch.setattr(prediction_parts, "watch", lambda *given, **more: Watched(0.0, next(seen), []))
    [row] = prediction_parts.cold(Settings(), tmp_path)
    assert (row.figure, row.bound, row.met) == ("5.5 s", "under 6 s", True)


def test_memory_is_to_stay_flat_and_time_to_grow_with_the_images(scripted, monkeypatch, tmp_path):
    monkeypatch.setattr(prediction_parts, "random_members", lambda *given: Members(tmp_path, "toys", "toys"))
    monkeypatch.setattr(prediction_parts, "speckle", lambda *given: tmp_path)
    seen = iter([(10.0, 500.0), (15.0, 505.0), (30.0, 600.0)])

    def watched(*given, **more):
        seconds, peak = next(seen)
        return Watched(0.0, seconds, [], {"waiting": peak})

    monkeypatch.setattr(prediction_parts, "watch", watched)
    *_, memory, time = prediction_parts.many(Settings(many=4000), tmp_path)
    assert (memory.figure, memory.met) == ("1.20", False)
    assert (time.figure, time.met) == ("1.50", False)


def test_images_are_spread_over_a_folder_or_drawn(tmp_path, monkeypatch):
    folder = speckle(tmp_path / "many", 10)
    files, what = photographs(str(folder), 3, tmp_path)
    assert [file[-11:] for file in files] == ["0000000.jpg", "0000003.jpg", "0000006.jpg"]
    assert what == "photographs"
    monkeypatch.delenv("FACEMASK_REAL_DATA", raising=False)
    drawn, what = photographs(None, 2, tmp_path)
    assert (len(drawn), what) == (2, "drawn scenes")


@pytest.mark.heavy
def test_random_members_are_asked_in_every_way(tmp_path, monkeypatch):
    monkeypatch.setattr(prediction_members, "aside", lambda work, *given: work(*given))
    monkeypatch.setattr(prediction_members, "LEARNED", 4)
    members = random_members(tmp_path / "random", {"basic_cnn": 32, "deep_cnn": 32})
    from benchmarks.prediction_methods import WAYS

    files = [str(file) for file in sorted((tmp_path / "random" / "learned").glob("*.jpg"))]
    asked = json.loads(json.dumps({"overrides": members.overrides, "files": files, "batch_size": 2}))
    found = {name: way(asked) for name, way in WAYS.items()}
    assert all(one["seconds"] > 0 for one in found.values())
    assert len(found["ours"]["predictions"]) == 4
    assert found["ours"]["asked"] == 8
    assert {*found["ours"]["predictions"]} <= {"none", "all", "some"}
