"""What an input names, in which order, and what of it cannot be read."""

import io
import os
import sys
import tarfile
import zipfile
from types import SimpleNamespace

import pytest

from facemask_ensemble.data import input_images
from facemask_ensemble.data.decoding import ImageError
from facemask_ensemble.data.inputs import open_input
from facemask_ensemble.errors import InputError


def names(given):
    return [item.name for item in open_input(str(given)).items()]


def contents(given):
    """Read the items as they come, the reasons of those that cannot be read in their place."""
    found = {}
    for item in open_input(str(given)).items():
        try:
            found[item.name] = item.read()
        except ImageError as error:
            found[item.name] = str(error)
    return found


@pytest.fixture
def folder(tmp_path):
    """Images, which here are their own names, among other things."""
    for name in ("b.jpg", "a.PNG", "deep/c.jpg", "deep-er/d.jpg", ".hidden/e.jpg", "._b.jpg", "notes.txt"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_text(name)
    return tmp_path / "in"


def test_a_folder_is_gone_through_in_the_order_of_its_paths_as_often_as_wanted(folder):
    found = open_input(str(folder))
    expected = [f"{folder}/{name}" for name in ("a.PNG", "b.jpg", "deep/c.jpg", "deep-er/d.jpg")]
    assert [item.name for item in found.items()] == expected
    assert [item.read() for item in found.items()] == [b"a.PNG", b"b.jpg", b"deep/c.jpg", b"deep-er/d.jpg"]
    assert found.count() == 4


def test_an_image_and_a_glob_are_what_they_name(folder):
    assert names(folder / "notes.txt") == ["notes.txt"]
    (folder / "odd name").write_text("x")
    assert names(folder / "odd name") == [f"{folder}/odd name"]
    assert names(f"{folder}/**/*.jpg") == [f"{folder}/{name}" for name in ("b.jpg", "deep/c.jpg", "deep-er/d.jpg")]


def test_a_list_has_a_path_a_line_and_what_is_missing_keeps_its_place(folder):
    (folder / "list.txt").write_bytes(f"\ufeff{folder}/b.jpg\r\n\n{folder}/gone.jpg\n{folder}\n{folder}/a.PNG".encode())
    assert contents(folder / "list.txt") == {
        f"{folder}/b.jpg": b"b.jpg",
        f"{folder}/gone.jpg": "cannot be opened: No such file or directory",
        f"{folder}": "not a file",
        f"{folder}/a.PNG": b"a.PNG",
    }
    assert open_input(str(folder / "list.txt")).count() == 4


def test_paths_come_from_standard_input_one_by_one(folder, monkeypatch):
    given = io.BytesIO(f"{folder}/b.jpg\n{folder}/a.PNG\n".encode())
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=given))
    found = open_input("-")
    assert (found.key, found.count()) == ("-", None)
    input_images = found.items()
    assert next(input_images).read() == b"b.jpg"
    assert next(input_images).read() == b"a.PNG"


def test_a_pipe_in_a_list_is_not_waited_for(folder):
    os.mkfifo(folder / "pipe.jpg")
    (folder / "list.txt").write_text(f"{folder}/pipe.jpg\n")
    assert contents(folder / "list.txt") == {f"{folder}/pipe.jpg": "not a file"}


def test_a_name_that_no_line_can_hold_is_written_in_escapes(folder):
    (folder / "two\nlines.jpg").write_text("x")
    assert f"{folder}/two\\nlines.jpg" in names(folder)


MEMBERS = {"x/b.jpg": b"1", "a.png": b"2", "__MACOSX/x/._b.jpg": b"3", "notes.txt": b"4", "../../c.jpg": b"5"}


def pack(path):
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in MEMBERS.items():
                archive.writestr(name, data)
        return path
    with tarfile.open(path, "w" if path.suffix == ".tar" else "w:gz") as archive:
        for name, data in MEMBERS.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        link = tarfile.TarInfo("link.jpg")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    return path


@pytest.mark.parametrize("suffix", [".zip", ".tar", ".tar.gz", ".tgz"])
def test_an_archive_is_read_in_its_own_order_without_being_unpacked(tmp_path, suffix):
    path = pack(tmp_path / f"photos{suffix}")
    found = contents(path)
    links = {} if suffix == ".zip" else {f"{path}/link.jpg": "not a file"}
    assert found == {f"{path}/x/b.jpg": b"1", f"{path}/a.png": b"2", f"{path}/../../c.jpg": b"5"} | links
    assert list(found) == names(path)
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("suffix", [".zip", ".tar.gz"])
def test_what_unfolds_beyond_the_limit_is_no_image(tmp_path, suffix, monkeypatch):
    monkeypatch.setattr(input_images, "MOST_BYTES", 1_000_000)
    MEMBERS["bomb.jpg"] = bytes(1_000_001)
    try:
        path = pack(tmp_path / f"photos{suffix}")
    finally:
        del MEMBERS["bomb.jpg"]
    found = contents(path)
    assert path.stat().st_size < 10_000
    assert found[f"{path}/bomb.jpg"] == "larger than 1 MB"
    assert found[f"{path}/a.png"] == b"2"


def test_a_damaged_member_of_a_zip_leaves_the_others(tmp_path):
    path = pack(tmp_path / "photos.zip")
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        place = archive.getinfo("a.png").header_offset
    data[place + 30 + len("a.png")] ^= 0xFF
    path.write_bytes(data)
    found = contents(path)
    assert found[f"{path}/a.png"].startswith("cannot be unpacked")
    assert found[f"{path}/x/b.jpg"] == b"1"


def test_a_tar_that_breaks_off_gives_what_came_before(tmp_path):
    path = pack(tmp_path / "photos.tar")
    path.write_bytes(path.read_bytes()[:1536])  # the second member's header, and nothing of it
    input_images = open_input(str(path)).items()
    assert next(input_images).read() == b"1"
    with pytest.raises(InputError, match="the archive is damaged"):
        list(input_images)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nowhere.jpg", "no such image, folder or glob"),
        ("", "a folder without an image"),
        ("empty.txt", "there is no image in it"),
        ("broken.zip", "the archive is damaged"),
        ("broken.tar.gz", "the archive is damaged"),
    ],
)
def test_an_input_without_an_image_is_refused(tmp_path, name, words):
    for file in ("empty.txt", "broken.zip", "broken.tar.gz"):
        (tmp_path / file).touch()
    with pytest.raises(InputError, match=words):
        open_input(str(tmp_path / name))


def test_an_image_that_cannot_be_unpacked_is_refused_alone(tmp_path):
    """One member claims a compression that nobody knows, and one a password."""
    archive = tmp_path / "odd.zip"
    with zipfile.ZipFile(archive, "w") as made:
        for name in ("known.png", "locked.png", "unknown.png"):
            made.writestr(name, b"some bytes")
    content = bytearray(archive.read_bytes())
    for name, offset, value in ((b"locked.png", 8, 1), (b"unknown.png", 10, 99)):
        central = content.rindex(name) - 46  # the directory's entry; flags lie 8 bytes in, the method 10
        content[central + offset] = value
    archive.write_bytes(content)
    known, locked, unknown = open_input(str(archive)).items()
    assert known.read() == b"some bytes"
    with pytest.raises(ImageError, match="cannot be unpacked: .*(password|encrypted)"):
        locked.read()
    with pytest.raises(ImageError, match="cannot be unpacked: .*compression"):
        unknown.read()
