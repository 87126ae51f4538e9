"""Faces found and answered: each on its own pixels, all of them together."""

from dataclasses import replace

import numpy as np
import pytest

from facemask_ensemble.ensemble import voting
from facemask_ensemble.ensemble.rules import make_rule
from facemask_ensemble.faces.boxes import Box

RED, BLUE = (210, 20, 30), (20, 40, 220)


def test_red_faces_stay_red_and_every_face_has_its_own_answer(red_means_a_mask, patches):
    first = patches(60, 40, (5, 8, 10, 12, RED), (30, 4, 14, 9, BLUE))
    second = patches(60, 40, (20, 20, 8, 8, BLUE))
    (left, right), (only,), none = red_means_a_mask([first, second, patches(60, 40)])
    assert (left.box, left.prediction, left.worn) == (Box(5, 8, 10, 12), "mask", True)
    assert (right.box, right.prediction, right.worn) == (Box(30, 4, 14, 9), "no_mask", False)
    assert (only.box, only.worn, only.votes) == (Box(20, 20, 8, 8), False, {"small": "no_mask", "large": "no_mask"})
    assert none == []
    assert left.confidence == pytest.approx(210 / 260, abs=1e-4)
    assert right.confidence == pytest.approx(260 / 280, abs=1e-4)


def test_all_faces_of_some_images_are_asked_about_at_once(red_means_a_mask, patches):
    asked = []
    counting = [replace(member, network=Counted(member.network, asked)) for member in red_means_a_mask.ensemble.members]
    detect = replace(red_means_a_mask, ensemble=replace(red_means_a_mask.ensemble, members=counting))
    detect([patches(60, 40, (5, 8, 10, 12, RED), (30, 4, 14, 9, BLUE)), patches(60, 40, (20, 20, 8, 8, BLUE))])
    assert asked == [(3, 8, 8, 3), (3, 12, 12, 3)]


class Counted:
    """A network that notes what it is asked."""

    def __init__(self, network, asked):
        self.size, self.milliseconds, self._network, self._asked = network.size, None, network, asked

    def __call__(self, pixels):
        self._asked.append(pixels.shape)
        return self._network(pixels)


def test_pixels_that_are_asked_about_are_the_clean_images_with_a_margin(red_means_a_mask, patches):
    """A box of 10x10 with a fifth around it is 14x14, of which 100 pixels are red."""
    image = patches(40, 40, (10, 10, 10, 10, RED))
    before = image.copy()
    member = red_means_a_mask.ensemble.members[0]
    exact = replace(member, network=type(member.network)(14, 0))  # a crop of its size is not resampled
    ensemble = replace(red_means_a_mask.ensemble, members=[exact])
    ((face,),) = replace(red_means_a_mask, margin=(0.2, 0.2, 0.2, 0.2), ensemble=ensemble)([image])
    red, total = (210 * 100 + 128 * 96), (260 * 100 + 3 * 128 * 96)
    assert face.confidence == pytest.approx(max(red, total - red) / total, abs=1e-4)
    np.testing.assert_array_equal(image, before)


def test_a_vote_left_to_a_person_tells_neither_mask_nor_confidence(red_means_a_mask, patches):
    members = list(red_means_a_mask.ensemble.members)
    members[1] = replace(members[1], network=type(members[1].network)(12, 2))  # it takes blue for a mask
    vote = make_rule("majority", voting.majority, voting.abstain).fit(np.empty(0), np.empty(0))
    ensemble = replace(red_means_a_mask.ensemble, members=members, vote=vote)
    ((face,),) = replace(red_means_a_mask, ensemble=ensemble)([patches(40, 40, (10, 10, 10, 10, RED))])
    assert (face.prediction, face.worn, face.confidence) == ("", None, None)
    assert face.votes == {"small": "mask", "large": "no_mask"}
    assert face.record() == {
        "box": [10, 10, 10, 10],
        "score": None,
        "prediction": "",
        "mask": None,
        "confidence": None,
        "votes": {"small": "mask", "large": "no_mask"},
    }
