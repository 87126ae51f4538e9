"""Folders of scenes: complete or absent, and not drawn twice."""

import json
import os

import numpy as np
import pytest
from PIL import Image

from benchmarks import scenes
from facemask_ensemble.errors import InputError
from facemask_ensemble.scenes import draw_folder, draw_scene, folder


def test_a_folder_holds_the_scenes_and_their_truth(tmp_path):
    table = draw_folder(tmp_path / "set", 7, 48, 3, "hard")
    assert list(table["path"]) == [f"{index:05d}.png" for index in range(7)]
    assert list(table["label"]) == [0, 1, 2, 0, 1, 2, 0]
    assert table["label"].dtype == np.int64
    truth = json.loads((tmp_path / "set" / "truth.json").read_text())
    for index, name in enumerate(table["path"]):
        scene = draw_scene(3, index, 48, "hard")
        assert np.array_equal(np.asarray(Image.open(tmp_path / "set" / name)), scene.pixels)
        record = truth["images"][name]
        assert record["label"] == scene.label
        assert [(tuple(face["box"]), face["masked"]) for face in record["faces"]] == [
            (face.box, face.masked) for face in scene.faces
        ]
    assert os.listdir(tmp_path) == ["set"]


def test_a_folder_of_the_same_settings_is_used_again(tmp_path, monkeypatch):
    first = draw_folder(tmp_path / "set", 5, 32, 3, "easy", (1, 2))
    monkeypatch.setattr(folder, "draw_scene", lambda *_: pytest.fail("drawn again"))
    assert draw_folder(tmp_path / "set", 5, 32, 3, "easy", (1, 2)).equals(first)


def test_a_folder_of_other_settings_is_drawn_anew(tmp_path):
    draw_folder(tmp_path / "set", 9, 32, 3, "easy")
    assert len(draw_folder(tmp_path / "set", 4, 32, 3, "easy")) == 4
    assert sorted(os.listdir(tmp_path / "set")) == ["00000.png", "00001.png", "00002.png", "00003.png", "truth.json"]


def test_a_folder_that_lost_an_image_is_drawn_anew(tmp_path):
    draw_folder(tmp_path / "set", 4, 32, 3, "easy")
    (tmp_path / "set" / "00002.png").unlink()
    draw_folder(tmp_path / "set", 4, 32, 3, "easy")
    assert (tmp_path / "set" / "00002.png").is_file()


@pytest.mark.parametrize("text", ["{", "[]", '{"my": "own truth"}'])
def test_a_truth_that_was_not_written_here_is_never_replaced(tmp_path, text):
    (tmp_path / "truth.json").write_text(text)
    (tmp_path / "00000.png").touch()
    with pytest.raises(InputError, match="files that are not drawn scenes"):
        draw_folder(tmp_path, 4, 32, 3, "easy")
    assert (tmp_path / "truth.json").read_text() == text


def test_a_file_laid_among_the_scenes_is_not_lost_to_other_settings(tmp_path):
    draw_folder(tmp_path / "set", 4, 32, 3, "easy")
    (tmp_path / "set" / "notes.txt").touch()
    assert len(draw_folder(tmp_path / "set", 4, 32, 3, "easy")) == 4
    with pytest.raises(InputError, match="files that are not drawn scenes"):
        draw_folder(tmp_path / "set", 5, 32, 3, "easy")
    assert (tmp_path / "set" / "notes.txt").is_file()


def test_an_interrupted_drawing_leaves_nothing_behind(tmp_path, monkeypatch):
    def stop_at_two(seed, index, *rest):
        if index == 2:
            raise KeyboardInterrupt
        return draw_scene(seed, index, *rest)

    monkeypatch.setattr(folder, "draw_scene", stop_at_two)
    with pytest.raises(KeyboardInterrupt):
        draw_folder(tmp_path / "set", 4, 32, 3, "easy")
    assert os.listdir(tmp_path) == []


def test_a_folder_finished_by_another_process_meanwhile_is_kept(tmp_path, monkeypatch):
    move = folder._move

    def late(fresh, place, truth):
        monkeypatch.setattr(folder, "_move", move)
        draw_folder(place, 4, 32, 3, "easy")
        (place / "mark").touch()
        return move(fresh, place, truth)

    monkeypatch.setattr(folder, "_move", late)
    assert len(draw_folder(tmp_path / "set", 4, 32, 3, "easy")) == 4
    assert (tmp_path / "set" / "mark").exists()
    assert os.listdir(tmp_path) == ["set"]


def test_an_empty_folder_is_filled(tmp_path):
    (tmp_path / "set").mkdir()
    assert len(draw_folder(tmp_path / "set", 3, 32, 3, "easy")) == 3


def test_foreign_files_are_never_replaced(tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "holiday.jpg").touch()
    with pytest.raises(InputError, match="set has files that are not drawn scenes; give an empty or a new folder"):
        draw_folder(tmp_path / "set", 3, 32, 3, "easy")
    assert os.listdir(tmp_path / "set") == ["holiday.jpg"]


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written to .*file"):
        draw_folder(tmp_path / "file" / "set", 3, 32, 3, "easy")


def test_a_full_disk_is_named_and_leaves_nothing_behind(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(InputError, match="No space left on device"):
        draw_folder(tmp_path / "set", 3, 32, 3, "easy")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("count", "size", "difficulty", "people", "message"),
    [
        (2, 48, "easy", None, "count=2 leaves a class without an image"),
        (3, 20, "easy", None, "size=20 is too small"),
        (3, 48, "none", None, "difficulty=none: must be one of"),
        (3, 48, "easy", (2, 1), "is not a range"),
    ],
)
def test_bad_settings_are_refused_before_anything_is_written(tmp_path, count, size, difficulty, people, message):
    with pytest.raises(InputError, match=message):
        draw_folder(tmp_path / "set", count, size, 0, difficulty, people)
    assert os.listdir(tmp_path) == []


def test_the_benchmark_names_every_difficulty(capsys, monkeypatch):
    monkeypatch.setattr(scenes, "SECONDS", 0.05)
    scenes.main()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["easy", "medium", "hard"]
    assert all(float(line.split()[1]) > 0 for line in lines)


def test_a_long_drawing_shows_its_progress_and_draws_the_same(tmp_path, monkeypatch, capsys):
    quiet = draw_folder(tmp_path / "quiet", 4, 32, 3, "easy")
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(folder, "TIMEOUT_SECONDS", -1)
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert draw_folder(tmp_path / "shown", 4, 32, 3, "easy").equals(quiet)
    assert "drawing scenes" in capsys.readouterr().err
