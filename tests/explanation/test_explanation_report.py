import numpy as np
import pytest

from facemask_ensemble.data.boxes import Box, regions_of
from facemask_ensemble.evaluation.rule_predictions import Judged
from facemask_ensemble.explanation.explanation_report import beyond_controls, locate, rank, sample

NAMES = ["none", "all", "some"]
BOX = Box((0.0, 0.0, 0.5, 0.5), "masked")
ON, OFF = np.zeros((4, 4)), np.zeros((4, 4))
ON[0, 0] = OFF[3, 3] = 1
SPLIT = (ON + OFF) / 1.0


def judged(labels):
    return Judged(
        np.zeros((2, len(labels), 3)), np.asarray(labels), paths=[f"{place}.png" for place in range(len(labels))]
    )


def test_a_sample_takes_all_classes_alike_as_far_as_they_go():
    labels = np.array([0] * 50 + [1] * 30 + [2] * 3)
    drawn = sample(labels, 23)
    assert np.bincount(labels[drawn]).tolist() == [10, 10, 3]
    assert (np.diff(drawn) > 0).all()
    assert drawn.tolist() == sample(labels, 23).tolist()


def test_a_sample_of_more_than_there_are_is_all_and_of_none_is_none():
    assert sample(np.array([1, 0, 1]), 9).tolist() == [0, 1, 2]
    assert sample(np.array([1, 0, 1]), 0).tolist() == []


def test_images_right_for_the_wrong_reason_are_ranked_by_what_little_lies_on_faces():
    #               right, on face; right, off; right, off with something on the face; wrong, off; right, no face
    mostly_off = 0.5 * ON + OFF
    maps = np.stack([[ON, OFF, mostly_off, OFF, OFF]] * 2)
    answers = np.array([[1, 1, 1, 1, 1]] * 2)
    regions = regions_of([[BOX]] * 4 + [[]], ["masked"], 4, 4)
    found = rank(maps, answers, np.ones(5, int), judged([1, 1, 1, 0, 1]), regions, np.array([10, 11, 12, 13, 14]))
    wrong = found["wrong_reason"]
    assert (wrong["right"], wrong["off"]) == (3, 2)
    assert [one["index"] for one in wrong["images"]] == [11, 12]
    assert [one["energy"] for one in wrong["images"]] == pytest.approx([0, 1 / 3])
    assert found["lost"] == [{"index": 13}]


def test_members_that_agree_for_different_reasons_are_ranked_by_what_they_share():
    maps = np.stack([[ON, ON, ON, ON], [ON, OFF, SPLIT, OFF]])
    answers = np.array([[1, 1, 1, 1], [1, 1, 1, 0]])  # on the last they do not agree
    found = rank(maps, answers, np.ones(4, int), judged([1, 1, 1, 1]), None, np.arange(4))
    alike = found["different_reasons"]
    assert found["wrong_reason"] is None
    assert (alike["agreed"], alike["overlap"]) == (3, pytest.approx(0.5))
    assert [(one["index"], one["overlap"]) for one in alike["images"]] == [(1, 0), (2, 0.5), (0, 1)]


def test_lost_votes_begin_with_those_that_most_members_were_behind():
    maps = np.stack([[ON, ON]] * 3)
    answers = np.array([[1, 1], [1, 1], [0, 1]])
    found = rank(maps, answers, np.array([1, 1]), judged([0, 0]), None, np.array([4, 7]))
    assert [one["index"] for one in found["lost"]] == [7, 4]


def row(member, pointing, middle, noise, name="all classes"):
    """Lay out a member's row; the controls are given as (pointing, p_value)."""
    controls = {
        control: {"pointing": share, "energy": 0.1, "p_value": p_value}
        for control, (share, p_value) in {"centre": middle, "random": noise}.items()
    }
    about = {"member": member, "method": "gradcam", "class": name, "images": 9}
    return about | {"pointing": pointing, "controls": controls}


def test_members_are_counted_that_point_at_faces_more_often_than_the_controls_do():
    rows = [
        row("a", 0.9, (0.4, 0.001), (0.9, 1.0)),
        row("b", 0.5, (0.4, 0.4), (0.6, 0.3)),
        row("c", 0.1, (0.4, 0.01), (0.6, 0.001)),
        row("c", 0.9, (0.1, 0.0), (0.1, 0.0), "all"),  # of one class: not counted
    ]
    found = beyond_controls(rows, "faces")
    assert found["members"] == 3
    assert found["centre"] == {"above": 2, "sure": 1, "below": 1, "significantly_below": 1}
    assert found["random"] == {"above": 0, "sure": 0, "below": 2, "significantly_below": 1}
    assert found["sentence"] == (
        "The maps of 2 of 3 members point at the faces of their answer more often than the middle of the image does "
        "(1 significantly), and those of 0 more often than smooth noise does (none significantly). 1 point there less "
        "often than the "
        "middle of the image (1 significantly). 2 point there less often than smooth noise (1 significantly). "
        "Significant means p < 0.05 in an exact McNemar test."
    )


def test_without_boxes_nothing_is_said_of_faces():
    assert locate(["a.png"], None, ["masked"], 4) is None
    assert beyond_controls([], "faces") is None
