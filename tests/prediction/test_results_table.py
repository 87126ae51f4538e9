"""A table of answers that is stopped at any moment and goes on."""

import json

import numpy as np
import pandas as pd
import pytest

from facemask_ensemble.data.input_images import Item
from facemask_ensemble.ensemble.voting import majority
from facemask_ensemble.errors import InputError
from facemask_ensemble.prediction.answers import answers
from facemask_ensemble.prediction.results_table import AnswerTable, summary

COLUMNS = ["path", "prediction", "confidence", "agreement", "vote_a", "tie", "reason"]
OURS = {"members": ["1f"], "rule": {"name": "majority"}, "input": "photos"}
NAMES = ("a, b.jpg", 'ein "Bild".jpg', "ü.jpg", "bad.jpg", "e.jpg")


def rows(names):
    """Say `all`, but of bad.jpg, which cannot be read."""
    probs = np.array([[[np.nan, np.nan] if name == "bad.jpg" else [0.25, 0.75] for name in names]])
    reasons = ["damaged: so, so" if name == "bad.jpg" else "" for name in names]
    return answers(probs, ["a"], names, ("none", "all"), majority, reasons)


def items(names=NAMES):
    return iter([Item(name, bytes) for name in names])


def answer(file, *, chunk=2, stop=None, again=False, belongs=OURS, names=NAMES):
    """Do what the command does, up to the chunk `stop`; return how many rows were there already."""
    table = AnswerTable(file, COLUMNS)
    table.open(belongs, again)
    try:
        left = items(names)
        done = table.skip(left)
        rest = [item.name for item in left]
        for start in list(range(0, len(rest), chunk))[:stop]:
            table.append(rows(rest[start : start + chunk]))
        if stop is None:
            found = summary(table, ["a"], file.with_name("quarantine.csv"))
            table.finish()
            return done, found
        return done, None
    finally:
        table.close()


def read(file):
    return pd.read_parquet(file) if file.suffix == ".parquet" else pd.read_csv(file)


@pytest.fixture(params=["csv", "parquet"])
def file(tmp_path, request):
    return tmp_path / "deep" / f"answers.{request.param}"


def test_the_table_has_a_row_for_every_image_with_empty_cells_for_one_that_cannot_be_read(file):
    done, found = answer(file)
    assert done == 0
    assert found == {
        "images": 5,
        "unreadable": 1,
        "predictions": {"all": 4},
        "asked": 4,
        "first": ("bad.jpg", "damaged: so, so"),
    }
    table = read(file)
    assert list(table.columns) == COLUMNS
    assert tuple(table["path"]) == NAMES
    assert table["confidence"].tolist()[:3] == [0.75] * 3
    assert (table["tie"].dtype, table["confidence"].dtype) == (bool, float)
    assert table.loc[3, ["prediction", "confidence", "agreement", "vote_a"]].isna().all()
    assert (file.parent / "quarantine.csv").read_text() == 'path,reason\nbad.jpg,"damaged: so, so"\n'
    assert json.loads(file.with_name(f"{file.name}.json").read_text()) == OURS | {"finished": True}
    assert not list(file.parent.glob("*.rows.csv"))


def test_a_stopped_table_goes_on_and_a_finished_one_has_nothing_to_add(file):
    answer(file, stop=1)
    assert answer(file)[0] == 2
    first = read(file)
    assert answer(file)[0] == 5
    pd.testing.assert_frame_equal(read(file), first)
    assert tuple(first["path"]) == NAMES


@pytest.mark.heavy
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_wherever_the_last_row_is_cut_the_table_becomes_the_same(tmp_path, suffix):
    whole = tmp_path / f"whole{suffix}"
    answer(whole)
    expected = read(whole)
    broken = tmp_path / f"broken{suffix}"
    answer(broken, stop=3)
    part = AnswerTable(broken, COLUMNS).rows
    content = part.read_bytes()
    for end in range(len(content)):
        part.write_bytes(content[:end])
        answer(broken)
        pd.testing.assert_frame_equal(read(broken), expected)
        broken.unlink()


def test_a_finished_table_goes_on_when_the_input_has_grown_at_its_end(file):
    answer(file)
    assert answer(file, names=(*NAMES, "f.jpg"))[0] == 5
    assert tuple(read(file)["path"]) == (*NAMES, "f.jpg")


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"belongs": OURS | {"members": ["2f"]}}, "was written with different members"),
        ({"belongs": OURS | {"members": ["2f"], "input": "x"}}, "different members, input; give again=true"),
        ({"names": ("a, b.jpg", "new.jpg", *NAMES[1:])}, 'image 2 was ein "Bild".jpg and is now new.jpg'),
        ({"names": NAMES[:4]}, r"image 5 was e\.jpg and is now missing; give again=true"),
    ],
)
def test_what_belongs_to_something_else_is_refused_and_kept_until_it_is_begun_anew(file, other, words):
    answer(file)
    before = read(file)
    with pytest.raises(InputError, match=words):
        answer(file, **other)
    pd.testing.assert_frame_equal(read(file), before)
    assert answer(file, again=True, **other)[0] == 0
    assert tuple(read(file)["path"]) == other.get("names", NAMES)


def test_a_table_of_unknown_origin_is_refused(file):
    file.parent.mkdir()
    file.write_text("path,prediction\na.jpg,all\n")
    with pytest.raises(InputError, match="was written with different origin"):
        answer(file)
    assert answer(file, again=True)[0] == 0


def test_two_at_once_do_not_write_one_table(file):
    table = AnswerTable(file, COLUMNS)
    table.open(OURS, again=False)
    with pytest.raises(InputError, match="another command is writing it"):
        AnswerTable(file, COLUMNS).open(OURS, again=False)
    table.close()


def test_a_table_that_cannot_lie_where_it_should_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"):
        AnswerTable(tmp_path / "file" / "answers.csv", COLUMNS).open(OURS, again=False)


def test_a_finished_table_makes_room_where_it_may_and_an_unfinished_one_never_does(tmp_path):
    file = tmp_path / "answers.csv"
    answer(file, stop=2)
    for_others = AnswerTable(file, COLUMNS)
    with pytest.raises(InputError, match="was written with different members"):
        for_others.open(OURS | {"members": ["2f"]}, again=False, replace=True)
    for_others.close()
    answer(file)
    with pytest.raises(InputError, match="was written with different members"):
        for_others.open(OURS | {"members": ["2f"]}, again=False)
    for_others.close()
    for_others.open(OURS | {"members": ["2f"]}, again=False, replace=True)
    assert for_others.skip(iter(())) == 0
    for_others.close()
