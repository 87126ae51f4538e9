"""Images in chunks, decoded once, answered by members that stay in memory."""

import numpy as np
import pytest
from PIL import Image

from facemask_ensemble.data import chunks
from facemask_ensemble.data.chunks import read_chunks
from facemask_ensemble.data.decoding import ImageError
from facemask_ensemble.data.input_images import Item
from facemask_ensemble.data.inputs import open_input
from facemask_ensemble.ensemble import voting
from facemask_ensemble.ensemble.rules import make_rule
from facemask_ensemble.ensemble.sources import Source
from facemask_ensemble.errors import InputError
from facemask_ensemble.prediction.answers import predict_all
from facemask_ensemble.prediction.ensemble import Ensemble, Member
from facemask_ensemble.prediction.runtimes import keras


@pytest.fixture
def folder(tmp_path):
    """Ten images of random colours and sizes, JPEG and PNG, and one file that is none, the fourth."""
    rng = np.random.default_rng(0)
    (tmp_path / "in").mkdir()
    for number in range(10):
        colour, side = tuple(rng.integers(0, 256, 3).tolist()), int(rng.integers(8, 200))
        Image.new("RGB", (side, 16), colour).save(tmp_path / "in" / f"{number}.{'jpg' if number % 2 else 'png'}")
    (tmp_path / "in" / "2b.jpg").write_text("no image")
    return tmp_path / "in"


def ensemble_of(members, batch_size=4, order=None):
    """Let members vote by majority; `members` are files by name."""
    networks = keras.load([Source(name, file) for name, file in members.items()], batch_size)
    named = [Member(name, network) for name, network in zip(members, networks, strict=True)]
    return Ensemble(["a", "b"], named, make_rule("majority", voting.majority).fit(np.empty(0), np.empty(0)), order)


def images(folder):
    return [item.name for item in open_input(str(folder)).items()]


@pytest.mark.parametrize("chunk", [1, 4, 100])
def test_chunks_hold_every_image_once_in_order_at_every_size(folder, chunk):
    found = list(read_chunks(open_input(str(folder)).items(), [8, 12], most=chunk))
    assert [name for one in found for name in one.names] == images(folder)
    assert {len(one.names) for one in found[:-1]} <= {chunk}
    assert [reason for one in found for reason in one.reasons] == ["", "", "", "not an image", *[""] * 7]
    assert [one.pixels[12].shape[1:] for one in found] == [(12, 12, 3)] * len(found)


@pytest.mark.parametrize("chunk", [3, 100])
def test_streamed_members_answer_as_members_asked_one_by_one(members, folder, chunk):
    ensemble = ensemble_of(members)
    assert (ensemble.names, ensemble.sizes) == (["red", "green"], [8, 12])
    items = open_input(str(folder)).items()
    probs = np.concatenate([ensemble.ask(one) for one in read_chunks(items, ensemble.sizes, most=chunk)], axis=1)
    assert (probs.dtype, probs.shape) == (np.float32, (2, 11, 2))
    readable = [place for place, name in enumerate(images(folder)) if "2b" not in name]
    expected = predict_all(members, [folder / images(folder)[place].rpartition("/")[2] for place in readable], 32)
    np.testing.assert_allclose(probs[:, readable], expected, atol=2e-3)
    assert np.isnan(probs[:, 3]).all()


def test_an_image_is_decoded_once_for_all_members(members, folder, monkeypatch):
    decoded, read_content = [], chunks.read_content
    monkeypatch.setattr(chunks, "read_content", lambda *given: decoded.append(given[1]) or read_content(*given))
    ensemble = ensemble_of(members)
    for chunk in read_chunks(open_input(str(folder)).items(), ensemble.sizes, most=3):
        ensemble.ask(chunk)
    assert decoded == [[8, 12]] * 11


def test_members_that_do_not_fit_into_memory_answer_the_same(members, folder, monkeypatch):
    (chunk,) = read_chunks(open_input(str(folder)).items(), [8, 12])
    together = ensemble_of(members).ask(chunk)
    monkeypatch.setattr(keras, "ROOM", 1e12)
    alone = ensemble_of(members)
    assert [member.network.kept for member in alone.members] == [False, False]
    np.testing.assert_allclose(alone.ask(chunk), together, atol=1e-6)


def test_a_majority_asks_the_third_member_only_about_what_two_have_not_decided(members, folder):
    (chunk,) = read_chunks(open_input(str(folder)).items(), [8, 12])
    three = members | {"again": members["red"]}
    full, asked = (ensemble_of(three, order=order).ask(chunk) for order in (None, [0, 1, 2]))
    first, second, third = full.argmax(axis=2)
    readable = np.arange(11) != 3
    assert (np.isfinite(asked[:2, :, 0]) == readable).all()
    assert (np.isfinite(asked[2, :, 0]) == (readable & (first != second))).all()
    assert 0 < np.isfinite(asked[2, :, 0]).sum() < 10
    np.testing.assert_allclose(asked[np.isfinite(asked)], full[np.isfinite(asked)], atol=1e-6)


def test_decoded_images_are_answered_like_their_files(members, folder):
    ensemble = ensemble_of(members)
    files = [file for file in sorted(folder.iterdir()) if file.name != "2b.jpg"]
    decoded = [np.asarray(Image.open(file).convert("RGB")) for file in files]
    (chunk,) = read_chunks(map(lambda file: Item(file.name, file.read_bytes), files), ensemble.sizes)
    own = chunks.chunk_of(decoded, [file.name for file in files], ensemble.sizes)
    tables = [ensemble.answers(one, ensemble.ask(one)) for one in (chunk, own)]
    assert tables[0].equals(tables[1])


def test_a_chunk_holds_no_more_bytes_than_the_limit(monkeypatch):
    monkeypatch.setattr(chunks, "MOST_HELD", 100)

    def refuse():
        raise ImageError("so large")

    items = (Item(str(number), refuse, held=60) for number in range(5))
    assert [chunk.names for chunk in read_chunks(items, [8])] == [["0", "1"], ["2", "3"], ["4"]]


def test_images_are_not_taken_further_than_two_chunks_ahead():
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
        raise InputError("the archive is damaged")

    found = read_chunks(items(), [8], most=10)
    assert next(found).names == ["a", "b"]
    with pytest.raises(InputError, match="the archive is damaged"):
        next(found)


def test_a_member_that_answers_nan_is_named(members, folder):
    import keras

    model = keras.models.load_model(members["red"])
    model.get_layer("probabilities").set_weights([np.full((3, 2), np.nan, "float32"), np.zeros(2, "float32")])
    model.save(members["red"])
    (chunk,) = read_chunks(open_input(str(folder)).items(), [8, 12])
    with pytest.raises(InputError, match="members: red gives probabilities that are nan or infinite"):
        ensemble_of(members).ask(chunk)
