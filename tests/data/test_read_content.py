"""A file decoded once for several sizes: the pixels that a training at each of them sees."""

import io

import numpy as np
import pytest
from PIL import Image

from facemask_ensemble.data import resizing
from facemask_ensemble.data.decoding import ImageError
from facemask_ensemble.data.reader import read_pixels
from facemask_ensemble.data.reader import squeeze as squeeze_by_tensorflow
from facemask_ensemble.data.resizing import read_content, squeeze
from facemask_ensemble.scenes import draw_scene

SIZES = (32, 71, 75, 160)
LYING = Image.Exif()
LYING[0x0112] = 6


def encoded(kind, side, mode="RGB", **options):
    image = Image.fromarray(draw_scene(seed=0, index=1, size=side).pixels).convert(mode)
    content = io.BytesIO()
    image.resize((side, side * 3 // 4)).save(content, kind, **options)
    return content.getvalue()


KINDS = {
    "small": encoded("JPEG", 60),
    "middling": encoded("JPEG", 250),  # at its half for one size, and whole for others
    "large": encoded("JPEG", 900),
    "lying": encoded("JPEG", 900, exif=LYING),
    "grey": encoded("JPEG", 300, "L"),
    "cmyk": encoded("JPEG", 900, "CMYK"),
    "png": encoded("PNG", 300),
    "palette": encoded("GIF", 300, "P"),
}


def assert_alike(ours, tensorflows):
    """Hold pixels to those of a training: a few, halves mostly, are rounded to the next level."""
    apart = np.abs(ours.astype(int) - tensorflows)
    assert apart.max() <= 1
    assert (apart > 0).mean() < 0.03


@pytest.mark.parametrize("name", KINDS)
def test_every_size_gets_the_pixels_that_it_is_trained_with(tmp_path, name):
    (tmp_path / "a").write_bytes(KINDS[name])
    for size, square in zip(SIZES, read_content(KINDS[name], SIZES), strict=True):
        assert square.shape == (size, size, 3)
        assert_alike(square, read_pixels(tmp_path / "a", size))


@pytest.mark.parametrize(("name", "times"), [("png", 1), ("palette", 1), ("lying", 2), ("large", 2)])
def test_an_image_is_decoded_once_and_a_jpeg_once_for_each_scale(name, times, monkeypatch):
    """A JPEG of 900 by 675 may be an eighth for 32 px and 71 px (0.85 of it, 61), a quarter for 160 px (136)."""
    decoded, decode = [], resizing.decode
    monkeypatch.setattr(resizing, "decode", lambda *given: decoded.append(given) or decode(*given))
    read_content(KINDS[name], SIZES)
    assert len(decoded) == times


@pytest.mark.parametrize("shape", [(1, 1), (1, 90), (37, 64), (64, 64), (65, 63), (129, 3), (700, 500), (3000, 40)])
def test_an_image_of_any_shape_is_squeezed_as_tensorflow_squeezes_it(shape):
    import tensorflow as tf

    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    assert_alike(squeeze(image, 64), squeeze_by_tensorflow(tf.constant(image), 64).numpy())


def test_a_half_is_the_mean_of_four_pixels():
    image = np.arange(2 * 6 * 3, dtype=np.uint8).reshape(2, 6, 3)  # wider than twice 2, so that it is averaged
    assert squeeze(image, 2).tolist() == [[[3, 4, 5], [12, 13, 14]], [[21, 22, 23], [30, 31, 32]]]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty file"),
        (b"GIF89a", "not an image"),
        (b"\xff\xd8\xff", "not an image"),
        (KINDS["large"][:5000], "truncated"),
        (KINDS["png"][:5000], "truncated"),
    ],
)
def test_what_is_no_image_says_why(data, words):
    with pytest.raises(ImageError, match=words):
        read_content(data, SIZES)


@pytest.mark.parametrize("name", ["large", "png"])
def test_more_pixels_than_an_image_has_are_not_decoded(name, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50_000)
    with pytest.raises(ImageError, match="more than 0 million pixels"):
        read_content(KINDS[name], SIZES)
