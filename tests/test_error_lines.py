import errno

import pytest

from facemask_ensemble.error_lines import explain
from facemask_ensemble.errors import InputError


def test_an_input_error_is_one_line_whatever_its_text():
    assert explain(InputError("first\n  second")) == "first second"


def test_an_input_error_inside_another_error_is_found():
    try:
        try:
            raise InputError("weights.h5: not a weights file")
        except InputError as cause:
            raise RuntimeError("wrapped") from cause
    except RuntimeError as error:
        assert explain(error) == "weights.h5: not a weights file"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is_named_with_its_file(number):
    said = explain(OSError(number, "message of the system", "/data/image.png"))
    assert said is not None
    assert said.startswith("the disk is full for /data/image.png")


def test_a_full_disk_is_recognised_in_the_words_of_a_library():
    said = explain(RuntimeError("(sqlite3.OperationalError) database or disk is full"))
    assert said is not None
    assert said.startswith("the disk is full")


def test_a_bug_is_not_explained_away():
    assert explain(KeyError("label")) is None
