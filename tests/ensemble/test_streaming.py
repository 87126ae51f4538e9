"""Pictures in chunks, decoded once, answered by members that stay in memory."""

import numpy as np
import pytest
from PIL import Image

from facemask_ensemble.data import chunks, reader
from facemask_ensemble.data.chunks import read_chunks
from facemask_ensemble.data.decoding import PictureError
from facemask_ensemble.data.inputs import open_input
from facemask_ensemble.data.items import Item
from facemask_ensemble.ensemble import streaming
from facemask_ensemble.ensemble.prediction import predict_all
from facemask_ensemble.ensemble.streaming import ask_members, load_members
from facemask_ensemble.errors import InputError


@pytest.fixture
def folder(tmp_path):
    """Ten pictures of random colours and sizes, JPEG and PNG, and one file that is none, the fourth."""
    rng = np.random.default_rng(0)
    (tmp_path / "in").mkdir()
    for number in range(10):
        colour, side = tuple(rng.integers(0, 256, 3).tolist()), int(rng.integers(8, 200))
        Image.new("RGB", (side, 16), colour).save(tmp_path / "in" / f"{number}.{'jpg' if number % 2 else 'png'}")
    (tmp_path / "in" / "2b.jpg").write_text("no picture")
    return tmp_path / "in"


def pictures(folder):
    return [item.name for item in open_input(str(folder)).items()]


@pytest.mark.parametrize("chunk", [1, 4, 100])
def test_chunks_hold_every_picture_once_in_order_at_every_size(folder, chunk):
    found = list(read_chunks(open_input(str(folder)).items(), [8, 12], most=chunk))
    assert [name for one in found for name in one.names] == pictures(folder)
    assert {len(one.names) for one in found[:-1]} <= {chunk}
    assert [reason for one in found for reason in one.reasons] == ["", "", "", "not a picture", *[""] * 7]
    assert [one.pixels[12].shape[1:] for one in found] == [(12, 12, 3)] * len(found)


@pytest.mark.parametrize("chunk", [3, 100])
def test_streamed_members_answer_as_members_asked_one_by_one(members, folder, chunk):
    loaded = load_members(members, batch_size=4)
    assert [(member.name, member.size) for member in loaded] == [("red", 8), ("green", 12)]
    items = open_input(str(folder)).items()
    probs = np.concatenate(
        [ask_members(one, loaded, 2, None) for one in read_chunks(items, [8, 12], most=chunk)], axis=1
    )
    assert (probs.dtype, probs.shape) == (np.float32, (2, 11, 2))
    readable = [place for place, name in enumerate(pictures(folder)) if "2b" not in name]
    expected = predict_all(members, [folder / pictures(folder)[place].rpartition("/")[2] for place in readable], 32)
    np.testing.assert_allclose(probs[:, readable], expected, atol=1e-5)
    assert np.isnan(probs[:, 3]).all()


def test_a_picture_is_decoded_once_for_all_members_and_a_network_compiled_once(members, folder, monkeypatch):
    decoded, read_content = [], reader.read_content
    monkeypatch.setattr(reader, "read_content", lambda *given: decoded.append(given[1]) or read_content(*given))
    loaded = load_members(members, batch_size=4)
    for chunk in read_chunks(open_input(str(folder)).items(), [8, 12], most=3):
        ask_members(chunk, loaded, 2, None)
    assert decoded == [[8, 12]] * 11
    assert [member.kept.predict_function.experimental_get_tracing_count() for member in loaded] == [1, 1]


def test_members_that_do_not_fit_into_memory_answer_the_same(members, folder, monkeypatch):
    (chunk,) = read_chunks(open_input(str(folder)).items(), [8, 12])
    together = ask_members(chunk, load_members(members, 4), 2, None)
    monkeypatch.setattr(streaming, "ROOM", 1e12)
    loaded = load_members(members, 4)
    assert [member.kept for member in loaded] == [None, None]
    np.testing.assert_allclose(ask_members(chunk, loaded, 2, None), together, atol=1e-6)


def test_a_majority_asks_the_third_member_only_about_what_two_have_not_decided(members, folder):
    (chunk,) = read_chunks(open_input(str(folder)).items(), [8, 12])
    loaded = [*load_members(members, 4), *load_members({"again": members["red"]}, 4)]
    full, asked = (ask_members(chunk, loaded, 2, order) for order in (None, [0, 1, 2]))
    first, second, third = full.argmax(axis=2)
    readable = np.arange(11) != 3
    assert (np.isfinite(asked[:2, :, 0]) == readable).all()
    assert (np.isfinite(asked[2, :, 0]) == (readable & (first != second))).all()
    assert 0 < np.isfinite(asked[2, :, 0]).sum() < 10
    np.testing.assert_array_equal(asked[np.isfinite(asked)], full[np.isfinite(asked)])


def test_a_chunk_holds_no_more_bytes_than_the_limit(monkeypatch):
    monkeypatch.setattr(chunks, "MOST_HELD", 100)

    def refuse():
        raise PictureError("so large")

    items = (Item(str(number), refuse, held=60) for number in range(5))
    assert [chunk.names for chunk in read_chunks(items, [8])] == [["0", "1"], ["2", "3"], ["4"]]


def test_pictures_are_not_taken_further_than_two_chunks_ahead():
    taken = []

    def items():
        for number in range(100):
            taken.append(number)
            yield Item(str(number), bytes)

    found = read_chunks(items(), [8], most=5)
    for seen in range(1, 5):
        next(found)
        assert len(taken) == 5 * (seen + 1)
    found.close()


def test_what_comes_before_damage_is_answered_first():
    def items():
        yield Item("a", bytes)
        yield Item("b", bytes)
        raise InputError("a broken archive")

    found = read_chunks(items(), [8], most=10)
    assert next(found).names == ["a", "b"]
    with pytest.raises(InputError, match="a broken archive"):
        next(found)


def test_a_member_that_answers_nan_is_named(members, folder):
    import keras

    model = keras.models.load_model(members["red"])
    model.get_layer("probs").set_weights([np.full((3, 2), np.nan, "float32"), np.zeros(2, "float32")])
    model.save(members["red"])
    (chunk,) = read_chunks(open_input(str(folder)).items(), [8, 12])
    with pytest.raises(InputError, match="members: red gives probabilities that are nan or infinite"):
        ask_members(chunk, load_members(members, 4), 2, None)
