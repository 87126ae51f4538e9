from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from facemask_ensemble.ensemble.prediction import answers, predict_all
from facemask_ensemble.ensemble.voting import majority, soft

CLASSES = ("none", "all", "some")


def test_answers_are_laid_out_as_worked_out_by_hand():
    """Picture a: two of three say all. Picture b: one vote each, and `some` has the highest mean, 0.4."""
    probs = np.array(
        [
            [[0.1, 0.8, 0.1], [0.5, 0.1, 0.4]],
            [[0.2, 0.6, 0.2], [0.2, 0.5, 0.3]],
            [[0.6, 0.1, 0.3], [0.3, 0.2, 0.5]],
        ]
    )
    table = answers(probs, ["deep_cnn", "xception", "resnet50v2"], [Path("a.jpg"), Path("x/b.png")], CLASSES, majority)
    expected = pd.DataFrame(
        {
            "path": ["a.jpg", "x/b.png"],
            "prediction": ["all", "some"],
            "confidence": [0.5, 0.4],
            "agreement": [0.6667, 0.3333],
            "vote_deep_cnn": ["all", "none"],
            "vote_xception": ["all", "all"],
            "vote_resnet50v2": ["none", "some"],
            "tie": [False, True],
        }
    )
    pd.testing.assert_frame_equal(table, expected, check_dtype=False)


def test_a_vote_that_follows_no_member_has_no_agreement():
    """The mean may favour a class that is nobody's first: 0.45 against 0.275."""
    probs = np.array([[[0.55, 0.0, 0.45]], [[0.0, 0.55, 0.45]]])
    table = answers(probs, ["one", "two"], [Path("a.jpg")], CLASSES, soft)
    (row,) = table.to_dict("records")
    assert (row["prediction"], row["confidence"], row["agreement"], row["tie"]) == ("some", 0.45, 0.0, True)


@pytest.fixture
def members(tmp_path):
    """Two saved classifiers of different sizes that answer by the mean of red and of green."""
    import keras

    from facemask_ensemble.models.classifier import build_classifier

    files = {}
    for name, size, channel in (("red", 8, 0), ("green", 12, 1)):
        scaled = partial(keras.layers.Rescaling, 1 / 255)
        model = build_classifier(name, lambda pixels, scaled=scaled: scaled()(pixels), size, 2, dropout=0.0)
        kernel = np.zeros((3, 2), "float32")
        kernel[channel, 1] = 2
        model.get_layer("probs").set_weights([kernel, np.array([1, 0], "float32")])
        files[name] = tmp_path / f"{name}.keras"
        model.save(files[name])
    return files


def test_every_member_answers_every_picture_at_its_own_size_in_order(members, tmp_path):
    """A channel's mean c in 0..1 gives the odds e^2c : e^1 for class 1."""
    colours = [(255, 0, 0), (0, 255, 0), (255, 255, 0)]
    files = []
    for number, colour in enumerate(colours):
        files.append(tmp_path / f"{number}.png")
        Image.new("RGB", (20 + number, 16), colour).save(files[-1])
    probs = predict_all(members, files, batch_size=2)
    assert (probs.shape, probs.dtype) == ((2, 3, 2), np.float32)
    channels = np.array([[1, 0, 1], [0, 1, 1]])
    expected = 1 / (1 + np.exp(1 - 2 * channels))
    np.testing.assert_allclose(probs[:, :, 1], expected, rtol=1e-5)
    np.testing.assert_allclose(probs.sum(axis=2), 1, rtol=1e-5)
