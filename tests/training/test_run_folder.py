import pytest

from facemask_ensemble.training.run_folder import folder_of

CONFIG = {
    "backbone": {"name": "xception", "weights": None},
    "dataset": {"name": "folders", "root": "/a"},
    "study": "masks",
    "seed": 0,
    "output_dir": "/out",
    "tracking": {"uri": None},
    "parent_run": None,
    "tags": {},
    "again": False,
}


def changed(key, value):
    return folder_of(CONFIG | {key: value}, "abc")


def test_a_training_is_known_by_what_decides_what_is_learned(monkeypatch):
    folder = folder_of(CONFIG, "abc")
    assert folder.parent.as_posix() == "/out/runs/masks"
    assert folder.name.startswith("xception-")
    assert folder_of(CONFIG, "abd") != folder
    assert changed("seed", 1) != folder
    assert changed("backbone", {"name": "xception", "weights": "imagenet"}) != folder
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    assert folder_of(CONFIG, "abc") != folder


def test_weights_are_known_by_what_is_in_their_file(tmp_path):
    file = tmp_path / "own.weights.h5"
    file.write_bytes(b"one")
    first = changed("backbone", {"name": "xception", "weights": str(file)})
    assert changed("backbone", {"name": "xception", "weights": str(file)}) == first
    file.write_bytes(b"two")
    assert changed("backbone", {"name": "xception", "weights": str(file)}) != first


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("dataset", {"name": "moved", "root": "/b"}),
        ("tracking", {"uri": "http://host"}),
        ("parent_run", "1"),
        ("tags", {"a": "b"}),
        ("again", True),
    ],
)
def test_where_images_and_results_lie_decides_nothing(key, value):
    assert changed(key, value) == folder_of(CONFIG, "abc")


def test_each_study_and_output_folder_has_trainings_of_its_own():
    assert changed("study", "others").parent.as_posix() == "/out/runs/others"
    assert changed("output_dir", "/else").as_posix().startswith("/else/runs/masks/xception-")
