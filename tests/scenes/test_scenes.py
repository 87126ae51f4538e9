"""Drawn scenes: alike everywhere, true to their truth, and with nothing but the masks to tell the classes apart."""

import hashlib
import subprocess
import sys
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from facemask_ensemble.errors import InputError
from facemask_ensemble.scenes import CLASS_NAMES, draw_scene
from facemask_ensemble.scenes.brush import Brush
from facemask_ensemble.scenes.cast import ALL, NONE, SOME, gather
from facemask_ensemble.scenes.difficulty import DIFFICULTIES
from facemask_ensemble.scenes.figure import paint_figure
from facemask_ensemble.scenes.layout import hidden_share
from facemask_ensemble.scenes.rng import Rng

LEVELS = tuple(DIFFICULTIES)


def digest(scenes):
    return hashlib.sha256(b"".join(scene.pixels.tobytes() for scene in scenes)).hexdigest()[:16]


@pytest.mark.parametrize(
    ("difficulty", "expected"),
    [("easy", "bb03109388da29e2"), ("medium", "0de29bd8b119d0a1"), ("hard", "b771300c04fb7ffa")],
)
def test_the_same_seed_draws_the_same_pixels_on_every_machine(difficulty, expected):
    assert digest(draw_scene(11, index, 96, difficulty) for index in range(12)) == expected


def test_a_scene_depends_on_no_scene_drawn_before_it():
    forward = [draw_scene(4, index, 64, "hard").pixels for index in range(6)]
    backward = [draw_scene(4, index, 64, "hard").pixels for index in reversed(range(6))]
    assert all(np.array_equal(a, b) for a, b in zip(forward, reversed(backward), strict=True))


