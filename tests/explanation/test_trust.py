import json
from functools import partial

import keras
import numpy as np
import pytest
from tf_keras_vis.gradcam import Gradcam

from facemask_ensemble.errors import InputError
from facemask_ensemble.explanation.heatmaps import heatmaps
from facemask_ensemble.explanation.randomisation import draw_edges
from facemask_ensemble.explanation.trust import measure_trust, trust_table
from facemask_ensemble.explanation.trust_verdict import judge

RED, BLUE = 0, 1


def estimate(mean, reach=0.01):
    return {"mean": mean, "low": mean - reach, "high": mean + reach}


def faithful(deletion=-0.1, insertion=0.1, *, random=None, score=0.3, images=40):
    """Give what `summarise` says of a method: differences to the centre map, and to the random one if they differ."""
    centre = {"deletion": estimate(deletion), "insertion": estimate(insertion), "images": images}
    return {
        "images": images,
        "deletion": estimate(0.3),
        "insertion": estimate(0.3 + score),
        "insertion_less_deletion": estimate(score),
        "against": {"random": random or centre, "centre": centre},
    }


def judged(silent=None, **methods):
    """Judge methods given as (faithfulness, similarity after randomisation, similarity after a shift)."""
    faithfulness = {
        "methods": {name: one[0] for name, one in methods.items()},
        "controls": {"random": {}, "centre": {}},
    }
    randomised = {
        name: {"similarity": one[1], "bound": 0.5, "passes": None if one[1] is None else one[1] <= 0.5}
        for name, one in methods.items()
    }
    stable = {name: {"rank_correlation": one[2], "shift": [4, 4]} for name, one in methods.items()}
    return judge(faithfulness, randomised, stable, silent)


def test_of_the_methods_that_qualify_the_one_with_the_largest_insertion_less_deletion_is_trusted():
    found = judged(
        gradcam=(faithful(score=0.3), 0.1, 0.9),
        layercam=(faithful(score=0.4), 0.1, 0.9),
        edges=(faithful(score=0.9), 1.0, 1.0),
    )
    assert found["trusted"] == "layercam"
    verdicts = {name: row["verdict"] for name, row in found["methods"].items()}
    assert verdicts == {"gradcam": "qualifies", "layercam": "trusted", "edges": "excluded"}
    assert found["methods"]["layercam"]["reasons"] == []
    assert found["methods"]["gradcam"]["reasons"] == [
        "layercam has the larger insertion minus deletion: 0.400 against 0.300"
    ]
    assert found["methods"]["edges"]["reasons"] == [
        "its maps do not depend on what the member learned: they stay similar when all weights are re-initialised "
        "(mean rank correlation 1.00, allowed: at most 0.50)"
    ]
    row = found["methods"]["layercam"]
    assert (row["similarity_randomised"], row["similarity_shifted"], row["images"]) == (0.1, 0.9, 40)
    assert (row["deletion"], row["insertion"]) == (0.3, pytest.approx(0.7))
    assert row["beats_controls"] == ["deletion", "insertion"]


def test_one_curve_on_which_both_controls_are_beaten_is_enough():
    assert judged(cam=(faithful(deletion=0.05), 0.1, 0.9))["trusted"] == "cam"
    assert judged(cam=(faithful(insertion=-0.05), 0.1, 0.9))["trusted"] == "cam"


def test_a_method_that_beats_one_control_by_deletion_and_the_other_by_insertion_does_not_qualify():
    random = {"deletion": estimate(0.2), "insertion": estimate(0.1), "images": 40}
    found = judged(cam=(faithful(deletion=-0.1, insertion=0.005, random=random), 0.1, 0.9))
    assert found["trusted"] == "none"
    assert found["methods"]["cam"]["beats_controls"] == []
    assert found["methods"]["cam"]["reasons"] == [
        "deletion: the answer does not fall significantly faster than with the random maps "
        "(+0.200, interval +0.190 to +0.210), insertion: the answer does not rise significantly faster than "
        "with the "
        "centre maps (+0.005, interval -0.005 to +0.015)"
    ]


def test_a_difference_that_is_rounding_beats_no_control():
    rounding = {"mean": 2e-8, "low": 1e-8, "high": 3e-8}
    less = {key: -value for key, value in rounding.items()}
    random = {"deletion": less, "insertion": rounding, "images": 40}
    found = judged(cam=(faithful(random=random), 0.1, 0.9))
    assert (found["trusted"], found["methods"]["cam"]["beats_controls"]) == ("none", [])


def test_every_reason_is_told():
    found = judged(cam=(faithful(deletion=0.0, insertion=0.0), 0.8, 0.2))
    reasons = found["methods"]["cam"]["reasons"]
    assert len(reasons) == 3
    assert (
        "they stay similar when all weights are re-initialised (mean rank correlation 0.80, allowed: at most 0.50"
        in reasons[0]
    )
    assert "the random maps (+0.000" in reasons[1] and " and the centre maps (" in reasons[1]
    assert reasons[2] == (
        "its maps do not follow the image when it is shifted by 4 pixels (mean rank correlation 0.20, needed: at "
        "least 0.50)"
    )


