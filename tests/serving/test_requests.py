"""Requests: bytes, arrays of pixels, and paths below one folder and nowhere else."""

import io
import os

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from facemask_ensemble.data.decoding import ImageError, decode
from facemask_ensemble.errors import InputError
from facemask_ensemble.serving.requests import read_below, requested, rows_of
from facemask_ensemble.serving.uploads import Limits

LIMITS = Limits(megabytes=0.1, megapixels=0.01)
PIXELS = np.random.default_rng(0).integers(0, 256, (7, 9, 3), np.uint8)


@pytest.fixture
def root(tmp_path):
    """A folder that may be read, with links out of it, and a secret beside it."""
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "s.png").write_bytes(png())
    root = tmp_path / "root"
    (root / "sub").mkdir(parents=True)
    (root / "a.png").write_bytes(png())
    (root / "sub" / "b c.png").write_bytes(png())
    (root / "inside.png").symlink_to("sub/b c.png")
    (root / "out.png").symlink_to("../secret/s.png")
    (root / "away").symlink_to(tmp_path / "secret")
    (root / "loop").symlink_to("loop")
    (root / "secret2").mkdir()
    os.mkfifo(root / "pipe")
    return root


def png(pixels=PIXELS):
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG")
    return content.getvalue()


def read(root=None, **row):
    return requested(row, root, LIMITS).read()


@pytest.mark.parametrize("path", ["a.png", "sub/b c.png", "inside.png", "./a.png", "sub//b c.png"])
def test_a_path_below_the_root_is_read(root, path):
    assert read(root, path=path) == png()


@pytest.mark.parametrize(
    "path",
    [
        "../secret/s.png",
        "sub/../../secret/s.png",
        "sub/../a.png",
        "..\\secret\\s.png",
        "/etc/passwd",
        "{root}/a.png",
        "{root}/../secret/s.png",
        "//host/share/a.png",
        "C:\\a.png",
        "C:a.png",
        "\\\\host\\a.png",
        "a.png\0.txt",
    ],
)
def test_a_path_that_leads_out_by_its_name_is_refused_before_anything_is_looked_at(root, path, monkeypatch):
    given = path.format(root=root)
    monkeypatch.setattr(os, "open", lambda *_: pytest.fail("something was opened"))
    with pytest.raises(ImageError) as error:
        read(root, path=given)
    assert str(error.value) == "not a path below the server's image folder"


@pytest.mark.parametrize(
    "path",
    ["out.png", "away/s.png", "away", "loop", "pipe", "sub", "missing.png", "a.png/b.png", "~/a.png", "file:///a.png"],
)
def test_what_is_no_file_below_the_root_is_absent_whatever_it_is(root, path):
    with pytest.raises(ImageError) as error:
        read(root, path=path)
    assert str(error.value) == "no such file below the server's image folder"


def test_no_path_is_opened_without_a_root(root, monkeypatch):
    monkeypatch.chdir(root)
    for path in ("a.png", str(root / "a.png")):
        with pytest.raises(ImageError, match="this server opens no paths; send the image's bytes"):
            read(None, path=path)


def test_of_a_file_no_more_is_read_than_the_limits_allow(root):
    (root / "large.png").write_bytes(png() + bytes(1_000_000))
    assert len(read_below(root, "large.png", LIMITS)) == 100_001
    with pytest.raises(ImageError, match="larger than 0.1 MB"):
        read(root, path="large.png")


def test_a_path_beside_bytes_is_a_name_alone(root):
    item = requested({"image": png(PIXELS[:3]), "path": "sub/x.png"}, root, LIMITS)
    assert (item.name, item.read()) == ("x.png", png(PIXELS[:3]))


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_bytes_of_any_kind_are_taken(kind):
    assert read(image=kind(png())) == png()


@pytest.mark.parametrize(
    "given", [PIXELS, PIXELS.tolist(), PIXELS.astype(int), list(PIXELS), [[*map(list, row)] for row in PIXELS]]
)
def test_pixels_come_out_as_they_went_in(given):
    np.testing.assert_array_equal(np.asarray(decode(read(pixels=given))), PIXELS)


@pytest.mark.parametrize(
    "given",
    [
        PIXELS[..., 0], PIXELS[..., :2], PIXELS / 255, PIXELS - 1.0, PIXELS.astype(int) - 300, PIXELS.astype(int) + 256,
        np.zeros((0, 4, 3), int), [], [[1, 2], [3]], [["a"]], [[[1, 2, None]]], [[[True, False, True]]],
    ],
)  # fmt: skip
def test_pixels_that_are_none_have_a_reason(given):
    with pytest.raises(ImageError, match=r"pixels are whole numbers from 0 to 255 of shape \(height, width, 3\)"):
        read(pixels=given)


def test_pixels_are_limited_like_files():
    with pytest.raises(ImageError, match="more than 0.01 million pixels"):
        read(pixels=np.zeros((101, 100, 3), np.uint8))
    with pytest.raises(ImageError, match="larger than 0.02 MB"):
        requested({"pixels": np.zeros((99, 99, 3), np.uint8)}, None, Limits(0.02, 0.01)).read()


@pytest.mark.parametrize(
    "row",
    [
        {},
        {"image": None},
        {"image": float("nan"), "path": float("nan")},
        {"image": "a.png"},
        {"path": ""},
        {"x": 1},
    ],
)
def test_a_row_without_an_image_says_what_to_give(row):
    with pytest.raises(ImageError, match="no image: give its bytes as `image`, its `pixels`, or a `path`"):
        read(**row)


def test_an_empty_image_is_empty_and_no_file_is_opened_in_its_stead(root):
    with pytest.raises(ImageError, match="empty file"):
        read(root, image=b"", path="a.png")


def test_tables_arrays_and_lists_are_rows():
    assert rows_of(pd.DataFrame({"image": [b"a", None], "path": ["x", "y"]})) == [
        {"image": b"a", "path": "x"}, {"image": None, "path": "y"}
    ]  # fmt: skip
    assert [row["pixels"].shape for row in rows_of(np.stack([PIXELS] * 2))] == [(7, 9, 3)] * 2
    assert rows_of([b"a", {"path": "x"}]) == [{"image": b"a"}, {"path": "x"}]
    assert rows_of(pd.DataFrame({"image": []})) == []


def test_a_table_without_a_column_for_images_is_refused():
    with pytest.raises(InputError, match="the table has none of the columns image, path, pixels: give"):
        rows_of(pd.DataFrame({"foo": [b"a"]}))


def test_a_name_is_shown_in_printable_signs(root):
    assert requested({"path": "sub/\x1b[31m\n.png"}, root, LIMITS).name == "sub/?[31m?.png"