def test_another_process_draws_the_same_scene():
    code = (
        "from facemask_ensemble.scenes import draw_scene; import hashlib;"
        "print(hashlib.sha256(draw_scene(4, 3, 64, 'medium').pixels.tobytes()).hexdigest()[:16])"
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert other.stdout.strip() == digest([draw_scene(4, 3, 64, "medium")])


def test_seeds_and_indices_draw_different_scenes():
    images = {draw_scene(seed, index, 48).pixels.tobytes() for seed in range(3) for index in range(5)}
    assert len(images) == 15


@pytest.mark.parametrize("difficulty", LEVELS)
def test_the_label_follows_from_the_faces(difficulty):
    for index in range(90):
        scene = draw_scene(2, index, 32, difficulty)
        masked = [face.masked for face in scene.faces]
        expected = "none" if not any(masked) else "all" if all(masked) else "some"
        assert CLASS_NAMES[scene.label] == expected
        assert scene.label == index % 3


@pytest.mark.parametrize("difficulty", LEVELS)
@pytest.mark.parametrize("size", [32, 75, 200])
def test_pixels_and_boxes_fit_the_asked_size(difficulty, size):
    for index in range(9):
        scene = draw_scene(0, index, size, difficulty)
        assert scene.pixels.shape == (size, size, 3)
        assert scene.pixels.dtype == np.uint8
        for x0, y0, x1, y1 in (face.box for face in scene.faces):
            assert 0 <= x0 < x1 <= size
            assert 0 <= y0 < y1 <= size


def test_an_easy_face_takes_about_half_of_the_height():
    heights = [(face.box[3] - face.box[1]) / 96 for index in range(60) for face in draw_scene(1, index).faces]
    assert min(heights) >= 0.44
    assert max(heights) <= 0.62


def painted(person, canvas=300):
    image = Image.new("RGB", (canvas, canvas), (90, 90, 90))
    box = paint_figure(Brush(image), person, canvas)
    return np.asarray(image).astype(int), box


def test_putting_a_mask_on_changes_the_lower_half_of_the_face_box_alone():
    level = DIFFICULTIES["easy"]
    for index in range(20):
        person = gather(Rng(6, index), ALL, (1, 1), level)[0]
        masked, box = painted(person)
        bare, same_box = painted(replace(person, mask=replace(person.mask, place="none")))
        x0, y0, x1, y1 = box
        assert same_box == box
        rows, columns = np.nonzero(np.abs(masked - bare).sum(axis=2))
        width, height = x1 - x0, y1 - y0
        assert rows.min() >= y0 + 0.3 * height
        assert rows.max() <= y1 + 0.1 * height
        assert columns.min() >= x0 - 0.12 * width
        assert columns.max() <= x1 + 0.12 * width
        assert 0.2 < len(rows) / (width * height) < 0.6


def without_mask_place(cast):
    return [replace(person, away=False, mask=replace(person.mask, place="")) for person in cast]


@pytest.mark.parametrize("difficulty", LEVELS)
def test_with_another_class_the_same_people_stand_in_the_same_places_and_only_masks_move(difficulty):
    level = DIFFICULTIES[difficulty]
    for index in range(300):
        rng = [Rng(8, index) for _ in (NONE, ALL, SOME)]
        casts = [gather(rng[label], label, level.figures, level) for label in (NONE, ALL, SOME)]
        people = [without_mask_place(cast) for cast in casts]
        assert people[0] == people[1] == people[2]
        away = [[person.away for person in cast] for cast in casts]
        assert away[0] == away[1]
        assert away[2] == away[0] or (away[0].count(False) == 1 and away[2].count(False) == 2)
        assert len({one.uniform() for one in rng}) == 1, "background, light and noise go on from another choice"


@pytest.mark.parametrize("difficulty", LEVELS)
def test_every_number_of_figures_and_every_share_of_masks_occurs(difficulty):
    level = DIFFICULTIES[difficulty]
    casts = [gather(Rng(3, index), SOME, level.figures, level) for index in range(900)]
    counts = Counter(len(cast) for cast in casts)
    fewest, most = level.figures
    assert sorted(counts) == list(range(fewest, most + 1))
    even = 900 / len(counts)
    assert all(abs(count - even) < 5 * even**0.5 for count in counts.values())
    shares = Counter(sum(person.masked for person in cast) for cast in casts)
    assert sorted(shares) == list(range(1, most))


@pytest.mark.parametrize("difficulty", LEVELS)
def test_no_head_hides_the_mouth_of_a_face_behind_it(difficulty):
    level = DIFFICULTIES[difficulty]
    for index in range(300):
        spots = [person.spot for person in gather(Rng(5, index), SOME, level.figures, level)]
        assert hidden_share(spots) <= level.overlap


def test_a_mask_under_the_chin_or_on_an_ear_counts_as_not_worn_and_is_for_hard_scenes():
    places = {name: Counter() for name in LEVELS}
    for name, level in DIFFICULTIES.items():
        for index in range(300):
            for person in gather(Rng(9, index), NONE, level.figures, level):
                places[name][person.mask.place] += 1
                assert not person.masked
    assert set(places["easy"]) == set(places["medium"]) == {"none"}
    assert set(places["hard"]) == {"none", "chin", "ear"}
    assert 0.05 < 1 - places["hard"]["none"] / places["hard"].total() < 0.2


def colour_statistics(pixels):
    """Mean, standard deviation and an 8-bin histogram of each channel."""
    channels = [pixels[..., channel].ravel() for channel in range(3)]
    counts = [np.bincount(channel >> 5, minlength=8) / channel.size for channel in channels]
    return np.concatenate(
        [[channel.mean(), channel.std(), *count] for channel, count in zip(channels, counts, strict=True)]
    )


@pytest.mark.heavy
@pytest.mark.parametrize("difficulty", LEVELS)
def test_colour_statistics_do_not_give_the_class_away(difficulty):
    scenes = [draw_scene(21, index, 48, difficulty) for index in range(1200)]
    features = np.array([colour_statistics(scene.pixels) for scene in scenes])
    labels = np.array([scene.label for scene in scenes])
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    assert cross_val_score(model, features, labels, cv=folds).mean() < 0.39


def test_people_overrides_the_range_and_a_lone_face_is_never_some():
    alone = [draw_scene(1, index, 32, "hard", (1, 1)) for index in range(12)]
    assert {scene.figures for scene in alone} == {1}
    assert [CLASS_NAMES[scene.label] for scene in alone] == ["none", "all"] * 6
    few = [draw_scene(1, index, 32, "easy", (1, 3)) for index in range(60)]
    assert {scene.figures for scene in few if scene.label != SOME} == {1, 2, 3}
    assert {scene.figures for scene in few if scene.label == SOME} == {2, 3}


def test_a_crowd_of_eight_can_be_drawn():
    scene = draw_scene(1, 2, 128, "easy", (8, 8))
    assert scene.figures == len(scene.faces) == 8


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"difficulty": "brutal"}, "difficulty=brutal: must be one of easy, medium, hard"),
        ({"people": (0, 2)}, r"people=\(0, 2\) is not a range"),
        ({"people": (3, 2)}, r"people=\(3, 2\) is not a range"),
        ({"people": (2, 9)}, "most <= 8"),
        ({"people": (2,)}, "is not a range"),
        ({"people": (1.5, 2)}, "is not a range"),
        ({"people": 2}, "people=2 is not a range"),
        ({"size": 31}, "size=31 is too small"),
        ({"seed": -1}, "seed=-1"),
    ],
)
def test_a_bad_setting_is_refused_with_its_value(arguments, message):
    with pytest.raises(InputError, match=message):
        draw_scene(**{"seed": 0, "index": 0, **arguments})
