import hashlib

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from facemask_ensemble.data import ingest
from facemask_ensemble.data.ingest import check, looks, stat_files


def rows_of(root):
    paths = pd.Series(sorted(file.name for file in root.iterdir()))
    return pd.concat([paths.rename("path"), stat_files(root, paths)], axis=1)


def bits_apart(one, other):
    return (int(one, 16) ^ int(other, 16)).bit_count()


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    return folder


def test_a_sound_file_gets_its_sha256_and_upright_size(root, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (30, 20)).save(root / "turned.jpg", exif=exif)
    found = check(root, rows_of(root), tmp_path / "index").iloc[0]
    assert found["sha256"] == hashlib.sha256((root / "turned.jpg").read_bytes()).hexdigest()
    assert (found["width"], found["height"], found["reason"]) == (20, 30, "")


def test_unreadable_files_get_a_plain_reason_and_stay_as_they_were(root, tmp_path, save_noise):
    save_noise(root / "good.png", 0)
    whole = save_noise(root / "cut.jpg", 1).read_bytes()
    contents = {"cut.jpg": whole[:-200], "empty.png": b"", "text.gif": b"no picture"}
    for name, data in contents.items():
        (root / name).write_bytes(data)
    rows = pd.concat([rows_of(root), pd.DataFrame([{"path": "gone.png", "size": -1, "mtime_ns": -1}])])
    found = check(root, rows, tmp_path / "index").set_index("path")["reason"]
    assert found.to_dict() == {
        "good.png": "",
        "cut.jpg": "truncated",
        "empty.png": "empty file",
        "text.gif": "not a picture",
        "gone.png": "cannot be opened: No such file or directory",
    }
    assert all((root / name).read_bytes() == data for name, data in contents.items())


def test_a_bomb_is_rejected(root, tmp_path, monkeypatch):
    Image.new("RGB", (20, 20)).save(root / "bomb.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 300)
    assert "million pixels" in check(root, rows_of(root), tmp_path / "index")["reason"].item()


def test_only_new_and_changed_files_are_read_again(root, tmp_path, save_noise, monkeypatch):
    for seed in range(3):
        save_noise(root / f"{seed}.png", seed)
    first = check(root, rows_of(root), tmp_path / "index")
    opened = []
    inspect = ingest.inspect
    monkeypatch.setattr(ingest, "inspect", lambda file: opened.append(file.name) or inspect(file))
    assert check(root, rows_of(root), tmp_path / "index").to_dict() == first.to_dict()
    assert opened == []
    save_noise(root / "1.png", 9)
    save_noise(root / "3.png", 3)
    check(root, rows_of(root), tmp_path / "index")
    assert sorted(opened) == ["1.png", "3.png"]


def test_looks_survive_scaling_and_compression_and_tell_pictures_apart(root, save_noise):
    with Image.open(save_noise(root / "a.png", 1)) as one, Image.open(save_noise(root / "b.png", 2)) as other:
        smooth = one.resize((6, 6)).resize((300, 200), Image.Resampling.BICUBIC)
        smooth.resize((200, 150)).save(root / "a.jpg", quality=60)
        with Image.open(root / "a.jpg") as copy:
            assert bits_apart(looks(smooth)[0], looks(copy)[0]) <= 6
        assert bits_apart(looks(one)[0], looks(other)[0]) >= 18
        mirrored = one.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        assert looks(mirrored) == looks(one)[::-1]


def test_a_plain_picture_has_no_look():
    faint = np.random.default_rng(0).integers(120, 124, (50, 50, 3), dtype=np.uint8)
    assert looks(Image.new("RGB", (50, 50), "red")) == ("", "")
    assert looks(Image.fromarray(faint)) == ("", "")
