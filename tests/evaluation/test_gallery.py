import json

import numpy as np
import pytest

from facemask_ensemble.ensemble import voting
from facemask_ensemble.evaluation.gallery import choose

NAMES = ["none", "all", "some"]
MEMBERS = ["ada", "bea", "cleo", "dora"]


def probs_of(answers: list[list[int]], sure: list[float]) -> np.ndarray:
    """Build probabilities in which each image's members answer as listed, as sure as listed."""
    probs = np.zeros((len(answers[0]), len(answers), 3))
    for image, (row, value) in enumerate(zip(answers, sure, strict=True)):
        for member, answer in enumerate(row):
            probs[member, image] = (1 - value) / 2
            probs[member, image, answer] = value
    return probs


ANSWERS = [
    [0, 0, 0, 0],  # right
    [0, 0, 0, 1],  # disputed, one wrong
    [0, 0, 1, 2],  # disputed, two wrong
    [0, 0, 0, 1],  # wrong, truth 1
    [2, 2, 2, 2],  # wrong and unanimous, truth 1
    [0, 0, 1, 1],  # tied
    [1, 1, 1, 1],  # right and surer
]
LABELS = np.array([0, 0, 0, 1, 1, 0, 1])
PROBS = probs_of(ANSWERS, [0.8, 0.8, 0.8, 0.8, 0.9, 0.7, 0.9])
PATHS = [f"{index}.png" for index in range(7)]


def chosen(per_kind: int = 3, probs=PROBS, labels=LABELS, paths=PATHS) -> list[dict]:
    return choose(probs, labels, voting.majority(probs), paths, MEMBERS, NAMES, per_kind)


def kinds(items: list[dict]) -> list[tuple[str, int]]:
    return [(item["kind"], item["index"]) for item in items]


def test_every_image_has_the_kind_its_votes_say_and_the_most_telling_comes_first():
    assert kinds(chosen()) == [
        ("disputed", 2),
        ("disputed", 1),
        ("wrong", 4),
        ("wrong", 3),
        ("tied", 5),
        ("right", 6),
        ("right", 0),
    ]


def test_no_kind_has_more_images_than_asked_for():
    assert kinds(chosen(per_kind=1)) == [("disputed", 2), ("wrong", 4), ("tied", 5), ("right", 6)]
    assert chosen(per_kind=0) == []


def test_an_item_says_what_each_member_answered_and_how_sure_it_was():
    item = next(item for item in chosen() if item["index"] == 1)
    assert item["path"] == "1.png"
    assert (item["truth"], item["prediction"], item["tie"]) == ("none", "none", False)
    assert item["votes"] == {"ada": "none", "bea": "none", "cleo": "none", "dora": "all"}
    assert item["agreement"] == 0.75
    assert item["confidence"] == pytest.approx((3 * 0.8 + 0.1) / 4)
    assert item["probabilities"]["dora"] == pytest.approx({"none": 0.1, "all": 0.8, "some": 0.1})
    assert json.loads(json.dumps(item, allow_nan=False)) == item


def test_images_of_one_kind_are_spread_over_the_classes():
    labels = np.array([0] * 10 + [1] * 2 + [2])
    # The ten images of class 0 are the surest, so that a plain ranking would show them alone.
    probs = probs_of([[label] * 4 for label in labels], [0.99] * 10 + [0.8, 0.7] + [0.6])
    items = chosen(probs=probs, labels=labels, paths=[f"{index}.png" for index in range(13)])
    assert kinds(items) == [("right", 0), ("right", 10), ("right", 12)]


def test_the_choice_is_the_same_every_time():
    generator = np.random.default_rng(0)
    probs, labels = generator.dirichlet(np.ones(3), (4, 200)), generator.integers(0, 3, 200)
    paths = [f"{index}.png" for index in range(200)]
    first, second = (chosen(probs=probs.copy(), labels=labels, paths=paths) for _ in range(2))
    assert first == second
    assert len(first) == len({item["path"] for item in first})
