import json

import pytest

from facemask_ensemble.data.sources import folders, kaggle_masks, scenes, street_masks
from facemask_ensemble.data.voc import AnnotationError, label_of, street_mask_boxes
from facemask_ensemble.errors import InputError

NONE, ALL, SOME = 0, 1, 2


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")


def labels(listing):
    return dict(zip(listing.rows["path"], listing.rows["label"], strict=True))


def reasons(listing):
    return dict(zip(listing.quarantine["path"], listing.quarantine["reason"], strict=True))


def annotate(root, stem, states, size=(100, 80), box=(10, 10, 30, 30), image=True):
    faces = "".join(
        f"<object><name>{state}</name><bndbox>"
        + "".join(f"<{tag}>{at}</{tag}>" for tag, at in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True))
        + "</bndbox></object>"
        for state in states
    )
    file = root / "annotations" / f"{stem}.xml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"<annotation><size><width>{size[0]}</width><height>{size[1]}</height></size>{faces}</annotation>")
    if image:
        touch(root / "images" / f"{stem}.jpg")
    return file


@pytest.fixture
def street(tmp_path):
    annotate(tmp_path, "bare", ["without_mask"])
    annotate(tmp_path, "covered", ["with_mask", "with_mask"])
    annotate(tmp_path, "mixed", ["with_mask", "without_mask"])
    annotate(tmp_path, "sloppy", ["with_mask", "mask_weared_incorrect"])
    return tmp_path


@pytest.fixture
def competition(tmp_path):
    root = tmp_path / "MaskDataset"
    for name in ("1.jpg", "2.jpg", "3.jpg"):
        touch(root / "training" / name)
    touch(root / "test" / "9.jpg")
    (root / "train_gt.json").write_text(json.dumps({"1.jpg": 0, "2.jpg": 1, "3.jpg": 2}))
    return root


def test_folders_label_by_sorted_name_and_find_nested_images_of_any_suffix_and_case(tmp_path):
    for path in ("dog/1.JPG", "dog/deep/er/2.webp", "cat/3.TIFF", "cat/4.gif", "cat/.hidden.png", ".git/5.png"):
        touch(tmp_path / path)
    found = folders(tmp_path)
    assert found.class_names == ("cat", "dog")
    assert labels(found) == {"cat/3.TIFF": 0, "cat/4.gif": 0, "dog/1.JPG": 1, "dog/deep/er/2.webp": 1}
    assert set(found.rows["split"]) == {""}


def test_folders_put_the_mask_classes_in_the_order_of_the_competition(tmp_path):
    for name in ("all", "none", "some"):
        touch(tmp_path / name / "1.png")
    assert folders(tmp_path).class_names == ("none", "all", "some")


def test_folders_keep_a_given_split(tmp_path):
    for split in ("Train", "valid", "TEST"):
        for name in ("a", "b"):
            touch(tmp_path / split / name / "1.png")
    found = folders(tmp_path)
    assert found.class_names == ("a", "b")
    assert dict(zip(found.rows["path"], found.rows["split"], strict=True)) == {
        "TEST/a/1.png": "test",
        "TEST/b/1.png": "test",
        "Train/a/1.png": "train",
        "Train/b/1.png": "train",
        "valid/a/1.png": "validation",
        "valid/b/1.png": "validation",
    }


def test_folders_list_what_they_leave_out(tmp_path):
    for path in ("a/1.png", "b/1.png", "b/photo.heic", "loose.png", "README.md"):
        touch(tmp_path / path)
    found = reasons(folders(tmp_path))
    assert found.keys() == {"b/photo.heic", "loose.png"}
    assert ".heic" in found["b/photo.heic"] and "not in a class folder" in found["loose.png"]


def test_folders_reject_a_name_that_is_not_text(tmp_path):
    touch(tmp_path / "a" / "1.png")
    touch(tmp_path / "b" / "1.png")
    try:
        touch(tmp_path / "b" / "bad\udcff.png")
    except (OSError, UnicodeError):
        pytest.skip("this file system takes no such name")
    assert labels(folders(tmp_path)) == {"a/1.png": 0, "b/1.png": 1}
    assert "rename" in folders(tmp_path).quarantine["reason"].item()


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["a/1.png"], "has one class, 'a'"),
        (["a/1.png", "b/1.txt"], "no image of class b"),
        (["a/1.txt"], "has no image"),
        (["1.png", "2.png"], "2 images outside class folders"),
        ([], "has no image"),
    ],
)
def test_folders_refuse_what_cannot_be_classified(tmp_path, files, message):
    for path in files:
        touch(tmp_path / path)
    with pytest.raises(InputError, match=message):
        folders(tmp_path)


@pytest.mark.parametrize("source", [folders, street_masks, kaggle_masks])
def test_every_source_refuses_a_missing_root(tmp_path, source):
    with pytest.raises(InputError, match=rf"dataset={source.__name__} .* give dataset\.root="):
        source(None)
    with pytest.raises(InputError, match="nowhere does not exist"):
        source(tmp_path / "nowhere")
    touch(tmp_path / "file")
    with pytest.raises(InputError, match="is not a folder"):
        source(tmp_path / "file")


@pytest.mark.parametrize(
    ("states", "unmasked", "masked"),
    [
        (["without_mask"], NONE, NONE),
        (["with_mask"], ALL, ALL),
        (["with_mask", "without_mask"], SOME, SOME),
        (["mask_weared_incorrect"], NONE, ALL),
        (["with_mask", "mask_weared_incorrect"], SOME, ALL),
        (["without_mask", "mask_weared_incorrect"], NONE, SOME),
        (["with_mask", "without_mask", "mask_weared_incorrect"], SOME, SOME),
    ],
)
def test_a_mask_worn_incorrectly_counts_as_asked(states, unmasked, masked):
    assert label_of(states, "unmasked") == unmasked
    assert label_of(states, "masked") == masked
    if unmasked == masked:
        assert label_of(states, "drop") == unmasked
    else:
        with pytest.raises(AnnotationError, match="depends on"):
            label_of(states, "drop")


