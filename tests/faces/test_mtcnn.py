"""MTCNN: its settings, where its weights come from, and real faces."""

import importlib.util

import joblib
import numpy as np
import pytest

from facemask_ensemble.errors import InputError
from facemask_ensemble.faces import mtcnn


@pytest.fixture(scope="module")
def detector():
    return mtcnn.Mtcnn(0.709, 0.8, 20, "CPU:0")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ((1.0, 0.8, 20, "CPU:0"), "detector.find.scale_factor=1.0: must be a share between 0 and 1"),
        ((0.7, "high", 20, "CPU:0"), "detector.find.threshold=high: must be a share between 0 and 1"),
        ((0.7, 0.8, 5, "CPU:0"), "detector.find.smallest_face=5: must be a whole number of at least 12"),
    ],
)
def test_settings_that_no_network_has_are_refused(settings, words):
    with pytest.raises(InputError, match=words):
        mtcnn.Mtcnn(*settings)


def test_without_the_package_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(mtcnn, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r'detector=mtcnn needs the extra: pip install "facemask-ensemble\[webcam\]"'):
        mtcnn.Mtcnn(0.709, 0.8, 20, "CPU:0")


@pytest.mark.heavy
def test_weights_that_lie_in_the_working_folder_are_not_loaded(tmp_path, monkeypatch):
    opened, load = [], joblib.load
    monkeypatch.setattr(joblib, "load", lambda file: opened.append(str(file)) or load(file))
    for name in ("pnet", "rnet", "onet"):
        (tmp_path / f"{name}.lz4").write_bytes(b"not to be opened")
    monkeypatch.chdir(tmp_path)
    mtcnn.Mtcnn(0.709, 0.8, 20, "CPU:0")
    own = importlib.util.find_spec("mtcnn").submodule_search_locations[0]
    assert [file.startswith(own) for file in opened] == [True] * 3


@pytest.mark.heavy
@pytest.mark.parametrize("shape", [(120, 160, 3), (1, 1, 3), (12, 12, 3), (400, 20, 3)])
def test_an_image_without_a_face_has_none(detector, shape):
    assert detector(np.full(shape, 128, np.uint8)) == []


@pytest.mark.heavy
def test_most_large_real_faces_are_found_masked_ones_too(detector, real_data, share_found):
    assert share_found(detector, real_data, "without_mask", 10) >= 0.8
    assert share_found(detector, real_data, "with_mask", 10) >= 0.8
