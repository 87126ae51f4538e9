import io
import os
import threading

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from facemask_ensemble.data import reader
from facemask_ensemble.data.pixel_cache import load_pixels
from facemask_ensemble.data.reader import read_pixels
from facemask_ensemble.errors import InputError


def save(path, array, **options):
    Image.fromarray(np.asarray(array)).save(path, **options)
    return path


@pytest.fixture
def quarters():
    """Red and green over blue and white, 32 pixels a side."""
    corners = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 255]]], np.uint8)
    return corners.repeat(16, axis=0).repeat(16, axis=1)


def test_an_image_of_the_asked_size_comes_unchanged(tmp_path, quarters):
    pixels = read_pixels(save(tmp_path / "a.png", quarters), 32)
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels, quarters)


@pytest.mark.parametrize("suffix", ["bmp", "gif", "png", "tif", "webp"])
def test_lossless_formats_give_the_same_pixels(tmp_path, quarters, suffix):
    path = save(tmp_path / f"a.{suffix}", quarters, **({"lossless": True} if suffix == "webp" else {}))
    np.testing.assert_array_equal(read_pixels(path, 32), quarters)


def test_the_whole_image_is_squeezed_into_the_square(tmp_path, quarters):
    pixels = read_pixels(save(tmp_path / "wide.png", quarters.repeat(3, axis=1)), 32)
    np.testing.assert_array_equal(pixels[[4, 4, 28, 28], [4, 28, 4, 28]], quarters[[4, 4, 28, 28], [4, 28, 4, 28]])


def test_shrinking_averages_instead_of_picking(tmp_path):
    board = (np.indices((512, 512)).sum(axis=0) % 2 * 255).astype(np.uint8)
    assert np.ptp(read_pixels(save(tmp_path / "board.png", board), 16)) <= 2
    assert abs(int(read_pixels(tmp_path / "board.png", 16).mean()) - 127) <= 1


def test_a_jpeg_decoded_at_a_fraction_looks_like_one_decoded_whole(tmp_path):
    rng = np.random.default_rng(0)
    smooth = Image.fromarray(rng.integers(0, 256, (12, 12, 3), dtype=np.uint8)).resize((1600, 1200), Image.BICUBIC)
    smooth.save(tmp_path / "big.jpg", quality=95)
    with Image.open(tmp_path / "big.jpg") as whole:
        expected = np.asarray(whole.resize((64, 64), Image.Resampling.BICUBIC)).astype(int)
    assert np.abs(read_pixels(tmp_path / "big.jpg", 64) - expected).max() <= 4


