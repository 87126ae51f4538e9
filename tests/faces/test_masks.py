"""Which classes mean a mask, and what the faces of an image say together."""

import pytest

from facemask_ensemble.errors import InputError
from facemask_ensemble.faces.masks import masked_classes, scene, sentence

USUAL = ["mask", "masked", "with_mask", "withmask", "all"]


@pytest.mark.parametrize(
    ("class_names", "masked", "expected"),
    [
        (["mask", "no_mask", "wrong_mask"], USUAL, {"mask"}),
        (["mask", "no_mask", "wrong_mask"], ["mask", "wrong_mask"], {"mask", "wrong_mask"}),
        (["with_mask", "without_mask"], USUAL, {"with_mask"}),
        (["WithMask", "WithoutMask"], USUAL, {"WithMask"}),
        (["none", "all", "some"], USUAL, {"all"}),
        (["0", "1"], [1], {"1"}),
    ],
)
def test_classes_of_a_worn_mask_are_known_by_their_names(class_names, masked, expected):
    assert masked_classes(class_names, masked) == expected


def test_names_that_say_nothing_about_the_classes_are_refused():
    with pytest.raises(InputError, match=r"names none of the members' classes, paper, rock; give detector.masked="):
        masked_classes(["paper", "rock"], USUAL)
    with pytest.raises(InputError, match=r"detector.masked=\[mask,all\]: names every one of the members' classes"):
        masked_classes(["mask", "all"], ["mask", "all"])


@pytest.mark.parametrize(
    ("worn", "answer", "words"),
    [
        ([], "no face", "no face found"),
        ([True], "all", "wears a mask"),
        ([False], "none", "wears no mask"),
        ([None], "", "undecided"),
        ([True, True], "all", "all 2 wear a mask"),
        ([False, False, False], "none", "none of 3 wears a mask"),
        ([True, False, True], "some", "some: 2 of 3 wear a mask"),
        ([True, None, False], "some", "some: 1 of 3 wear a mask"),
        ([True, None], "", "undecided: 1 of 2 faces without an answer"),
    ],
)
def test_faces_say_together_whether_all_some_or_none_wear_a_mask(worn, answer, words):
    assert scene(worn) == answer
    assert sentence(worn) == words
