"""The competition's file of answers, `submission.csv`."""

import json

import pandas as pd
import pytest
from PIL import Image

from facemask_ensemble.data.inputs import open_input
from facemask_ensemble.errors import InputError
from facemask_ensemble.predict import _submit
from facemask_ensemble.prediction.answers import submission
from facemask_ensemble.scenes import draw_scene

CLASSES = ("none", "all", "some")
COLUMNS = ("Id", "Category")


def answered(**predictions):
    return pd.DataFrame({"path": [f"test/{name}.jpg" for name in predictions], "prediction": predictions.values()})


def unreadable(*paths):
    return pd.DataFrame({"path": paths, "reason": "empty file"}, columns=["path", "reason"])


def test_a_submission_has_a_row_for_every_image_in_the_order_of_their_names():
    rows, guess = submission(
        answered(c="some", a="none", b="some"), unreadable("test/0.png", "test/bb.jpg"), CLASSES, COLUMNS
    )
    assert guess == "some"
    assert rows.to_csv(index=False) == "Id,Category\n0.png,2\na.jpg,0\nb.jpg,2\nbb.jpg,2\nc.jpg,2\n"


def test_of_several_most_frequent_answers_the_first_class_is_guessed():
    rows, guess = submission(answered(a="some", b="all"), unreadable("x.jpg"), CLASSES, COLUMNS)
    assert guess == "all"
    assert dict(zip(rows["Id"], rows["Category"], strict=True)) == {"a.jpg": 2, "b.jpg": 1, "x.jpg": 1}


def test_two_images_of_one_name_have_no_submission():
    with pytest.raises(InputError, match=r"1 images have the name of another, such as a\.jpg: give one folder"):
        submission(answered(a="some", b="all"), unreadable("deeper/a.jpg"), CLASSES, COLUMNS)


def test_a_folder_of_sound_images_needs_no_guess_and_a_name_twice_is_no_failure(tmp_path, capsys):
    _submit(answered(b="all", a="some"), unreadable(), CLASSES, COLUMNS, tmp_path / "submission.csv")
    assert (tmp_path / "submission.csv").read_text() == "Id,Category\na.jpg,2\nb.jpg,1\n"
    assert capsys.readouterr() == (f"submission: {tmp_path / 'submission.csv'}\n", "")
    _submit(answered(a="all"), unreadable("x/a.jpg"), CLASSES, COLUMNS, tmp_path / "other.csv")
    assert "no submission.csv: 1 images have the name of another" in capsys.readouterr().err
    assert not (tmp_path / "other.csv").exists()


def test_every_image_of_a_folder_is_to_be_answered_but_no_hidden_one(tmp_path):
    for name in ("b.jpg", "a.PNG", "._a.PNG", "__MACOSX/._b.jpg", ".hidden/c.jpg", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "gone.jpg").symlink_to("nowhere.jpg")
    assert [item.name.rpartition("/")[2] for item in open_input(str(tmp_path)).items()] == [
        "a.PNG",
        "b.jpg",
        "gone.jpg",
    ]


@pytest.fixture(scope="module")
def competition(tmp_path_factory, make_place, command):
    """A folder with `MaskDataset` of drawn scenes and a member that learned from it for an epoch."""
    place = make_place(tmp_path_factory.mktemp("competition"))
    root = place / "MaskDataset"
    for name in ("training", "test"):
        (root / name).mkdir(parents=True)
    truth = {}
    for index in range(48):
        scene = draw_scene(seed=0, index=index, size=48)
        name = f"{index:02d}.png"
        Image.fromarray(scene.pixels).save(root / ("training" if index < 42 else "test") / name)
        truth |= {name: scene.label} if index < 42 else {}
    (root / "train_gt.json").write_text(json.dumps(truth))
    (root / "test" / "45.png").write_bytes(b"")
    (root / "test" / "notes.txt").touch()
    done = command(
        "train", "backbone=deep_cnn", "precision=float32", "image_size=32", "batch_size=8", "schedule.epochs=1",
        "augmentation=none", "dataset=kaggle_masks", "dataset.root=MaskDataset", "dataset.near_duplicates=null",
        cwd=place,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return place


@pytest.mark.heavy
@pytest.mark.parametrize("given", ["input=MaskDataset/test", 'input="MaskDataset/test/*"'])
def test_members_of_the_competition_write_its_file_with_an_answer_for_an_unreadable_image(command, competition, given):
    folder = competition / "outputs" / "predictions"
    (folder / "submission.csv").unlink(missing_ok=True)
    done = command("predict", given, cwd=competition)
    assert done.returncode == 0, done.stderr
    assert f"submission: {folder / 'submission.csv'}" in done.stdout
    rows = pd.read_csv(folder / "submission.csv")
    assert list(rows.columns) == ["Id", "Category"]
    assert list(rows["Id"]) == ["42.png", "43.png", "44.png", "45.png", "46.png", "47.png"]
    answers = pd.read_csv(folder / "predictions.csv", keep_default_na=False)
    answers = answers[answers["reason"] == ""]
    said = {path.rpartition("/")[2]: CLASSES.index(name) for path, name in answers[["path", "prediction"]].to_numpy()}
    guess = answers["prediction"].map(CLASSES.index).mode()[0]
    assert dict(zip(rows["Id"], rows["Category"], strict=True)) == {**said, "45.png": guess}
    assert f"filled in submission.csv: MaskDataset/test/45.png: {CLASSES[guess]}" in done.stderr
    assert "notes.txt" not in "".join(rows["Id"])
