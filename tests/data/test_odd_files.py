"""Odd files: what a dataset does with each; `python tests/data/test_odd_files.py` prints the table for the README."""

import io
import os
import resource
import shutil
import struct
import tempfile
import zlib
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facemask_ensemble.data.manifest import Manifest
from facemask_ensemble.data.pixel_cache import load_pixels
from facemask_ensemble.data.preparation import examine, prepare
from facemask_ensemble.data.sources import folders

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)
NOBODY = 65534
SIDE = 16  # of the square that pixels are looked up in


@dataclass(frozen=True)
class Odd:
    """A file, how it is laid into the folder, and what is to come of it."""

    title: str
    lay: Callable[[Path], None]  # given a folder of the class `cat`
    name: str = "odd.png"
    kept: bool = True
    words: str = ""  # all of `odd` where it is kept, a part of `reason` where it is not
    size: tuple[int, int] | None = None
    top: tuple[int, int, int] | None = None  # pixel in the middle of the upper edge
    bottom: tuple[int, int, int] | None = None
    closed: bool = False  # to be looked at by a user without permission


def written(data, name="odd.png"):
    return lambda home: (home / name).write_bytes(data() if callable(data) else data)


def linked(target):
    """Link to a path relative to the folder of images, or beside the link where it names no class."""

    def lay(home):
        root = next(folder for folder in home.parents if folder.name == "images")
        os.symlink(os.path.relpath(root / target, home) if "/" in target else target, home / "odd.png")

    return lay


def encoded(image, kind, **options):
    content = io.BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


def plain(mode="RGB", colour=RED, size=(40, 40)):
    return Image.new(mode, size, colour)


def noise(seed):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (48, 48, 3), dtype=np.uint8))


