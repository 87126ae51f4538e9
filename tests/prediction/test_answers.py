import numpy as np
import pandas as pd
from PIL import Image

from facemask_ensemble.ensemble.voting import majority, soft
from facemask_ensemble.prediction.answers import answers, predict_all

CLASSES = ("none", "all", "some")


def test_answers_are_laid_out_as_worked_out_by_hand():
    """Image a: two of three say all. Image b: one vote each, and `some` has the highest mean, 0.4."""
    probs = np.array(
        [
            [[0.1, 0.8, 0.1], [0.5, 0.1, 0.4]],
            [[0.2, 0.6, 0.2], [0.2, 0.5, 0.3]],
            [[0.6, 0.1, 0.3], [0.3, 0.2, 0.5]],
        ]
    )
    table = answers(probs, ["deep_cnn", "xception", "resnet50v2"], ["a.jpg", "x/b.png"], CLASSES, majority)
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
            "reason": ["", ""],
        }
    )
    pd.testing.assert_frame_equal(table, expected, check_dtype=False)


def test_a_vote_that_follows_no_member_has_no_agreement():
    """The mean may favour a class that is nobody's first: 0.45 against 0.275."""
    probs = np.array([[[0.55, 0.0, 0.45]], [[0.0, 0.55, 0.45]]])
    table = answers(probs, ["one", "two"], ["a.jpg"], CLASSES, soft)
    (row,) = table.to_dict("records")
    assert (row["prediction"], row["confidence"], row["agreement"], row["tie"]) == ("some", 0.45, 0.0, True)


def test_an_image_that_cannot_be_read_has_a_row_with_the_reason_alone():
    probs = np.array([[[np.nan, np.nan, np.nan], [0.2, 0.7, 0.1]]])
    table = answers(probs, ["one"], ["a.jpg", "b.jpg"], CLASSES, soft, ["empty file", ""])
    expected = pd.DataFrame(
        {
            "path": ["a.jpg", "b.jpg"],
            "prediction": ["", "all"],
            "confidence": [np.nan, 0.7],
            "agreement": [np.nan, 1.0],
            "vote_one": ["", "all"],
            "tie": [False, False],
            "reason": ["empty file", ""],
        }
    )
    pd.testing.assert_frame_equal(table, expected, check_dtype=False)


def test_every_member_answers_every_image_at_its_own_size_in_order(members, tmp_path):
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
