"""Layouts of folders that need no setting."""

import shutil

import pytest

from facemask_ensemble.data.preparation import prepare
from facemask_ensemble.data.sources import folders
from facemask_ensemble.errors import InputError


def lay(root, *paths):
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"x")
    return root


def splits(listing):
    return dict(zip(listing.rows["path"], listing.rows["split"], strict=True))


def classes(listing):
    return {row.path: listing.class_names[row.label] for row in listing.rows.itertuples()}


def reasons(listing):
    return dict(zip(listing.quarantine["path"], listing.quarantine["reason"], strict=True))


@pytest.mark.parametrize(
    ("folder", "split"),
    [
        ("Train", "train"),
        ("TRAINING", "train"),
        ("val", "validation"),
        ("VALID", "validation"),
        ("Validation", "validation"),
        ("test", "test"),
        ("Testing", "test"),
    ],
)
def test_a_split_is_known_by_any_of_its_names_in_any_case(tmp_path, folder, split):
    found = folders(lay(tmp_path, f"{folder}/rock/1.png", f"{folder}/paper/2.png"))
    assert splits(found) == {f"{folder}/rock/1.png": split, f"{folder}/paper/2.png": split}
    assert found.class_names == ("paper", "rock")


@pytest.mark.parametrize(
    "names", [("with_mask", "without_mask"), ("mask", "no_mask", "wrong_mask"), ("paper", "rock", "scissors")]
)
def test_usual_class_names_need_no_setting(tmp_path, names):
    assert folders(lay(tmp_path, *(f"{name}/1.jpg" for name in names))).class_names == names


@pytest.mark.parametrize("name", ["unlabeled", "Unlabelled"])
def test_images_without_a_label_are_left_out_beside_classes_and_beside_or_inside_splits(tmp_path, name):
    flat = folders(lay(tmp_path / "flat", "mask/1.png", "no_mask/2.png", f"{name}/3.png", f"{name}/deep/4.png"))
    assert flat.class_names == ("mask", "no_mask")
    assert reasons(flat) == {f"{name}/3.png": "it has no label", f"{name}/deep/4.png": "it has no label"}
    given = folders(lay(tmp_path / "given", "train/a/1.png", "train/b/2.png", f"train/{name}/3.png", f"{name}/4.png"))
    assert given.class_names == ("a", "b")
    assert reasons(given) == {f"train/{name}/3.png": "it has no label", f"{name}/4.png": "it has no label"}


def test_a_class_spelled_in_two_cases_is_one_and_is_called_as_in_training(tmp_path):
    found = folders(lay(tmp_path, "test/paper/1.png", "test/rock/2.png", "train/Paper/3.png", "train/rock/4.png"))
    assert found.class_names == ("Paper", "rock")
    assert classes(found) == {
        "test/paper/1.png": "Paper",
        "test/rock/2.png": "rock",
        "train/Paper/3.png": "Paper",
        "train/rock/4.png": "rock",
    }


def test_a_class_written_by_two_systems_is_one(tmp_path):
    """An é may be one letter or an e with an accent."""
    found = folders(lay(tmp_path, "train/caf\u00e9/1.png", "train/b/2.png", "test/cafe\u0301/3.png", "test/b/4.png"))
    assert found.class_names == ("b", "caf\u00e9")


def test_folders_without_images_beside_a_split_do_not_matter(tmp_path):
    lay(
        tmp_path, "train/a/1.png", "train/b/1.png", "test/a/2.png", "test/b/2.png", "docs/guide.pdf", "LICENSE", "x.png"
    )
    (tmp_path / "empty").mkdir()
    found = folders(tmp_path)
    assert set(found.rows["split"]) == {"train", "test"} and len(found.rows) == 4
    assert reasons(found) == {"x.png": "is not in a class folder"}


