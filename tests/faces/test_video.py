"""Videos read and written, and the window that there may not be."""

import os
import subprocess
import sys
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from facemask_ensemble.errors import InputError
from facemask_ensemble.faces.recording import Recorder, open_recording
from facemask_ensemble.faces.video import Footage, Pace, why_no_window

RED, BLUE = (210, 20, 30), (20, 40, 220)


def write(file, images, rate=10.0):
    height, width = images[0].shape[:2]
    recorder = Recorder(file, rate, (width, height), None)
    for number, image in enumerate(images):
        recorder.write(image, number / rate)
    recorder.close()
    return file


@pytest.mark.parametrize("suffix", [".mp4", ".avi"])
def test_what_is_written_is_read_back_in_its_colours_at_its_rate(tmp_path, patches, suffix):
    images = [patches(96, 64, (8 * step, 16, 32, 32, RED)) for step in range(6)]
    footage = Footage(write(tmp_path / f"a{suffix}", images))
    assert (footage.size, footage.rate, footage.total, footage.live) == ((96, 64), 10.0, 6, False)
    frames = list(footage.frames())
    footage.close()
    assert [second for second, _ in frames] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0.5])
    for (_, frame), image in zip(frames, images, strict=True):
        assert np.abs(frame.astype(int) - image).mean() < 12
    red = frames[0][1][20:44, 4:28].mean(axis=(0, 1))
    assert red[0] > 180 > 80 > red[2]


def test_a_camera_slower_than_its_rate_keeps_its_time_by_repeated_frames(tmp_path, patches):
    """At 10 a second the frames of seconds 0, 0.32 and 0.35 fill places 0, 1 to 3, and none."""
    recorder = Recorder(tmp_path / "a.avi", 10.0, (96, 64), None)
    for second, colour in ((0, RED), (0.32, BLUE), (0.35, RED)):
        recorder.write(patches(96, 64, (0, 0, 96, 64, colour)), second)
    recorder.close()
    frames = [frame for _, frame in Footage(tmp_path / "a.avi").frames()]
    assert [bool(frame[..., 0].mean() > 128) for frame in frames] == [True, False, False, False]


@pytest.mark.parametrize("content", [b"", b"no video", b"\x00\x00\x00\x18ftypmp42" + bytes(500)])
def test_a_file_that_is_no_video_is_refused_without_another_word(tmp_path, content):
    (tmp_path / "a.mp4").write_bytes(content)
    script = (
        "from pathlib import Path\nfrom facemask_ensemble.errors import InputError\n"
        "from facemask_ensemble.faces.video import Footage\n"
        "try: Footage(Path('a.mp4'))\nexcept InputError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert done.stdout.startswith("source=a.mp4: ")
    assert "give" in done.stdout


def test_half_a_video_ends_where_it_can_be_read(tmp_path, patches):
    file = write(tmp_path / "a.avi", [patches(96, 64, (4 * step, 16, 32, 32, RED)) for step in range(20)])
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    try:
        read = len(list(Footage(file).frames()))
    except InputError as error:
        read = 0
        assert "give" in str(error)
    assert read < 20


def test_a_camera_that_is_not_there_is_refused():
    with pytest.raises(InputError, match="source=97: no such camera"):
        Footage(97)


def test_a_codec_that_opencv_lacks_is_refused_and_leaves_no_file(tmp_path, patches):
    footage = Footage(write(tmp_path / "in.avi", [patches(96, 64)]))
    with pytest.raises(InputError, match="cannot write it with the codec ZZZZ .*give output=FILE.avi codec=MJPG"):
        open_recording(str(tmp_path / "out.mp4"), footage, "ZZZZ")
    assert sorted(os.listdir(tmp_path)) == ["in.avi"]


def test_an_output_that_cannot_be_written_is_refused(tmp_path, patches):
    footage = Footage(write(tmp_path / "in.avi", [patches(96, 64)]))
    with pytest.raises(InputError, match="in.avi/out.mp4: cannot be written"):
        open_recording(str(tmp_path / "in.avi" / "out.mp4"), footage, None)


def test_a_recording_of_no_frame_leaves_no_file(tmp_path, patches):
    footage = Footage(write(tmp_path / "in.avi", [patches(96, 64)]))
    open_recording(str(tmp_path / "out.mp4"), footage, None).close()
    assert sorted(os.listdir(tmp_path)) == ["in.avi"]


def test_why_there_is_no_window_is_said(monkeypatch):
    assert "opencv-python-headless" in why_no_window(cv2)
    drawn = SimpleNamespace(getBuildInformation=lambda: "General\n  GUI:                           QT5\n")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert "there is no screen" in why_no_window(drawn)
    monkeypatch.setenv("DISPLAY", ":0")
    assert why_no_window(drawn) is None


def test_the_speed_shown_is_that_of_the_latest_frames(monkeypatch):
    times = iter([0.0, *np.arange(1, 11), *(10 + 0.1 * np.arange(1, 31))])
    monkeypatch.setattr("facemask_ensemble.faces.video.perf_counter", lambda: next(times))
    pace = Pace()
    notes = [pace.note() for _ in range(40)]
    assert (notes[0], notes[9], notes[-1]) == ("1.0 fps", "1.0 fps", "10.0 fps")
    assert pace.mean == pytest.approx(40 / 13)
