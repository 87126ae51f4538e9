"""Settings of faces, a video and its output that are refused before anything heavy is imported."""

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from facemask_ensemble.config import CONF_DIR
from facemask_ensemble.errors import InputError
from facemask_ensemble.faces.settings import check_detector, check_webcam, video_source


def config(command, *overrides):
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        return compose(command, list(overrides))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("heatmap=gradcam", "heatmap=gradcam: .* give heatmap=none, or detector=none"),
        ("engine=ray", "engine=ray: .* give engine=local, or detector=none"),
        ("detector.margin=-1", "detector.margin=-1: must be a share of a box"),
        ("detector.margin=[0.1,0.2,0.3]", r"detector.margin=\[0.1, 0.2, 0.3\]: must be .* or four: \[left,top,"),
        ("detector.margin=[0,0,0,-1]", "must be a share of a box"),
        ("detector.margin=wide", "detector.margin=wide: must be a share of a box"),
        ("detector.longest=10", "detector.longest=10: must be a whole number of pixels of at least 64"),
        ("detector.longest=99.5", "detector.longest=99.5: must be a whole number"),
        ("detector.masked=mask", "detector.masked=mask: must be a list"),
        ("detector.masked=[]", r"detector.masked=\[\]: must be a list"),
    ],
)
def test_settings_that_find_no_face_are_refused(given, words):
    with pytest.raises(InputError, match=words):
        check_detector(config("predict", "detector=haar", given))


def test_without_a_detector_nothing_is_asked_of_it():
    check_detector(config("predict", "heatmap=gradcam"))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name in ("film.mp4", "there.csv"):
        (tmp_path / name).write_text("")
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["source=gone.mp4", "output=a.mp4"], "source=gone.mp4: no such file; give a video file, or a camera"),
        (["source=-1", "output=a.mp4"], "source=-1: no such file"),
        (["source=.", "output=a.mp4"], "source=.: no such file"),
        (["output=a.gif"], "output=a.gif: must be a file whose name ends in .mp4 or .avi"),
        (["source=film.mp4", "output=./film.mp4", "again=true"], "output=./film.mp4: is the source itself"),
        (["output=there.mp4"], "there.csv is there already; give another output, or again=true"),
        (["output=a.mp4", "codec=h"], "codec=h: must be four letters"),
        (["output=a.mp4", "detector=none"], "detector=none: .* give detector=haar or detector=mtcnn"),
        (["output=a.mp4", "window=maybe"], "window=maybe"),
        (["output=a.mp4", "again=yes"], "again=yes"),
        (["window=false"], "window=false: nothing would be seen; give output=FILE.mp4"),
        (["output=a.mp4", "batch_size=0"], "batch_size=0: must be a whole number of at least 1"),
        (["output=a.mp4", "votes=few"], "votes=few: must be one of decided, all"),
        (["output=a.mp4", "detector.margin=11"], "detector.margin=11: must be a share of a box"),
    ],
)
def test_a_video_that_cannot_be_watched_or_written_is_refused(given, words, folder):
    with pytest.raises(InputError, match=words):
        check_webcam(config("webcam", *given))


@pytest.mark.parametrize("given", [[], ["source=film.mp4"], ["output=there.mp4", "again=true"], ["source=2"]])
def test_a_camera_or_a_video_to_a_window_or_a_file_is_taken(given, folder):
    check_webcam(config("webcam", *given))


def test_a_number_is_a_camera_and_anything_else_a_file():
    assert video_source(0) == 0
    assert video_source("12") == 12
    assert video_source("a/1.mp4") == Path("a/1.mp4")
