"""A member is not judged on what it has seen, through the command line."""

import json
import shutil

import pandas as pd
import pytest
from mlflow.tracking import MlflowClient
from PIL import Image, ImageOps

from facemask_ensemble.scenes import draw_scene

CLASSES = ("bare", "masked")


def draw(folder, seed, count):
    """Draw scenes of the classes none and all, the more difficult ones, which look less alike."""
    for label, name in enumerate(CLASSES):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            scene = draw_scene(seed=seed, index=3 * number + label, size=96, difficulty="hard")
            Image.fromarray(scene.pixels).save(folder / name / f"{seed}-{number}.png")


@pytest.fixture(scope="module")
def trained(tmp_path_factory, make_place, command):
    """A place with a member trained on `seen`, its run id and one of the images that it was trained on."""
    place = make_place(tmp_path_factory.mktemp("leaks"))
    draw(place / "seen", 1, 30)
    small = (
        "backbone=deep_cnn",
        "precision=float32",
        "image_size=32",
        "batch_size=8",
        "schedule.epochs=1",
        "augmentation=none",
    )
    done = command("train", *small, "dataset=folders", "dataset.root=seen", "study=leaks", cwd=place)
    assert done.returncode == 0, done.stderr
    client = MlflowClient(f"sqlite:///{place}/outputs/mlflow.db")
    (run,) = client.search_runs([client.get_experiment_by_name("leaks").experiment_id])
    contexts = {item.tags[0].value for item in run.inputs.dataset_inputs}
    assert contexts == {"training", "validation", "test"}
    rows = pd.read_csv(next(place.glob("outputs/mlruns/leaks/*/artifacts/manifest/manifest.csv")))
    path = rows.loc[(rows["split"] == "train") & (rows["label"] == 0), "path"].iloc[0]
    return place, run.info.run_id, path


@pytest.fixture
def unseen(trained, tmp_path):
    """Images that the member has not seen, split by folders."""
    for seed, split in enumerate(("train", "validation", "test"), start=50):
        draw(tmp_path / "unseen" / split, seed, 6)
    return tmp_path / "unseen"


def evaluate(command, trained, root):
    place, run_id, _ = trained
    little = ("gallery=0", "heatmap=none", "resamples=0", "costs=false")
    judged = ("dataset=folders", f"dataset.root={root}", f"members=[{run_id}]", "study=judged", *little)
    return command("evaluate", *judged, cwd=place)


@pytest.mark.heavy
@pytest.mark.parametrize("way", ["renamed", "encoded anew", "mirrored and smaller"])
def test_a_member_is_refused_where_a_test_image_is_a_copy_of_one_it_learned(
    trained, unseen, command, assert_refused, way
):
    place, run_id, path = trained
    copy = unseen / "test" / "bare" / "holiday.jpg"
    with Image.open(place / "seen" / path) as image:
        if way == "renamed":
            shutil.copy(place / "seen" / path, copy.with_suffix(".png"))
        elif way == "encoded anew":
            image.save(copy, quality=80)
        else:
            ImageOps.mirror(image).resize((80, 80)).save(copy)
    refusal = assert_refused(evaluate(command, trained, unseen), run_id, path, "(train split)", "test/bare/holiday")
    assert ("nearly the same" in refusal) == (way != "renamed")


@pytest.mark.heavy
def test_a_member_that_has_seen_none_of_the_images_is_judged_and_said_to_be_of_other_data(trained, unseen, command):
    done = evaluate(command, trained, unseen)
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads((trained[0] / "outputs" / "judged" / "report.json").read_text())
    assert report["dataset"]["images"] == 12
    assert report["members"][0]["trained_on"] == "other images of folders"
    assert "trained on other images of folders" in (trained[0] / "outputs" / "judged" / "report.html").read_text()
    client = MlflowClient(f"sqlite:///{trained[0]}/outputs/mlflow.db")
    (run,) = client.search_runs([client.get_experiment_by_name("judged").experiment_id])
    assert {item.tags[0].value for item in run.inputs.dataset_inputs} == {"validation", "test"}


@pytest.mark.heavy
def test_a_member_of_another_draw_of_the_same_images_is_refused(trained, command, assert_refused):
    place, run_id, _ = trained
    turned = ("dataset=folders", "dataset.root=seen", "dataset.split_seed=1", f"members=[{run_id}]")
    assert_refused(command("evaluate", *turned, cwd=place), run_id, "the same image as", "test split of folders")
