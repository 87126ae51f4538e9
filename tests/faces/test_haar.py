"""OpenCV's cascade: its settings, and real faces."""

import sys
from types import ModuleType

import numpy as np
import pytest

from facemask_ensemble.errors import InputError
from facemask_ensemble.faces.haar import Haar

CASCADE = "haarcascade_frontalface_default.xml"


def test_an_image_without_a_face_has_none():
    haar = Haar(CASCADE, 1.1, 5, 24)
    assert haar(np.full((120, 160, 3), 128, np.uint8)) == []
    assert haar(np.full((1, 1, 3), 128, np.uint8)) == []


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ((CASCADE, 1.0, 5, 24), "detector.find.scale_factor=1.0: must be between 1.01 and 2"),
        ((CASCADE, "x", 5, 24), "detector.find.scale_factor=x: must be"),
        ((CASCADE, 1.1, -1, 24), "detector.find.min_neighbors=-1: must be a whole number of at least 0"),
        ((CASCADE, 1.1, 5, 0), "detector.find.smallest_face=0: must be a whole number of at least 1"),
        (("faces.xml", 1.1, 5, 24), "detector.find.cascade=faces.xml: there is no such cascade"),
    ],
)
def test_settings_that_no_cascade_has_are_refused(settings, words):
    with pytest.raises(InputError, match=words):
        Haar(*settings)


def test_a_file_that_is_no_cascade_is_refused(tmp_path):
    for content in ("", "no cascade", "<?xml version='1.0'?><opencv_storage></opencv_storage>"):
        (tmp_path / "own.xml").write_text(content)
        with pytest.raises(InputError, match="own.xml: there is no such cascade"):
            Haar(str(tmp_path / "own.xml"), 1.1, 5, 24)


def test_without_opencv_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(InputError, match=r'detector=haar needs the extra: pip install "facemask-ensemble\[webcam\]"'):
        Haar(CASCADE, 1.1, 5, 24)


def test_opencv_5_is_refused_with_what_to_install(monkeypatch):
    five = ModuleType("cv2")
    five.__version__ = "5.0.0"
    five.utils = ModuleType("cv2.utils")
    five.utils.logging = ModuleType("cv2.utils.logging")
    five.utils.logging.setLogLevel, five.utils.logging.LOG_LEVEL_SILENT = lambda level: level, 0
    monkeypatch.setitem(sys.modules, "cv2", five)
    with pytest.raises(InputError, match=r'OpenCV 5.0.0 no longer has cascades; pip install "opencv-python-headless<5'):
        Haar(CASCADE, 1.1, 5, 24)


@pytest.mark.heavy
def test_most_large_bare_real_faces_are_found(real_data, share_found):
    assert share_found(Haar(CASCADE, 1.1, 5, 24), real_data, "without_mask", 20) >= 0.6