def test_street_masks_derive_labels_from_boxes(street):
    assert labels(street_masks(street)) == {
        "images/bare.jpg": NONE,
        "images/covered.jpg": ALL,
        "images/mixed.jpg": SOME,
        "images/sloppy.jpg": SOME,
    }
    assert labels(street_masks(street, "masked"))["images/sloppy.jpg"] == ALL
    assert "images/sloppy.jpg" in reasons(street_masks(street, "drop"))


def test_street_masks_group_images_of_a_series_size(street):
    annotate(street, "s1", ["with_mask"], size=(301, 400))
    annotate(street, "s2", ["without_mask"], size=(301, 400))
    rows = street_masks(street, series_sizes=[[301, 400]]).rows.set_index("path")
    assert rows.loc["images/s1.jpg", "group"] == rows.loc["images/s2.jpg", "group"] != ""
    assert rows.loc["images/bare.jpg", "group"] == ""


def test_street_masks_reject_what_gives_no_label(street):
    annotate(street, "empty", [])
    annotate(street, "orphan", ["with_mask"], image=False)
    annotate(street, "odd", ["with_hat"])
    annotate(street, "wide", ["with_mask"], box=(10, 10, 102, 30))
    annotate(street, "broken", ["with_mask"]).write_text("<annotation>")
    touch(street / "images" / "alone.png")
    found = reasons(street_masks(street))
    expected = {
        "images/empty.jpg": "no face",
        "annotations/orphan.xml": "no image",
        "images/odd.jpg": "with_hat",
        "images/wide.jpg": "does not fit",
        "images/broken.jpg": "not XML",
        "images/alone.png": "no annotation",
    }
    assert found.keys() == expected.keys()
    assert all(part in found[path] for path, part in expected.items())


def test_boxes_one_pixel_past_the_edge_are_cut_to_the_image(tmp_path):
    file = annotate(tmp_path, "edge", ["with_mask"], size=(100, 80), box=(-1, 0, 101, 81))
    assert street_mask_boxes(file) == [((0, 0, 100, 80), "with_mask")]


def test_street_masks_refuse_an_unknown_rule_and_a_folder_of_something_else(street, tmp_path_factory):
    with pytest.raises(InputError, match="worn_incorrectly=maybe"):
        street_masks(street, "maybe")
    with pytest.raises(InputError, match="no folder images/"):
        street_masks(tmp_path_factory.mktemp("other"))


def test_street_masks_refuse_images_that_lack_a_class(tmp_path):
    annotate(tmp_path, "covered", ["with_mask"])
    with pytest.raises(InputError, match="none 0, all 1, some 0"):
        street_masks(tmp_path)


@pytest.mark.parametrize("inside", [True, False])
def test_kaggle_masks_read_the_table_from_the_folder_or_its_parent(competition, inside):
    found = kaggle_masks(competition if inside else competition.parent)
    assert found.root == competition
    assert found.class_names == ("none", "all", "some")
    assert labels(found) == {"training/1.jpg": NONE, "training/2.jpg": ALL, "training/3.jpg": SOME}


def test_kaggle_masks_reject_files_and_entries_without_the_other(competition):
    touch(competition / "training" / "extra.jpg")
    table = competition / "train_gt.json"
    table.write_text(json.dumps({**json.loads(table.read_text()), "gone.jpg": 1}))
    found = reasons(kaggle_masks(competition))
    assert found.keys() == {"training/extra.jpg", "training/gone.jpg"}
    assert "missing" in found["training/gone.jpg"] and "no entry" in found["training/extra.jpg"]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ('{"1.jpg": 3}', "gives 1.jpg the label 3"),
        ('{"1.jpg": true}', "label True"),
        ('{"1.jpg": "all"}', "label 'all'"),
        ("[1, 2]", "holds a list"),
        ("{", "is not JSON"),
        ('{"9.jpg": 1}', "no labelled image"),
    ],
)
def test_kaggle_masks_refuse_a_table_that_is_wrong(competition, table, message):
    (competition / "train_gt.json").write_text(table)
    with pytest.raises(InputError, match=message):
        kaggle_masks(competition)


@pytest.mark.parametrize("name", ["train_gt.json", "training"])
def test_kaggle_masks_name_what_is_missing(competition, name):
    (competition / name).rename(competition / "elsewhere")
    with pytest.raises(InputError, match=f"has no {name}"):
        kaggle_masks(competition)


def test_scenes_are_drawn_and_listed(tmp_path):
    found = scenes(tmp_path / "scenes", count=6, size=32, difficulty="easy", seed=0)
    assert found.class_names == ("none", "all", "some")
    assert sorted(found.rows["label"].unique()) == [0, 1, 2]
    assert all((found.root / path).is_file() for path in found.rows["path"])


def test_real_street_photographs_have_the_labels_that_were_counted(real_data):
    found = street_masks(real_data / "street_masks", series_sizes=[[301, 400]])
    assert found.rows["label"].value_counts().to_dict() == {ALL: 432, SOME: 197, NONE: 77}
    series = found.rows[found.rows["group"] != ""]
    assert series["label"].value_counts().to_dict() == {ALL: 134, NONE: 50}  # 133 of one face, 1 of three
    files = sorted((real_data / "street_masks" / "annotations").glob("*.xml"))
    assert sum(len(street_mask_boxes(file)) for file in files) == 3235
