import pytest
from composed import dataset_settings
from hydra.errors import InstantiationException

from facemask_ensemble.data.dataset import open_dataset
from facemask_ensemble.error_lines import explain
from facemask_ensemble.errors import InputError


@pytest.fixture
def open_from(tmp_path):
    """Open the dataset that a command line would name, with everything below `tmp_path/out`."""

    def open_one(*overrides):
        out = tmp_path / "out"
        return open_dataset(dataset_settings(f"output_dir={out}", *overrides), out)

    return open_one


def test_folders_become_a_manifest_in_the_proportions_asked_for(open_from, class_folders):
    manifest = open_from("dataset=folders", f"dataset.root={class_folders}")
    assert (manifest.name, manifest.class_names, manifest.root) == ("folders", ("cat", "dog"), class_folders)
    counts = manifest.counts()
    assert {split: sum(classes.values()) for split, classes in counts.items()} == {
        "train": 28,
        "validation": 6,
        "test": 6,
    }
    for split in counts.values():
        assert split["cat"] == split["dog"]


def test_the_same_config_gives_the_same_manifest_and_another_seed_of_the_split_another(open_from, class_folders):
    given = ("dataset=folders", f"dataset.root={class_folders}")
    first, again = open_from(*given), open_from(*given)
    assert first.rows.to_csv() == again.rows.to_csv()
    other = open_from(*given, "dataset.split_seed=1")
    assert other.fingerprint != first.fingerprint
    assert open_from(*given).fingerprint == first.fingerprint


def test_every_setting_keeps_a_manifest_of_its_own(open_from, class_folders, tmp_path):
    given = ("dataset=folders", f"dataset.root={class_folders}")
    open_from(*given)
    open_from(*given, "dataset.limit=20")
    kept = list((tmp_path / "out" / "data").glob("folders-*/manifest.csv"))
    assert sorted(len(path.read_text().splitlines()) - 1 for path in kept) == [20, 40]


def test_scenes_are_drawn_once_below_the_output_folder(open_from, tmp_path):
    given = ("dataset=scenes", "dataset.count=30", "dataset.size=32")
    manifest = open_from(*given)
    assert manifest.class_names == ("none", "all", "some")
    assert manifest.root.is_relative_to(tmp_path / "out" / "data")
    assert len(manifest.rows) == 30
    before = {path: path.stat().st_mtime_ns for path in manifest.root.rglob("*.*")}
    assert open_from(*given).fingerprint == manifest.fingerprint
    assert {path: path.stat().st_mtime_ns for path in manifest.root.rglob("*.*")} == before


def test_training_seed_and_image_size_leave_the_dataset_alone():
    assert dataset_settings("seed=1", "image_size=96", "backbone=xception") == dataset_settings()


def test_a_set_of_images_without_a_folder_is_refused(open_from):
    with pytest.raises(InstantiationException) as refused:
        open_from("dataset=folders")
    assert isinstance(refused.value.__cause__, InputError)
    assert explain(refused.value) == "dataset.root=null: dataset=folders needs a folder; give dataset.root=PATH"
