import hashlib

import numpy as np
import pandas as pd
import pytest
import scipy
from PIL import Image

from facemask_ensemble.data import file_checks
from facemask_ensemble.data.file_checks import check, stat_files
from facemask_ensemble.data.perceptual_hash import looks


def rows_of(root):
    paths = pd.Series(sorted(file.name for file in root.iterdir()))
    return pd.concat([paths.rename("path"), stat_files(root, paths)], axis=1)


def bits_apart(one, other):
    return (int(one, 16) ^ int(other, 16)).bit_count()


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "images"
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
    contents = {"cut.jpg": whole[:-200], "empty.png": b"", "text.gif": b"no image"}
    for name, data in contents.items():
        (root / name).write_bytes(data)
    rows = pd.concat([rows_of(root), pd.DataFrame([{"path": "gone.png", "size": -1, "mtime_ns": -1}])])
    found = check(root, rows, tmp_path / "index").set_index("path")["reason"]
    assert found.to_dict() == {
        "good.png": "",
        "cut.jpg": "truncated",
        "empty.png": "empty file",
        "text.gif": "not an image",
        "gone.png": "cannot be opened: No such file or directory",
    }
    assert all((root / name).read_bytes() == data for name, data in contents.items())


def test_a_bomb_is_left_out(root, tmp_path, monkeypatch):
    Image.new("RGB", (20, 20)).save(root / "bomb.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 300)
    assert "million pixels" in check(root, rows_of(root), tmp_path / "index")["reason"].item()


def test_only_new_and_changed_files_are_read_again(root, tmp_path, save_noise, monkeypatch):
    for seed in range(3):
        save_noise(root / f"{seed}.png", seed)
    first = check(root, rows_of(root), tmp_path / "index")
    opened = []
    inspect = file_checks.inspect_file
    monkeypatch.setattr(file_checks, "inspect_file", lambda file: opened.append(file.name) or inspect(file))
    assert check(root, rows_of(root), tmp_path / "index").to_dict() == first.to_dict()
    assert opened == []
    save_noise(root / "1.png", 9)
    save_noise(root / "3.png", 3)
    check(root, rows_of(root), tmp_path / "index")
    assert sorted(opened) == ["1.png", "3.png"]


def look_of(image):
    small = np.asarray(image.convert("RGB").resize((32, 32), Image.Resampling.LANCZOS))
    [look], [mirrored] = looks(small[None])
    return look, mirrored


def test_looks_survive_scaling_and_compression_and_tell_images_apart(root, save_noise):
    with Image.open(save_noise(root / "a.png", 1)) as one, Image.open(save_noise(root / "b.png", 2)) as other:
        smooth = one.resize((6, 6)).resize((300, 200), Image.Resampling.BICUBIC)
        smooth.resize((200, 150)).save(root / "a.jpg", quality=60)
        with Image.open(root / "a.jpg") as copy:
            assert bits_apart(look_of(smooth)[0], look_of(copy)[0]) <= 6
        assert bits_apart(look_of(one)[0], look_of(other)[0]) >= 18
        mirrored = one.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        assert look_of(mirrored) == look_of(one)[::-1]


def test_a_look_is_the_signs_of_the_lowest_cosine_frequencies_about_their_median(save_noise, tmp_path):
    with Image.open(save_noise(tmp_path / "a.png", 3)) as image:
        small = np.asarray(image.resize((32, 32), Image.Resampling.BOX))
    grey = small @ [0.299, 0.587, 0.114]
    waves = scipy.fft.dctn(grey, norm=None)[:8, :8]
    bits = "".join("1" if wave > np.median(waves) else "0" for wave in waves.ravel())
    assert looks(small[None])[0] == [f"{int(bits, 2):016x}"]


def test_a_plain_image_has_no_look():
    faint = np.random.default_rng(0).integers(120, 124, (50, 50, 3), dtype=np.uint8)
    assert look_of(Image.new("RGB", (50, 50), "red")) == ("", "")
    assert look_of(Image.fromarray(faint)) == ("", "")


def test_mean_colour_format_and_oddities_are_found(root, tmp_path):
    Image.new("RGB", (64, 40), (200, 100, 50)).save(root / "a.jpg", "WEBP", lossless=True)
    half = Image.new("RGBA", (40, 40), (0, 0, 0, 255))
    half.paste((9, 9, 9, 0), (0, 0, 20, 40))
    half.save(root / "b.png")
    found = check(root, rows_of(root), tmp_path / "index").set_index("path")
    assert found.loc["a.jpg", ["format", "odd"]].tolist() == ["WEBP", "WEBP named .jpg: read by its content"]
    assert found.loc["a.jpg", ["red", "green", "blue"]].tolist() == [200, 100, 50]
    assert found.loc["b.png", ["format", "odd"]].tolist() == ["PNG", "transparent: put on white"]
    assert found.loc["b.png", ["red", "green", "blue"]].tolist() == [127.5, 127.5, 127.5]


def test_processes_find_what_threads_find(root, save_noise, monkeypatch):
    files = [save_noise(root / f"{seed}.png", seed) for seed in range(70)]
    (root / "bad.png").write_bytes(b"")
    by_threads = file_checks.inspect([*files, root / "bad.png"])
    monkeypatch.setattr(file_checks, "MANY", 50)
    pd.testing.assert_frame_equal(file_checks.inspect([*files, root / "bad.png"]), by_threads)
