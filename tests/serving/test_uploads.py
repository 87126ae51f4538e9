"""Images that others send: limits, names, and what an ensemble says to them."""

import io
import threading
import time

import numpy as np
import pytest
from PIL import Image
from processes import HANG

from facemask_ensemble.data.decoding import ImageError
from facemask_ensemble.ensemble import voting
from facemask_ensemble.ensemble.rules import make_rule
from facemask_ensemble.prediction.ensemble import Ensemble, Member
from facemask_ensemble.serving.uploads import Limits, ask, upload

LIMITS = Limits(megabytes=1, megapixels=0.5, images=4)


class Reddish:
    """A network that answers by the mean of red, and remembers how many were in it at once."""

    size, milliseconds = 8, None

    def __init__(self):
        self.inside, self.most = 0, 0

    def __call__(self, pixels):
        self.inside += 1
        self.most = max(self.most, self.inside)
        time.sleep(0.01)
        red = pixels[..., 0].mean(axis=(1, 2)) / 255
        self.inside -= 1
        return np.stack([1 - red, red], axis=1).astype(np.float32)


@pytest.fixture
def network():
    return Reddish()


@pytest.fixture
def ensemble(network):
    rule = make_rule("majority", voting.majority).fit(np.empty(0), np.empty(0))
    return Ensemble(["dark", "red"], [Member("one", network)], rule)


def png(colour=(255, 0, 0), size=(20, 10)):
    content = io.BytesIO()
    Image.new("RGB", size, colour).save(content, "PNG")
    return content.getvalue()


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a.png", "a.png"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\a b.jpg", "a b.jpg"),
        ("/etc/", "etc"),
        ("a\nb\x00\x1b[31m.png", "a?b??[31m.png"),
        ("über\u202egnp.jpg", "über?gnp.jpg"),
        ("\ud800.jpg", "?.jpg"),
        ("", "image"),
        ("///", "image"),
        ("a" * 500 + ".png", "a" * 116 + ".png"),
    ],
)
def test_of_a_name_only_what_can_be_shown_of_its_last_component_is_kept(name, shown):
    assert upload(name, b"", LIMITS).name == shown


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "empty file"),
        (b"\x89PNG\r\n\x1a\n" + bytes(2_000_000), "larger than 1 MB"),
        (b"no image", "not an image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n%%EOF\n", "not an image"),
        (b"P6 2 2 255\n" + bytes(12), "not an image"),
    ],
)
def test_what_is_too_large_or_none_of_the_formats_is_refused_by_a_reason(data, why):
    with pytest.raises(ImageError, match=f"^{why}$"):
        upload("a.png", data, LIMITS).read()


def test_an_image_of_too_many_pixels_is_refused_by_its_header_alone(images_and_reasons, monkeypatch):
    enormous, large, small = images_and_reasons[0]["bomb.png"], png(size=(1000, 501)), png(size=(1000, 500))
    monkeypatch.setattr(Image.Image, "load", lambda *_: pytest.fail("it was decoded"))
    with pytest.raises(ImageError, match="^more than 0.5 million pixels$"):
        upload("bomb.png", enormous, LIMITS).read()
    with pytest.raises(ImageError, match="^more than 0.5 million pixels$"):
        upload("large.png", large, LIMITS).read()
    assert upload("small.png", small, LIMITS).read() == small


def test_no_file_is_opened_by_the_name_of_an_upload(ensemble, tmp_path):
    secret = tmp_path / "secret.png"
    secret.write_bytes(png())
    chunk, _, table = ask(ensemble, [upload(str(secret), b"", LIMITS)])
    assert (chunk.reasons, table["path"].tolist()) == (["empty file"], ["secret.png"])


def test_each_image_has_its_row_and_what_is_none_a_reason(ensemble, images_and_reasons):
    contents, reasons = images_and_reasons
    limits = Limits(megabytes=1)
    expected = reasons | {"huge.png": "larger than 1 MB", "bomb.png": "more than 40 million pixels"}
    chunk, probs, table = ask(ensemble, [upload(name, data, limits) for name, data in contents.items()], longest=32)
    assert table["path"].tolist() == list(contents)
    assert dict(zip(table["path"], table["reason"], strict=True)) == {name: expected.get(name, "") for name in contents}
    assert (probs.shape, chunk.readable.tolist()) == ((1, 20, 2), [0, 1, 2, 3, 4, *range(10, 20)])
    assert (table["prediction"] == "").tolist() == [False] * 5 + [True] * 5 + [False] * 10
    assert {max(chunk.shown[place].shape) for place in chunk.readable} == {32}


def test_nothing_sent_is_an_empty_table(ensemble):
    chunk, probs, table = ask(ensemble, [])
    assert (chunk.names, probs.shape, len(table)) == ([], (1, 0, 2), 0)
    assert {"path", "prediction", "vote_one", "reason"} <= set(table.columns)


def test_callers_are_answered_one_at_a_time(ensemble, network):
    answers = []

    def call():
        answers.append(ask(ensemble, [upload("a.png", png(), LIMITS)])[2]["prediction"].tolist())

    threads = [threading.Thread(target=call) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(HANG)
    assert (answers, network.most) == ([["red"]] * 6, 1)