def test_what_is_not_known_is_no_reason_to_trust():
    nowhere = faithful(images=0) | dict.fromkeys(
        ("deletion", "insertion", "insertion_less_deletion"), {"mean": None, "low": None, "high": None}
    )
    nowhere["against"] = {
        name: {"deletion": {"low": None}, "insertion": {"low": None}} for name in ("random", "centre")
    }
    few = faithful(images=9)
    found = judged(
        {"nowhere": {"its last feature map is 1x1": 9}},
        nowhere=(nowhere, None, None),
        few=(few, 0.1, 0.9),
        restless=(faithful(), 0.1, None),
    )
    assert found["trusted"] == "none"
    reasons = {name: row["reasons"] for name, row in found["methods"].items()}
    assert reasons == {
        "nowhere": ["no image has a map (its last feature map is 1x1)"],
        "few": ["9 images with a map are too few to compare it with the controls: 10 needed"],
        "restless": ["its stability is unknown: the answer changed for every shifted image"],
    }


def test_the_rule_is_told_in_words_with_its_bounds():
    rule = judged(cam=(faithful(), 0.1, 0.9))["rule"]
    assert "re-initialised (mean rank correlation at most 0.50)" in rule
    assert "better than the random and the centre maps" in rule
    assert "(mean rank correlation at least 0.50)" in rule


def test_the_table_has_a_row_for_every_member_and_method():
    one = {"trust": judged(gradcam=(faithful(), 0.1, 0.9), edges=(faithful(), 1.0, 0.9))}
    rows = trust_table({"xception": one, "vgg16": one})
    assert [(row["member"], row["method"], row["verdict"]) for row in rows] == [
        ("xception", "gradcam", "trusted"),
        ("xception", "edges", "excluded"),
        ("vgg16", "gradcam", "trusted"),
        ("vgg16", "edges", "excluded"),
    ]


def colour_network(cell=4):
    """Score red and blue by cells of some pixels that are mostly of that colour, the other one counting against it."""
    pixels = keras.Input((32, 32, 3), name="pixels")
    scaled = keras.layers.Rescaling(1 / 255)(pixels)
    colours = keras.layers.Conv2D(2, cell, cell, activation="relu", name="colours")
    pooled = keras.layers.GlobalAveragePooling2D(name="pool")(keras.layers.Identity(name="features")(colours(scaled)))
    probs = keras.layers.Dense(2, activation="softmax", name="probabilities")
    model = keras.Model(pixels, probs(pooled), name="colour_network")
    kernel = np.zeros((cell, cell, 3, 2), np.float32)
    kernel[:, :, 0, RED] = kernel[:, :, 2, BLUE] = 1 / cell**2
    kernel[:, :, 1] = -1 / cell**2
    colours.set_weights([kernel, np.full(2, -0.5, np.float32)])  # what is blurred is no colour
    probs.set_weights([np.array([[200, -200], [-200, 200]], np.float32), np.zeros(2, np.float32)])
    return model


def red_blobs(count):
    """Put a red blob on a cell away from the middle, and white ones, that say nothing, anywhere else."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 30, (count, 32, 32, 3)).astype(np.uint8)
    for image in pixels:
        red, *white = rng.permutation([place for place in range(64) if place // 8 in (0, 1, 6, 7)])[:6]
        for place in white:
            image[4 * (place // 8) :, 4 * (place % 8) :][:4, :4] = 220
        image[4 * (red // 8) :, 4 * (red % 8) :][:4, :4] = (250, 10, 10)
    return pixels


def test_a_member_is_measured_by_all_checks_and_is_left_as_it_was():
    model, pixels, told = colour_network(), red_blobs(12), []
    weights = model.get_weights()
    methods = {"gradcam": partial(heatmaps, method=Gradcam), "edges": draw_edges}
    found = measure_trust(
        model, pixels, np.full(12, RED), methods, steps=4, batch_size=16, draws=400, progress=told.append
    )
    assert told == ["maps", "faithfulness", "randomisation", "stability"]
    assert found["images"] == 12
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert set(found["faithfulness"]["methods"]) == set(methods)
    assert set(found["faithfulness"]["controls"]) == {"random", "centre"}
    trust = found["trust"]["methods"]
    assert "deletion" in trust["gradcam"]["beats_controls"]
    assert trust["gradcam"]["similarity_shifted"] > 0.5
    assert trust["edges"]["verdict"] == "excluded"
    assert trust["edges"]["reasons"][0].startswith("its maps do not depend on what the member learned")
    for kept, old in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(kept, old)


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        (4, "its map is zero everywhere: nothing in the image speaks for this class"),
        (32, "its last feature map is 1x1 at 32 px: it cannot show a place; use image_size >= 96 for a 3x3 map"),
    ],
)
def test_a_member_that_points_nowhere_is_said_to(cell, reason):
    pixels = np.zeros((3, 32, 32, 3), np.uint8)
    methods = {"gradcam": partial(heatmaps, method=Gradcam)}
    found = measure_trust(colour_network(cell), pixels, np.full(3, RED), methods, steps=2, draws=50)
    assert found["silent"] == {"gradcam": {reason: 3}}
    assert found["trust"]["trusted"] == "none"
    assert found["trust"]["methods"]["gradcam"]["reasons"] == [f"no image has a map ({reason})"]
    json.dumps(found, allow_nan=False)


@pytest.mark.parametrize(
    ("pixels", "methods", "message"),
    [
        (np.zeros((0, 32, 32, 3), np.uint8), {"edges": draw_edges}, r"of an image or more, received \(0, 32, 32, 3\)"),
        (red_blobs(1), {}, "other than the controls centre and random, received none"),
        (red_blobs(1), {"centre": draw_edges}, "received centre: pass at least one"),
    ],
)
def test_no_images_no_methods_and_the_names_of_controls_are_refused(pixels, methods, message):
    with pytest.raises(InputError, match=message):
        measure_trust(colour_network(), pixels, np.zeros(len(pixels), int), methods)
