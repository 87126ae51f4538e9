import pytest

from facemask_ensemble.page.wording import meaning, question, said
from facemask_ensemble.task import task_named

MASKS, GENERIC = task_named("masks"), task_named("generic")


@pytest.mark.parametrize(
    ("votes", "prediction", "tie", "sentence"),
    [
        (["some"] * 5 + ["all", "none"], "some", False, "5 of 7 members say some."),
        (["all"] * 7, "all", False, "All 7 members say all."),
        (["all", "some", "some", "none"], "all", False, "1 of 4 members says all."),
        (["all", "all", "none"], "some", False, "0 of 3 members say some."),
        (["all", "all", "none", "none"], "all", True,
         "Of 4 members 2 say all and 2 say none: the tie is decided for all."),
        (["all", "none"], "", True, "Of 2 members 1 says all and 1 says none: the tie is left to a person."),
        (["all", "none", "some"], "some", True,
         "Of 3 members 1 says all, 1 says none and 1 says some: the tie is decided for some."),
        (["all", "all"], "", False, "The rule gives no answer here: it is left to a person."),
        (["all"], "all", False, "The one member asked says all."),
    ],
)  # fmt: skip
def test_a_vote_is_said_in_a_sentence(votes, prediction, tie, sentence):
    assert said(votes, prediction, tie) == sentence


def test_what_is_asked_follows_from_the_task_and_the_classes():
    assert question(["none", "all", "some"], MASKS) == "Who wears a mask: all, some or none?"
    assert question(["rock", "paper", "scissors"], GENERIC) == "Which is it: rock, paper or scissors?"
    assert question(["with_mask", "without_mask"], MASKS) == "Which is it: with_mask or without_mask?"
    assert question([str(number) for number in range(10)], GENERIC) == "Which of 10 classes is it?"
    assert question(["none", "all", "some"], GENERIC) == "Which is it: none, all or some?"


def test_a_class_has_a_meaning_where_its_task_is_answered_whole():
    assert meaning("some", ["none", "all", "some"], MASKS) == "Some wear a mask, others do not."
    assert meaning("all", ["all", "none"], MASKS) == ""
    assert meaning("some", ["none", "all", "some"], GENERIC) == ""