@pytest.mark.parametrize("orientation", range(1, 9))
def test_camera_rotation_is_applied(tmp_path, quarters, orientation):
    stored = {
        1: quarters,
        2: quarters[:, ::-1],
        3: quarters[::-1, ::-1],
        4: quarters[::-1],
        5: quarters.transpose(1, 0, 2),
        6: np.rot90(quarters, 1),
        7: quarters[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(quarters, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(tmp_path / "turned.png", np.ascontiguousarray(stored), exif=exif)
    np.testing.assert_array_equal(read_pixels(path, 32), quarters)


def test_transparency_shows_a_white_ground(tmp_path):
    half = np.zeros((8, 8, 4), np.uint8)
    half[:, 4:, 3] = 255
    expected = np.full((8, 8, 3), 255)
    expected[:, 4:] = 0
    np.testing.assert_array_equal(read_pixels(save(tmp_path / "rgba.png", half), 8), expected)
    palette = Image.fromarray(np.tile(np.repeat([0, 1], 4), (8, 1)).astype(np.uint8), "P")
    palette.putpalette([9, 9, 9, 0, 0, 0])
    palette.save(tmp_path / "palette.png", transparency=0)
    np.testing.assert_array_equal(read_pixels(tmp_path / "palette.png", 8), expected)


def test_sixteen_bits_are_scaled_and_not_cut_off(tmp_path):
    ramp = np.tile(np.linspace(0, 65535, 16).round().astype(np.uint16), (16, 1))
    pixels = read_pixels(save(tmp_path / "deep.png", ramp), 16)
    np.testing.assert_array_equal(pixels[0, :, 1], (ramp[0] / 257).round())


@pytest.mark.parametrize(("mode", "value"), [("1", 1), ("L", 255), ("CMYK", (0, 0, 0, 0)), ("LAB", (255, 128, 128))])
def test_other_colour_modes_become_rgb(tmp_path, mode, value):
    Image.new(mode, (8, 8), value).save(tmp_path / "a.tif")
    assert (read_pixels(tmp_path / "a.tif", 8) >= 254).all()


def test_an_animation_gives_its_first_frame(tmp_path, quarters):
    first, second = Image.fromarray(quarters), Image.new("RGB", (32, 32))
    first.save(tmp_path / "a.gif", save_all=True, append_images=[second])
    np.testing.assert_array_equal(read_pixels(tmp_path / "a.gif", 32), quarters)


def damaged(kind):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, "JPEG" if kind == "truncated" else "PNG")
    return {"truncated": buffer.getvalue()[:-900], "empty": b"", "text": b"hello" * 99}[kind]


@pytest.mark.parametrize(
    ("kind", "reason"), [("truncated", "truncated"), ("empty", "empty file"), ("text", "not an image")]
)
def test_an_unreadable_file_is_refused_by_name_and_reason(tmp_path, kind, reason):
    (tmp_path / "bad.jpg").write_bytes(damaged(kind))
    with pytest.raises(InputError, match=rf"bad\.jpg cannot be read as an image \({reason}\)"):
        read_pixels(tmp_path / "bad.jpg", 16)
    with pytest.raises(InputError, match=r"gone\.jpg cannot be opened \(No such file"):
        read_pixels(tmp_path / "gone.jpg", 16)


@pytest.mark.parametrize("pixels", [150, 350])
def test_a_bomb_is_refused_below_and_above_twice_the_limit(tmp_path, monkeypatch, pixels):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    Image.new("RGB", (10, pixels // 10)).save(tmp_path / "bomb.png")
    with pytest.raises(InputError, match="million pixels"):
        read_pixels(tmp_path / "bomb.png", 4)


@pytest.mark.parametrize("suffix", ["jpg", "png", "gif", "webp", "tif", "bmp"])
def test_random_damage_is_read_or_refused_and_never_crashes(tmp_path, save_noise, suffix):
    whole = save_noise(tmp_path / f"a.{suffix}", 1).read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(15):
        data = bytearray(whole)
        for place in rng.integers(0, len(data), 6):
            data[place] = rng.integers(256)
        (tmp_path / f"b.{suffix}").write_bytes(data[: rng.integers(1, len(data) + 1)])
        try:
            assert read_pixels(tmp_path / f"b.{suffix}", 8).shape == (8, 8, 3)
        except InputError as error:
            assert "\n" not in str(error)


def test_images_are_loaded_in_the_order_asked(tmp_path, save_noise):
    paths = [save_noise(tmp_path / f"{seed}.png", seed).name for seed in range(9)][::-1]
    pixels = load_pixels(tmp_path, paths, 16)
    np.testing.assert_array_equal(pixels, [read_pixels(tmp_path / path, 16) for path in paths])


def test_no_images_give_an_empty_array(tmp_path):
    assert load_pixels(tmp_path, [], 16, tmp_path / "cache").shape == (0, 16, 16, 3)


@pytest.mark.parametrize("keys", [None, ["k0", "k1"]])
def test_a_cache_is_read_without_the_images(tmp_path, save_noise, keys):
    paths = [save_noise(tmp_path / f"{seed}.png", seed).name for seed in range(2)]
    plain = load_pixels(tmp_path, paths, 16)
    first = load_pixels(tmp_path, paths, 16, tmp_path / "cache", keys)
    if keys:
        for path in paths:
            (tmp_path / path).unlink()
    again = load_pixels(tmp_path, paths, 16, tmp_path / "cache", keys)
    np.testing.assert_array_equal(first, plain)
    np.testing.assert_array_equal(again, plain)
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_a_cache_tells_sizes_orders_and_contents_apart(tmp_path, save_noise):
    paths = [save_noise(tmp_path / f"{seed}.png", seed).name for seed in range(2)]
    cache = tmp_path / "cache"
    load_pixels(tmp_path, paths, 16, cache)
    assert load_pixels(tmp_path, paths, 8, cache).shape == (2, 8, 8, 3)
    np.testing.assert_array_equal(load_pixels(tmp_path, paths[::-1], 16, cache), load_pixels(tmp_path, paths[::-1], 16))
    save_noise(tmp_path / "0.png", 7)
    np.testing.assert_array_equal(load_pixels(tmp_path, paths, 16, cache), load_pixels(tmp_path, paths, 16))


def test_stored_images_are_read_by_number_by_slice_and_by_list(tmp_path, save_noise):
    paths = [save_noise(tmp_path / f"{seed}.png", seed).name for seed in range(5)]
    plain, stored = load_pixels(tmp_path, paths, 16), load_pixels(tmp_path, paths, 16, tmp_path / "cache")
    assert (len(stored), stored.shape, stored.dtype) == (5, (5, 16, 16, 3), np.uint8)
    np.testing.assert_array_equal(stored[3], plain[3])
    np.testing.assert_array_equal(stored[-1], plain[4])
    np.testing.assert_array_equal(stored[1:4], plain[1:4])
    np.testing.assert_array_equal(stored[[4, 0, 0]], plain[[4, 0, 0]])
    assert stored[[]].shape == (0, 16, 16, 3)
    with pytest.raises(IndexError):
        stored[5]


def test_a_jpeg_looks_the_same_whoever_decodes_it(tmp_path):
    """A plain JPEG is decoded by TensorFlow; the same with a word on its orientation by Pillow."""
    smooth = Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 12, 3), dtype=np.uint8)).resize((480, 320))
    smooth.save(tmp_path / "plain.jpg", quality=95)
    exif = Image.Exif()
    exif[0x0112] = 1
    smooth.save(tmp_path / "worded.jpg", quality=95, exif=exif)
    for size in (32, 150, 400):
        plain, worded = (read_pixels(tmp_path / name, size).astype(int) for name in ("plain.jpg", "worded.jpg"))
        assert np.abs(plain - worded).max() <= 1
        expected = np.asarray(smooth.resize((size, size), Image.Resampling.BICUBIC)).astype(int)
        assert np.abs(plain - expected).mean() < 4


def test_a_jpeg_that_tensorflow_refuses_is_left_to_pillow(tmp_path, save_noise, monkeypatch):
    """TensorFlow knows no JPEG in CMYK; the images around it come in their order."""
    paths = [save_noise(tmp_path / f"{seed}.jpg", seed).name for seed in range(3)]
    with Image.open(tmp_path / "1.jpg") as image:
        image.convert("CMYK").save(tmp_path / "1.jpg")
    pixels = load_pixels(tmp_path, paths, 48)
    monkeypatch.setattr("facemask_ensemble.data.reader._branch", lambda *_: tf.constant(1))  # TensorFlow, which fails
    reader._reading.cache_clear()
    np.testing.assert_allclose(load_pixels(tmp_path, paths, 48).astype(int), pixels.astype(int), atol=1)
    reader._reading.cache_clear()


def test_a_failed_reading_leaves_nothing_in_the_cache(tmp_path, save_noise):
    save_noise(tmp_path / "a.png", 0)
    (tmp_path / "b.png").write_bytes(b"")
    with pytest.raises(InputError, match=r"b\.png"):
        load_pixels(tmp_path, ["a.png", "b.png"], 16, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_full_disk_is_refused_with_the_space_needed(tmp_path, save_noise, monkeypatch):
    def refuse(*_):
        raise OSError(28, os.strerror(28))

    save_noise(tmp_path / "a.png", 0)
    monkeypatch.setattr("pathlib.Path.replace", refuse)
    with pytest.raises(InputError, match=r"cannot hold 1 MB of pixels \(No space left on device\): free"):
        load_pixels(tmp_path, ["a.png"], 512, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_several_readers_may_fill_one_cache_at_once(tmp_path, save_noise):
    paths = [save_noise(tmp_path / f"{seed}.png", seed).name for seed in range(20)]
    expected, found = load_pixels(tmp_path, paths, 16), []
    readers = [
        threading.Thread(target=lambda: found.append(load_pixels(tmp_path, paths, 16, tmp_path / "cache")))
        for _ in range(4)
    ]
    for thread in readers:
        thread.start()
    for thread in readers:
        thread.join()
    assert len(found) == 4
    for pixels in found:
        np.testing.assert_array_equal(pixels, expected)
