import pytest

from facemask_ensemble.models.initialization import brief, of_member, origin, summed_up

ONCE = "scenes member 5b77f96d (random initialisation)"
TWICE = f"faces member ed5763c8 ({ONCE})"


def test_a_start_is_followed_back_to_what_the_first_training_began_with():
    assert origin("imagenet") == ([], "imagenet")
    assert origin(ONCE) == ([("scenes", "5b77f96d")], "random initialisation")
    assert origin(TWICE) == ([("faces", "ed5763c8"), ("scenes", "5b77f96d")], "random initialisation")


def test_what_is_said_of_a_member_is_read_again():
    said = of_member("faces", "0123456789abcdef" * 2, ONCE)
    assert said == f"faces member 01234567 ({ONCE})"
    assert origin(said).members[0] == ("faces", "01234567")


@pytest.mark.parametrize(
    ("init", "expected"),
    [
        ("imagenet", "imagenet"),
        (ONCE, ONCE),
        (TWICE, "faces member ed5763c8 (random initialisation, 2 trainings earlier)"),
    ],
)
def test_a_start_is_told_in_one_line_however_many_trainings_came_before(init, expected):
    assert brief(init) == expected


def test_several_starts_are_summed_up_everything_once():
    other = "scenes member 00000000 (imagenet)"
    inits = [TWICE, ONCE, ONCE.replace("5b77f96d", "aef200f7"), other, "random initialisation", "imagenet"]
    assert summed_up(inits) == (
        "faces members (random initialisation), imagenet, random initialisation, scenes members (imagenet), "
        "scenes members (random initialisation)"
    )
