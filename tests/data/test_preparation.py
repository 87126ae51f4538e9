import shutil
import threading

import pytest

from facemask_ensemble.data import preparation as module
from facemask_ensemble.data.manifest import Manifest
from facemask_ensemble.data.preparation import prepare
from facemask_ensemble.data.sources import folders, street_masks
from facemask_ensemble.errors import InputError

SETTINGS = {"limit": None, "validation": 0.2, "test": 0.2, "seed": 0, "near_duplicates": 8}


def prepared(root, folder, **settings):
    return prepare("folders", folders(root), folder, **{**SETTINGS, **settings})


def test_a_listing_becomes_a_saved_manifest(class_folders, tmp_path):
    manifest = prepared(class_folders, tmp_path / "data")
    assert manifest.class_names == ("cat", "dog")
    assert manifest.counts() == {
        "train": {"cat": 12, "dog": 12},
        "validation": {"cat": 4, "dog": 4},
        "test": {"cat": 4, "dog": 4},
    }
    assert Manifest.load(tmp_path / "data").fingerprint == manifest.fingerprint
    assert all((manifest.root / path).is_file() for path in manifest.rows["path"])


def test_a_second_start_reads_no_image(class_folders, tmp_path, monkeypatch):
    first = prepared(class_folders, tmp_path / "data")
    monkeypatch.setattr(module, "check", None)
    again = prepared(class_folders, tmp_path / "data")
    assert again.fingerprint == first.fingerprint
    assert again.rows.to_dict() == first.rows.to_dict()
    with pytest.raises(TypeError):
        prepared(class_folders, tmp_path / "data", seed=1)


def test_a_changed_image_or_setting_makes_another_manifest(class_folders, tmp_path, save_noise):
    first = prepared(class_folders, tmp_path / "data").fingerprint
    assert prepared(class_folders, tmp_path / "data", seed=1).fingerprint != first
    assert prepared(class_folders, tmp_path / "data").fingerprint == first
    save_noise(class_folders / "cat" / "00.png", 999)
    assert prepared(class_folders, tmp_path / "data").fingerprint != first


def test_the_same_images_elsewhere_have_the_same_fingerprint(class_folders, tmp_path):
    shutil.copytree(class_folders, tmp_path / "moved")
    one, other = (prepared(root, tmp_path / f"data-{root.name}") for root in (class_folders, tmp_path / "moved"))
    assert one.fingerprint == other.fingerprint


def test_a_manifest_mixed_of_two_is_not_reused(class_folders, tmp_path):
    first = prepared(class_folders, tmp_path / "one")
    prepared(class_folders, tmp_path / "two", seed=1)
    shutil.copy(tmp_path / "two" / "manifest.csv", tmp_path / "one")
    assert prepared(class_folders, tmp_path / "one").fingerprint == first.fingerprint


def test_a_limit_samples_the_classes_in_their_proportions(class_folders, tmp_path):
    for index in range(10, 20):
        (class_folders / "dog" / f"{index}.png").unlink()
    manifest = prepared(class_folders, tmp_path / "data", limit=18)
    assert manifest.rows["label"].value_counts().to_dict() == {0: 12, 1: 6}
    assert len(prepared(class_folders, tmp_path / "data", limit=1000).rows) == 30


def test_unreadable_images_are_listed_and_left_out(class_folders, tmp_path):
    (class_folders / "cat" / "03.png").write_bytes(b"")
    manifest = prepared(class_folders, tmp_path / "data")
    assert manifest.quarantine.to_dict("records") == [{"path": "cat/03.png", "reason": "empty file"}]
    assert "cat/03.png" not in set(manifest.rows["path"])
    assert Manifest.load(tmp_path / "data").quarantine.to_dict() == manifest.quarantine.to_dict()


def test_copies_are_kept_together_and_torn_labels_left_out(class_folders, tmp_path):
    shutil.copy(class_folders / "cat" / "00.png", class_folders / "cat" / "copy.png")
    shutil.copy(class_folders / "cat" / "01.png", class_folders / "dog" / "copy.png")
    manifest = prepared(class_folders, tmp_path / "data")
    rows = manifest.rows.set_index("path")
    assert rows.loc["cat/copy.png", "split"] == rows.loc["cat/00.png", "split"]
    assert rows.loc["cat/copy.png", "group"] == rows.loc["cat/00.png", "group"] == "cat/00.png"
    assert set(manifest.quarantine["path"]) == {"cat/01.png", "dog/copy.png"}


def test_a_class_of_unreadable_images_is_refused(class_folders, tmp_path):
    for file in (class_folders / "dog").iterdir():
        file.write_bytes(b"junk")
    with pytest.raises(InputError, match=r"no image of class 'dog' .* dog/00\.png: not an image"):
        prepared(class_folders, tmp_path / "data")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"limit": 0}, r"dataset\.limit=0"),
        ({"limit": "few"}, r"dataset\.limit=few"),
        ({"validation": 0}, r"dataset\.validation=0"),
        ({"validation": 0.5, "test": 0.5}, r"add up to less than 1"),
        ({"test": None}, r"dataset\.test=None"),
        ({"near_duplicates": -1}, r"dataset\.near_duplicates=-1"),
        ({"near_duplicates": 40}, r"dataset\.near_duplicates=40"),
        ({"limit": 4}, r"raise dataset\.limit"),
    ],
)
def test_settings_out_of_bounds_are_refused(class_folders, tmp_path, settings, message):
    with pytest.raises(InputError, match=message):
        prepared(class_folders, tmp_path / "data", **settings)


def test_several_processes_may_prepare_at_once(class_folders, tmp_path):
    found = []
    workers = [
        threading.Thread(target=lambda: found.append(prepared(class_folders, tmp_path / "data").fingerprint))
        for _ in range(4)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(found) == 4 and len(set(found)) == 1
    assert not list((tmp_path / "data").glob("*.part"))


def test_real_street_photographs_keep_series_and_scenes_together(real_data, tmp_path):
    listing = street_masks(real_data / "street_masks", series_sizes=[[301, 400]])
    manifest = prepare("street_masks", listing, tmp_path, **SETTINGS | {"validation": 0.15, "test": 0.15})
    groups = manifest.rows[manifest.rows["group"] != ""].groupby("group")
    assert (groups["split"].nunique() == 1).all()
    assert sorted(groups.size())[-1] == 184 and len(groups) == 10
    assert len(manifest.rows) == 706 and manifest.quarantine.empty


def test_real_hands_keep_their_test_split_and_lose_its_copies_from_training(real_data, tmp_path):
    manifest = prepare("hands", folders(real_data / "rock_paper_scissors"), tmp_path, **SETTINGS)
    assert manifest.counts()["test"] == {"paper": 70, "rock": 70, "scissors": 70}
    assert manifest.quarantine["path"].str.startswith("train/").all() and len(manifest.quarantine) > 20
