"""Faces cut out of annotated photographs."""

import os
import stat
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from processes import HANG

from facemask_ensemble.data.sources import crops, face_crops
from facemask_ensemble.errors import InputError

STATES = ("with_mask", "without_mask", "mask_weared_incorrect")


def photo(root, name, faces, size=(200, 100), seed=0, drawn=True, **options):
    """Write a noisy photograph `name` and its annotation; faces are (state, box)."""
    objects = "".join(
        f"<object><name>{state}</name><bndbox>"
        + "".join(f"<{tag}>{at}</{tag}>" for tag, at in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True))
        + "</bndbox></object>"
        for state, box in faces
    )
    for folder in ("images", "annotations"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    text = f"<annotation><size><width>{size[0]}</width><height>{size[1]}</height></size>{objects}</annotation>"
    stem = name.rpartition(".")[0]
    (root / "annotations" / f"{stem}.xml").write_text(text)
    if drawn:
        noise = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
        Image.fromarray(noise).save(root / "images" / name, **options)


@pytest.fixture
def street(tmp_path):
    """Two photographs of five faces: `group.png` with one of each class, `pair.png` with two."""
    root = tmp_path / "street"
    boxes = [(20, 20, 60, 70), (80, 10, 110, 50), (150, 40, 190, 90)]
    photo(root, "group.png", list(zip(STATES, boxes, strict=True)))
    photo(root, "pair.png", [("with_mask", (10, 10, 40, 50)), ("without_mask", (60, 10, 90, 50))], seed=1)
    return root


def cut(root, tmp_path, **settings):
    return face_crops(root, tmp_path / "out", **settings)


def pixels(listing, path):
    return np.asarray(Image.open(listing.root / path))


def original(root, name):
    return np.asarray(Image.open(root / "images" / name))


def reasons(listing):
    return dict(zip(listing.quarantine["path"], listing.quarantine["reason"], strict=True))


def test_every_box_becomes_an_image_of_its_class(street, tmp_path):
    found = cut(street, tmp_path, margin=0)
    assert found.class_names == ("mask", "no_mask", "wrong_mask")
    assert dict(zip(found.rows["path"], found.rows["label"], strict=True)) == {
        "mask/group-001.png": 0,
        "no_mask/group-002.png": 1,
        "wrong_mask/group-003.png": 2,
        "mask/pair-001.png": 0,
        "no_mask/pair-002.png": 1,
    }
    assert found.quarantine.empty
    np.testing.assert_array_equal(pixels(found, "mask/group-001.png"), original(street, "group.png")[20:70, 20:60])


def test_a_margin_is_a_share_of_the_box_on_every_side_cut_to_the_image(street, tmp_path):
    """Of the box 40x50 at (20, 20), a quarter is 10 and 12.5; at (150, 40) the image ends at 200 and 100."""
    found = cut(street, tmp_path, margin=0.25)
    whole = original(street, "group.png")
    np.testing.assert_array_equal(pixels(found, "mask/group-001.png"), whole[8:82, 10:70])
    np.testing.assert_array_equal(pixels(found, "wrong_mask/group-003.png"), whole[28:100, 140:200])


def test_faces_below_the_smallest_are_left_out_by_their_shorter_side(street, tmp_path):
    photo(street, "large.png", [("without_mask", (10, 10, 41, 60))], seed=4)
    found = cut(street, tmp_path, smallest_face=31)
    assert set(found.rows["path"]) == {"mask/group-001.png", "wrong_mask/group-003.png", "no_mask/large-001.png"}
    assert reasons(found) == {
        "images/group.png, face 2": "30x40 pixels, less than dataset.smallest_face=31",
        "images/pair.png, face 1": "30x40 pixels, less than dataset.smallest_face=31",
        "images/pair.png, face 2": "30x40 pixels, less than dataset.smallest_face=31",
    }


def test_faces_of_one_photograph_share_a_group_and_so_do_those_of_a_series_or_a_near_copy(street, tmp_path):
    boxes = [("with_mask", (10, 10, 40, 50)), ("without_mask", (60, 10, 90, 50))]
    photo(street, "s1.png", boxes, size=(120, 60), seed=2)
    photo(street, "s2.png", boxes, size=(120, 60), seed=3)
    whole = Image.open(street / "images" / "pair.png")
    photo(street, "small.png", [("with_mask", (10, 10, 40, 40))], size=(100, 50), drawn=False)
    whole.resize((100, 50)).save(street / "images" / "small.png")
    rows = cut(street, tmp_path, series_sizes=[[120, 60]], near_duplicates=8).rows.set_index("path")["group"]
    assert rows["mask/group-001.png"] == rows["no_mask/group-002.png"] == rows["wrong_mask/group-003.png"]
    assert rows["mask/s1-001.png"] == rows["no_mask/s2-002.png"] == "series 120x60"
    assert rows["mask/small-001.png"] == rows["mask/pair-001.png"] == rows["no_mask/pair-002.png"]
    assert rows.nunique() == 3
    apart = cut(street, tmp_path).rows.set_index("path")["group"]
    assert apart["mask/small-001.png"] != apart["mask/pair-001.png"]


def test_faces_are_cut_once_and_anew_when_a_photograph_an_annotation_or_a_setting_changes(street, tmp_path):
    first = cut(street, tmp_path)
    kept = (first.root / "mask" / "group-001.png").stat()
    again = cut(street, tmp_path)
    assert again.rows.equals(first.rows) and again.root == first.root
    assert (again.root / "mask" / "group-001.png").stat() == kept
    roots = {first.root}
    photo(street, "pair.png", [("with_mask", (10, 10, 40, 50)), ("without_mask", (60, 10, 90, 51))], drawn=False)
    roots.add(cut(street, tmp_path).root)
    photo(street, "pair.png", [("with_mask", (10, 10, 40, 50)), ("without_mask", (60, 10, 90, 51))], seed=9)
    changed = cut(street, tmp_path)
    np.testing.assert_array_equal(pixels(changed, "mask/pair-001.png"), original(street, "pair.png")[2:58, 4:46])
    roots |= {changed.root, cut(street, tmp_path, margin=0.3).root, cut(street, tmp_path, smallest_face=20).root}
    assert len(roots) == 5


def test_a_lost_face_is_cut_again(street, tmp_path):
    first = cut(street, tmp_path)
    (first.root / "mask" / "group-001.png").unlink()
    assert (cut(street, tmp_path).root / "mask" / "group-001.png").is_file()


def test_a_photograph_that_is_not_the_annotated_one_gives_no_face(street, tmp_path):
    photo(street, "other.png", [("with_mask", (10, 10, 40, 50))], size=(120, 60), drawn=False)
    Image.new("RGB", (121, 60)).save(street / "images" / "other.png")
    assert reasons(cut(street, tmp_path)) == {
        "images/other.png": "121x60 pixels, but its annotation says 120x60: annotate it again"
    }


def test_boxes_of_a_turned_photograph_count_only_where_they_can_be_of_the_upright_image(street, tmp_path):
    """A camera's 120x60, to be turned a quarter: its upright image is 60x120, one turned by half is still 120x60."""
    face = [("with_mask", (10, 10, 40, 50))]
    for name, orientation, annotated in (("stored", 6, (120, 60)), ("upright", 6, (60, 120)), ("half", 3, (120, 60))):
        exif = Image.Exif()
        exif[0x0112] = orientation
        photo(street, f"{name}.jpg", face, size=annotated, drawn=False)
        Image.new("RGB", (120, 60), (90, 120, 30)).save(street / "images" / f"{name}.jpg", exif=exif)
    found = cut(street, tmp_path)
    assert "mask/upright-001.png" in set(found.rows["path"])
    assert reasons(found) == {
        "images/stored.jpg": "60x120 pixels, but its annotation says 120x60: annotate it again",
        "images/half.jpg": "its EXIF orientation turns it, and its boxes may not fit: save it upright",
    }


def test_what_gives_no_face_is_left_out_with_the_reason(street, tmp_path):
    face = [("with_mask", (10, 10, 40, 50))]
    photo(street, "empty.png", [])
    photo(street, "hat.png", [("with_hat", (10, 10, 40, 50))])
    photo(street, "far.png", [("with_mask", (10, 10, 240, 50))])
    for name, content in (("junk.png", b"no image"), ("void.png", b"")):
        photo(street, name, face, drawn=False)
        (street / "images" / name).write_bytes(content)
    photo(street, "lonely.png", face, drawn=False)
    Image.new("RGB", (9, 9)).save(street / "images" / "bare.png")
    photo(street, "twice.png", face)
    Image.new("RGB", (9, 9)).save(street / "images" / "twice.jpg")
    found = reasons(cut(street, tmp_path))
    expected = {
        "images/empty.png": "no face",
        "images/hat.png": "unknown mask state 'with_hat'",
        "images/far.png": "does not fit",
        "images/junk.png": "not an image",
        "images/void.png": "empty file",
        "annotations/lonely.xml": "no image of this name",
        "images/bare.png": "no annotation",
        "annotations/twice.xml": "its image is left out",
        "images/twice.png": "another file has the name 'twice'",
        "images/twice.jpg": "another file has the name 'twice'",
    }
    assert found.keys() == expected.keys()
    assert all(words in found[path] for path, words in expected.items())


def test_an_interrupted_cutting_leaves_nothing_behind(street, tmp_path, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(crops, "_move", stop)
    with pytest.raises(KeyboardInterrupt):
        cut(street, tmp_path)
    assert os.listdir(tmp_path / "out") == []


def test_processes_may_cut_the_same_faces_at_once(street, tmp_path):
    script = (
        "import sys; from facemask_ensemble.data.sources import face_crops\n"
        "print(*sorted(face_crops(sys.argv[1], sys.argv[2]).rows['path']))"
    )
    command = [sys.executable, "-c", script, str(street), str(tmp_path / "out")]
    workers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    found = [worker.communicate(timeout=HANG)[0].split() for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0]
    assert len(found[0]) == 5 and found[0] == found[1]
    (kept,) = (tmp_path / "out").iterdir()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o755


def test_faces_that_another_process_finished_meanwhile_are_kept(street, tmp_path, monkeypatch):
    move = crops._move

    def late(fresh, place, found):
        monkeypatch.setattr(crops, "_move", move)
        cut(street, tmp_path)
        (place / "mark").touch()
        return move(fresh, place, found)

    monkeypatch.setattr(crops, "_move", late)
    found = cut(street, tmp_path)
    assert (found.root / "mark").exists() and len(found.rows) == 5
    assert os.listdir(tmp_path / "out") == [found.root.name]


def test_a_folder_of_other_files_is_not_replaced(street, tmp_path):
    place = cut(street, tmp_path).root
    (place / crops.RECORD).unlink()
    with pytest.raises(InputError, match="has files that are not cut-out faces"):
        cut(street, tmp_path)
    assert (place / "mask" / "group-001.png").is_file()


def test_a_place_that_cannot_be_written_is_named(street, tmp_path):
    (tmp_path / "out").touch()
    with pytest.raises(InputError, match="faces cannot be written to .*out"):
        cut(street, tmp_path)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"margin": -0.1}, r"dataset\.margin=-0\.1: must be a share of a box from 0 to 10"),
        ({"margin": "wide"}, r"dataset\.margin=wide"),
        ({"smallest_face": 0}, r"dataset\.smallest_face=0: must be a whole number of pixels, at least 1"),
        ({"smallest_face": 2.5}, r"dataset\.smallest_face=2\.5"),
        (
            {"smallest_face": 35},
            r"has a class without images \(mask 1, no_mask 0, wrong_mask 1\).*lower dataset\.smallest_face",
        ),
        ({"smallest_face": 99}, r"has no labelled images .*lower dataset\.smallest_face"),
    ],
)
def test_settings_that_cut_no_faces_are_refused(street, tmp_path, settings, message):
    with pytest.raises(InputError, match=message):
        cut(street, tmp_path, **settings)


@pytest.mark.heavy
def test_real_photographs_give_every_box_as_a_face_or_a_reason(real_data, tmp_path):
    found = face_crops(real_data / "street_masks", tmp_path, series_sizes=[[301, 400]], near_duplicates=8)
    assert len(found.rows) + len(found.quarantine) == 3235
    assert found.rows["label"].value_counts().to_dict() == {0: 1775, 1: 342, 2: 75}
    assert found.quarantine["reason"].str.contains("less than dataset.smallest_face=16").all()
    assert (found.rows["group"] == "series 301x400").sum() == 186