def test_images_beside_a_split_are_refused_with_what_to_do_about_them(tmp_path):
    lay(tmp_path, "train/a/1.png", "train/b/1.png", "test/a/2.png", "extra/3.png")
    with pytest.raises(InputError, match=r"has the split test/, train/ and images in extra/.* dataset=table"):
        folders(tmp_path)


def test_a_folder_test_among_classes_is_not_taken_for_a_class(tmp_path):
    with pytest.raises(InputError, match=r"has the split test/ and images in cat/, dog/.* or move test/ out of it"):
        folders(lay(tmp_path, "cat/1.png", "dog/2.png", "test/3.png"))


def test_railway_trains_are_a_class(tmp_path):
    assert folders(lay(tmp_path, "bus/1.png", "car/2.png", "train/3.png")).class_names == ("bus", "car", "train")


def test_a_class_that_is_a_link_out_of_the_root_is_named_as_the_reason(tmp_path):
    root = lay(tmp_path / "root", "a/1.png", "b/2.png")
    lay(tmp_path / "c", "3.png")
    (root / "c").symlink_to("../c")
    with pytest.raises(InputError, match=r"no image of class c \(c: a symbolic link that leaves dataset\.root"):
        folders(root)


@pytest.mark.parametrize(("target", "why"), [("gone", "to nothing"), ("c", "that loops")])
def test_a_class_that_is_a_broken_link_is_not_forgotten(tmp_path, target, why):
    root = lay(tmp_path, "a/1.png", "b/2.png")
    (root / "c").symlink_to(target)
    with pytest.raises(InputError, match=rf"no image of class c \(c: a symbolic link {why}"):
        folders(root)


def test_a_linked_class_of_one_split_is_left_out_and_the_other_splits_kept(tmp_path):
    root = lay(tmp_path / "root", "train/a/1.png", "train/b/2.png", "test/a/3.png")
    lay(tmp_path / "b", "4.png")
    (root / "test" / "b").symlink_to(tmp_path / "b")
    found = folders(root)
    assert "test/b/4.png" not in splits(found)
    assert found.class_names == ("a", "b")
    assert "leaves dataset.root" in reasons(found)["test/b"]


def test_a_linked_split_is_left_out(tmp_path):
    root = lay(tmp_path / "root", "train/a/1.png", "train/b/2.png")
    lay(tmp_path / "test", "a/3.png", "b/4.png")
    (root / "test").symlink_to("../test")
    found = folders(root)
    assert set(found.rows["split"]) == {"train"}
    assert "leaves dataset.root" in reasons(found)["test"]


def test_a_link_to_an_image_of_another_class_is_found_to_contradict_it(class_folders, tmp_path):
    (class_folders / "dog" / "link.png").symlink_to("../cat/03.png")
    settings = {"limit": None, "validation": 0.2, "test": 0.2, "seed": 0, "near_duplicates": None}
    left_out = prepare("folders", folders(class_folders), tmp_path / "out", **settings).quarantine
    assert set(left_out["path"]) == {"cat/03.png", "dog/link.png"}


def test_real_hands_and_faces_are_read_as_they_are(real_data, tmp_path):
    hands = folders(real_data / "rock_paper_scissors")
    assert hands.class_names == ("paper", "rock", "scissors") and hands.quarantine.empty
    assert hands.rows.groupby(["split", "label"]).size().to_dict() == {
        **{("train", label): 200 for label in range(3)},
        **{("test", label): 70 for label in range(3)},
    }
    faces = folders(real_data / "faces")
    assert faces.class_names == ("with_mask", "without_mask") and faces.quarantine.empty
    assert faces.rows["label"].value_counts().to_dict() == {0: 500, 1: 500}
    shutil.copytree(real_data / "faces" / "with_mask", tmp_path / "Train" / "With_Mask")
    shutil.copytree(real_data / "faces" / "without_mask", tmp_path / "unlabeled")
    with pytest.raises(InputError, match="has one class, 'With_Mask'"):
        folders(tmp_path)