def truncated():
    whole = encoded(noise(700), "JPEG")
    return whole[: len(whole) * 6 // 10]


def png(width, height, depth, colour, compressed):
    """Write a PNG around compressed rows, by the chunks of its specification."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", compressed) + chunk(b"IEND", b"")


def deep_colours():
    row = b"\0" + struct.pack(">3H", 0x4040, 0x8080, 0xC0C0) * 40
    return png(40, 40, 16, 2, zlib.compress(row * 40))


def enormous(side=20_000):
    """Compress one block of zero rows, repeat the result, and end with the checksum of so many zeros."""
    press = zlib.compressobj(9)
    rows = 200
    row = 3 * side + 1
    first = press.compress(bytes(rows * row)) + press.flush(zlib.Z_FULL_FLUSH)
    block = press.compress(bytes(rows * row)) + press.flush(zlib.Z_FULL_FLUSH)
    blocks = first + block * (side // rows - 1)
    end = b"\3\0" + struct.pack(">HH", side * row % 65521, 1)
    return png(side, side, 8, 2, blocks + end)


def palette(**options):
    image = Image.new("P", (40, 40), 1)
    image.putpalette([*BLUE, *RED])
    return encoded(image, "PNG", **options)


def animation():
    first, *more = (plain(colour=colour) for colour in (GREEN, RED, BLUE))
    return encoded(first, "GIF", save_all=True, append_images=more)


def turned():
    """A camera's image, 60x40 as stored, red at the left: its first column is to be the upper edge."""
    image = plain(colour=BLUE, size=(60, 40))
    image.paste(RED, (0, 0, 30, 40))
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(image, "JPEG", exif=exif, quality=95)


def no_permission(home):
    file = home / "odd.png"
    file.write_bytes(encoded(plain(), "PNG"))
    file.chmod(0)


CASES = [
    Odd("truncated JPEG", written(truncated, "odd.jpg"), "odd.jpg", False, "truncated"),
    Odd("empty file", written(b"", "odd.jpg"), "odd.jpg", False, "empty file"),
    Odd("text named .jpg", written(b"no image", "odd.jpg"), "odd.jpg", False, "not an image"),
    Odd(
        "CMYK JPEG", written(lambda: encoded(plain("CMYK", (0, 255, 255, 0)), "JPEG"), "odd.jpg"), "odd.jpg",
        words="CMYK: read as RGB", size=(40, 40), top=(254, 0, 0),
    ),
    Odd(
        "16-bit grey PNG", written(lambda: encoded(Image.fromarray(np.full((40, 40), 0x4040, np.uint16)), "PNG")),
        words="16 bits a channel: scaled to 8", top=(64, 64, 64),
    ),
    Odd(
        "16-bit colour PNG", written(deep_colours), words="16 bits a channel: scaled to 8", top=(64, 128, 192),
    ),
    Odd("palette PNG", written(palette), words="palette colours: read as RGB", top=RED),
    Odd(
        "palette PNG with a transparent colour", written(lambda: palette(transparency=1)),
        words="palette colours: read as RGB; transparent: put on white", top=(255, 255, 255),
    ),
    Odd(  # 200 * 128/255 + 255 * 127/255 = 227.4, and 127
        "RGBA PNG, half transparent", written(lambda: encoded(plain("RGBA", (200, 0, 0, 128)), "PNG")),
        words="transparent: put on white", top=(227, 127, 127),
    ),
    Odd(
        "animated GIF", written(animation, "odd.gif"), "odd.gif",
        words="palette colours: read as RGB; animation of 3 frames: the first is read", top=GREEN,
    ),
    Odd(
        "WebP named .jpg", written(lambda: encoded(plain(), "WEBP", lossless=True), "odd.jpg"), "odd.jpg",
        words="WEBP named .jpg: read by its content", top=RED,
    ),
    Odd(".webp", written(lambda: encoded(plain(), "WEBP", lossless=True), "odd.webp"), "odd.webp", top=RED),
    Odd(".bmp", written(lambda: encoded(plain(), "BMP"), "odd.bmp"), "odd.bmp", top=RED),
    Odd(
        "JPEG turned by its EXIF orientation", written(turned, "odd.jpg"), "odd.jpg",
        words="turned upright by its EXIF orientation", size=(40, 60), top=(254, 0, 0), bottom=(0, 0, 254),
    ),
    Odd("20000x20000 PNG", written(enormous), kept=False, words="million pixels"),
    Odd(
        "1x1 image", written(lambda: encoded(plain(size=(1, 1)), "PNG")),
        words="smaller than 32 pixels", size=(1, 1), top=RED,
    ),
    Odd("file without permission to read", no_permission, kept=False, words="cannot be opened", closed=True),
    Odd("symbolic link out of the folder", linked("../elsewhere.png"), kept=False, words="leaves dataset.root"),
    Odd("symbolic link in a loop", linked("odd.png"), kept=False, words="a symbolic link that loops"),
    Odd("symbolic link to nothing", linked("gone.png"), kept=False, words="a symbolic link to nothing"),
    Odd("symbolic link to its own folder", linked("."), kept=False, words="a folder that holds it, a loop"),
    Odd("symbolic link to another folder", linked("dog/"), kept=False, words="a symbolic link to a folder"),
    Odd("symbolic link to an image in the folder", linked("cat/sound.png"), size=(48, 48)),
    Odd("named pipe", lambda home: os.mkfifo(home / "odd.png"), kept=False, words="a pipe"),
    Odd(
        "name with spaces", written(lambda: encoded(plain(), "PNG"), " my  face .png"), " my  face .png",
        top=RED,
    ),
    Odd(
        "name in letters other than Latin", written(lambda: encoded(plain(), "PNG"), "マスク é маска.png"),
        "マスク é маска.png", top=RED,
    ),
    Odd(
        "name with a line break", written(lambda: encoded(plain(), "PNG"), "two\nlines.png"), "two\nlines.png",
        kept=False, words="line break",
    ),
    Odd("same name in two classes", written(lambda: encoded(noise(900), "PNG"), "1.png"), "1.png", size=(48, 48)),
    Odd(".JPG", written(lambda: encoded(plain(), "JPEG"), "odd.JPG"), "odd.JPG", top=(254, 0, 0)),
    Odd(".PNG", written(lambda: encoded(plain(), "PNG"), "odd.PNG"), "odd.PNG", top=RED),
    Odd("file that is no image", written(b"x", "notes.txt"), "notes.txt", False, "suffix .txt"),
]  # fmt: skip


def snapshot(root):
    """Every name below a folder with its time of change, its permissions, and its bytes or where it points."""
    found = {}
    for file in [root, *root.rglob("*")]:
        about = file.lstat()
        content = os.readlink(file) if file.is_symlink() else file.read_bytes() if file.is_file() else None
        found[file.relative_to(root)] = (about.st_mode, about.st_size, about.st_mtime_ns, content)
    return found


@contextmanager
def without_privilege():
    """Be a user to whom permissions apply: root reads everything."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


def make_place(sound):
    """A folder that every user may enter, with `images` of two classes and `out` for all to write."""
    place = Path(tempfile.mkdtemp(dir="/tmp"))
    place.chmod(0o755)
    for number, name in enumerate(("cat", "dog")):
        (place / "images" / name).mkdir(parents=True)
        noise(100 * number).save(place / "images" / name / "sound.png")
        for index in range(1, sound):
            noise(100 * number + index).save(place / "images" / name / f"{index}.png")
    noise(1000).save(place / "elsewhere.png")
    (place / "out").mkdir()
    (place / "out").chmod(0o777)
    return place


@pytest.fixture
def new_place():
    made = []
    yield lambda sound: made.append(make_place(sound)) or made[-1]
    for place in made:
        shutil.rmtree(place)


def listed(path):
    """The way a path stands in tables, which take no line break."""
    return ascii(path) if "\n" in path else path


def findings(root, out):
    """Go through a real source and its checks: rows of what is read, reasons of what is left out."""
    listing = folders(root)
    checked = examine(listing, out).set_index("path")
    reasons = [*zip(listing.quarantine["path"], listing.quarantine["reason"], strict=True)]
    reasons += checked.loc[checked["reason"] != "", "reason"].items()
    assert len(dict(reasons)) == len(reasons)
    return checked[checked["reason"] == ""], dict(reasons)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.title.replace(" ", "_"))
def test_an_odd_file_is_read_or_left_out_as_stated_and_never_touched(case, new_place):
    place = new_place(sound=1)
    root, path = place / "images", f"cat/{case.name}"
    findings(root, place / "out")  # imports what a user without privilege might not reach
    case.lay(root / "cat")
    before, peak = snapshot(root), peak_memory()
    with without_privilege():
        rows, left_out = findings(root, place / "out")
    assert snapshot(root) == before
    assert peak_memory() - peak < 300_000  # kB; the largest file decodes to 1.2 GB
    assert {*rows.index, *left_out} == {"cat/sound.png", "dog/sound.png", listed(path)}
    if not case.kept:
        assert case.words in left_out[listed(path)]
        return
    row = rows.loc[path]
    assert (row["odd"], row["label"]) == (case.words, 0)
    assert case.size in (None, (row["width"], row["height"]))
    (image,) = np.asarray(load_pixels(root, [path], SIDE)).astype(int)
    if case.top:
        np.testing.assert_allclose(image[0, SIDE // 2], case.top, atol=2)
        np.testing.assert_allclose(image[-1, SIDE // 2], case.bottom or case.top, atol=2)


def peak_memory():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def lay_all(root):
    """Lay every odd file that needs no other user into a folder of its own, and map its path to its case."""
    laid = {}
    for number, case in enumerate(case for case in CASES if not case.closed):
        home = root / "cat" / f"{number:02d}"
        home.mkdir()
        case.lay(home)
        laid[f"cat/{number:02d}/{case.name}"] = case
    return laid


def test_a_folder_of_odd_files_becomes_a_manifest_that_says_what_it_left_out(tmp_path, new_place):
    place = new_place(sound=12)
    root = place / "images"
    sound = {path.relative_to(root).as_posix() for path in root.rglob("*.png")}
    laid = lay_all(root)
    before = snapshot(root)
    settings = {"limit": None, "validation": 0.2, "test": 0.2, "seed": 0, "near_duplicates": None}
    manifest = prepare("odd", folders(root), tmp_path / "out", **settings)
    assert snapshot(root) == before
    assert set(manifest.rows["path"]) == sound | {path for path, case in laid.items() if case.kept}
    quarantine = Manifest.load(tmp_path / "out").quarantine
    expected = {listed(path): case.words for path, case in laid.items() if not case.kept}
    assert set(quarantine["path"]) == set(expected)
    assert all(expected[row.path] in row.reason for row in quarantine.itertuples())


def markdown():
    """Write the table of odd files, as found by laying each of them."""
    lines = ["| file | what happens |", "| --- | --- |"]
    for case in CASES:
        place = make_place(sound=1)
        root, path = place / "images", f"cat/{case.name}"
        findings(root, place / "out")
        case.lay(root / "cat")
        with without_privilege():
            rows, left_out = findings(root, place / "out")
        if listed(path) in left_out:
            said = f"left out: {left_out[listed(path)]}"
        else:
            said = f"read ({odd})" if (odd := rows.loc[path, "odd"]) else "read"
        lines.append(f"| {case.title} | {said} |")
        shutil.rmtree(place)
    return "\n".join(lines)


if __name__ == "__main__":
    print(markdown())
