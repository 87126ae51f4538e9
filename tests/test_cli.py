import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from composed import config_of
from hydra.errors import HydraException

from facemask_ensemble import evaluate, predict
from facemask_ensemble.error_lines import explain
from facemask_ensemble.errors import InputError

NO_NETWORK = {"https_proxy": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9"}
SMALL = (
    "backbone=deep_cnn",
    "precision=float32",
    "image_size=32",
    "batch_size=8",
    "schedule.epochs=1",
    "augmentation=none",
)


HELPFUL = ["train", "evaluate", "predict", "upload", "app", "export"]  # the others' tests are beside theirs


@pytest.fixture(scope="module")
def trainings(tmp_path_factory, make_place, command, draw_faces):
    """A folder in which members of different classes are trained on folders of images, some of `moods` spoilt."""
    place, trained = make_place(tmp_path_factory.mktemp("place")), {}
    for study, classes in {"masks": ["bare", "masked"], "moods": ["glad", "sad"]}.items():
        draw_faces(place / study, classes, 20)
        if study == "moods":
            (place / study / "glad" / "empty.jpg").write_bytes(b"")
            whole = (place / study / "sad" / "3.png").read_bytes()
            (place / study / "sad" / "cut.png").write_bytes(whole[: len(whole) // 2])
        trained[study] = train_small(command, place, study)
        assert trained[study].returncode == 0, trained[study].stderr
    return place, trained


@pytest.fixture(scope="module")
def place(trainings):
    return trainings[0]


def refusal(task, name, *overrides):
    """Say in the words of a command why it refuses overrides."""
    with pytest.raises((InputError, HydraException)) as raised:
        task(config_of(name, *overrides))
    return explain(raised.value)


def train_small(command, place, study, *more, **environment):
    return command(
        "train", *SMALL, "dataset=folders", f"dataset.root={study}", f"study={study}", *more, cwd=place, **environment
    )


@pytest.fixture(scope="module")
def helps(tmp_path_factory):
    """What every command printed as its help, what that had imported, and what then lay in the folder."""
    script = (
        "import json, os, sys\n"
        "from contextlib import suppress\n"
        "from importlib import import_module\n"
        f"for name in {HELPFUL}:\n"
        "    sys.argv = [name, '--help']\n"
        "    with suppress(SystemExit):\n"
        "        import_module(f'facemask_ensemble.{name}').main()\n"
        "    imported = {'tensorflow', 'keras', 'mlflow'} & set(sys.modules)\n"
        "    print(json.dumps([name, sorted(imported), os.listdir()]), flush=True)\n"
    )
    folder, helps, lines = tmp_path_factory.mktemp("helps"), {}, []
    done = subprocess.run([sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, check=True)
    for line in done.stdout.splitlines():
        if line.startswith("["):
            name, *known = json.loads(line)
            helps[name], lines = ("\n".join(lines), *known), []
        else:
            lines.append(line)
    return helps


@pytest.mark.heavy
@pytest.mark.parametrize("name", HELPFUL)
def test_help_teaches_without_importing_tensorflow(name, helps):
    said, imported, files = helps[name]
    assert f"python -m facemask_ensemble.{name}" in said
    assert (imported, files) == ([], [])


def test_the_console_script_names_its_commands_and_refuses_others(command, tmp_path, assert_refused):
    script = [sys.executable, "-c", "from facemask_ensemble.cli import main; main()"]
    done = subprocess.run([*script, "--help"], capture_output=True, text=True, check=True)
    assert all(name in done.stdout for name in ("train", "evaluate", "predict", "ship", "upload"))
    wrong = subprocess.run([*script, "tarin"], capture_output=True, text=True, check=False)
    assert_refused(wrong, "tarin: no such command", "train, tune, evaluate")


REFUSED = [
    (["backbone=vgg99"], ["backbone=vgg99", "choose one of", "xception"]),
    (["schedule.epoch=3"], ["schedule.epoch: there is no such key", "schedule.epochs"]),
    (["image_size=[3"], ["--help"]),
    (["image_size=20"], ["image_size=20", "at least 32"]),
    (["dataset=folders", "dataset.root=nowhere"], ["dataset.root=", "nowhere", "no such folder"]),
    (["dataset=folders"], ["dataset.root=null"]),
    (["tracking=server"], ["tracking.uri needs a value"]),
    (["backbone.weights=none.h5"], ["backbone.weights=", "none.h5: no such file", "null for random"]),
    (["backbone.weights=null", "schedule=finetune"], ["schedule=finetune", "use schedule=scratch"]),
]


@pytest.fixture(scope="module")
def refusals(tmp_path_factory):
    """How a training ended with each of these configs, one after another in a process, and what that had imported."""
    script = (
        "import io, json, sys\n"
        "from contextlib import redirect_stderr\n"
        "from facemask_ensemble.train import main\n"
        "for arguments in json.loads(sys.argv[1]):\n"
        "    sys.argv, code = ['train', *arguments], 0\n"
        "    with redirect_stderr(io.StringIO()) as errors:\n"
        "        try:\n"
        "            main()\n"
        "        except SystemExit as end:\n"
        "            code = end.code\n"
        "    print(json.dumps([code, errors.getvalue(), 'tensorflow' in sys.modules]))\n"
    )
    asked = json.dumps([arguments for arguments, _ in REFUSED])
    done = subprocess.run(
        [sys.executable, "-c", script, asked],
        cwd=tmp_path_factory.mktemp("refused"), capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.heavy
@pytest.mark.parametrize("number", range(len(REFUSED)), ids=lambda number: " ".join(REFUSED[number][0]))
def test_a_refused_config_is_one_line_before_tensorflow_is_imported(number, refusals, assert_refused):
    code, errors, imported = refusals[number]
    assert_refused(subprocess.CompletedProcess(REFUSED[number][0], code, "", errors), *REFUSED[number][1])
    assert not imported


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("files", "words"),
    [([], "no finished training there"), (["scores.json"], "this training is already logged")],
)
def test_a_folder_without_anything_to_send_is_refused(files, words, tmp_path, assert_refused):
    for name in files:
        (tmp_path / name).touch()
    start = [sys.executable, "-m", "facemask_ensemble.upload", f"folder={tmp_path}"]
    done = subprocess.run(start, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert_refused(done, f"folder={tmp_path}", words)


@pytest.mark.heavy
def test_a_folder_of_one_class_is_refused(command, tmp_path, assert_refused, draw_faces):
    draw_faces(tmp_path / "images", ["masked"], 4)
    done = command("train", *SMALL, "dataset=folders", "dataset.root=images", cwd=tmp_path)
    assert_refused(done, "images", "masked")


def test_a_folder_without_an_image_is_refused(command, tmp_path, assert_refused):
    for name in ("bare", "masked"):
        (tmp_path / "images" / name).mkdir(parents=True)
    done = command("train", *SMALL, "dataset=folders", "dataset.root=images", cwd=tmp_path)
    assert_refused(done, "images", "no image")


def test_a_sweep_over_a_missing_folder_is_refused_once(command, tmp_path, assert_refused):
    done = command(
        "train", "--multirun", "experiment=seven_backbones", "dataset=folders", "dataset.root=nowhere", cwd=tmp_path
    )
    assert_refused(done, "nowhere: no such folder")


@pytest.mark.heavy
def test_corrupt_images_are_listed_and_left_out(trainings):
    place, trained = trainings
    assert "left out: glad/empty.jpg: empty file" in trained["moods"].stdout
    assert "left out: sad/cut.png" in trained["moods"].stdout
    assert (place / "moods" / "sad" / "cut.png").exists()


@pytest.mark.heavy
def test_weights_that_cannot_be_downloaded_are_refused_with_the_other_ways(command, place, assert_refused, tmp_path):
    done = train_small(
        command, place, "masks", "backbone=xception", "image_size=71", "backbone.weights=imagenet",
        KERAS_HOME=str(tmp_path), **NO_NETWORK,
    )  # fmt: skip
    assert_refused(done, "backbone.weights=imagenet", "cannot be downloaded", "backbone.weights=null")


@pytest.mark.heavy
def test_a_weights_file_of_another_network_is_refused(command, place, assert_refused):
    import keras

    other = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    other.save_weights(place / "other.weights.h5")
    done = train_small(
        command, place, "masks", "backbone=xception", "image_size=71", "backbone.weights=other.weights.h5"
    )
    assert_refused(done, "other.weights.h5: not the weights of Xception", "give that network's file")


SMALL_DISK = """
import resource, keras

class Limit(keras.layers.Identity):
    def __init__(self):
        super().__init__()
        resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, resource.RLIM_INFINITY))
"""


@pytest.mark.heavy
def test_a_disk_that_fills_up_is_named_and_what_was_finished_is_kept(command, place, assert_refused):
    """A limit on the size of files stands for the disk: 28 images of 192 px need three megabytes, the store one."""
    before = answers(command, place)
    (place / "small_disk.py").write_text(SMALL_DISK)
    limited = ("image_size=192", "augmentation.layers=[{_target_: small_disk.Limit}]")
    done = train_small(command, place, "masks", *limited)
    assert_refused(done, str(place / "outputs"), "disk")
    pd.testing.assert_frame_equal(answers(command, place), before)


def answers(command, place):
    done = command("predict", "input=masks/bare", "study=masks", cwd=place)
    assert done.returncode == 0, done.stderr
    return pd.read_csv(place / "outputs" / "predictions" / "predictions.csv")


@pytest.mark.heavy
def test_predictions_hold_the_vote_of_every_member_and_the_reason_of_an_image_without(command, place):
    (place / "masks" / "bare" / "notes.jpg").write_text("no image")
    done = command("predict", "input=masks/*/*", "study=masks", cwd=place)
    assert done.returncode == 0, done.stderr
    assert "left out: masks/bare/notes.jpg: not an image" in done.stderr
    assert "member answers: 40 of 40 (1 members x 40 images)" in done.stdout
    folder = place / "outputs" / "predictions"
    quarantine, bad = pd.read_csv(folder / "quarantine.csv"), "masks/bare/notes.jpg"
    assert quarantine.to_dict("records") == [{"path": bad, "reason": "not an image"}]
    table = pd.read_csv(folder / "predictions.csv").set_index("path")
    assert list(table.columns) == ["prediction", "confidence", "agreement", "vote_deep_cnn", "tie", "reason"]
    assert table.loc[bad, "reason"] == "not an image"
    assert table.loc[bad].drop(["tie", "reason"]).isna().all()
    table = table.drop(bad)
    assert len(table) == 40
    assert table["reason"].isna().all()
    assert (table["prediction"] == table["vote_deep_cnn"]).all()
    assert set(table["agreement"]) == {1.0}
    assert not table["tie"].any()
    (place / "masks" / "bare" / "notes.jpg").unlink()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("input=nowhere.jpg", ["input=nowhere.jpg", "no such image, folder or glob"]),
        ("votes=some", ["votes=some", "decided, all"]),
        ("output=answers.xlsx", ["output=answers.xlsx", ".csv or .parquet"]),
        ("again=1", ["again=1", "true or false"]),
        ("heatmap=scorecam heatmap.channels=0", ["heatmap.channels=0", "whole number of at least 1"]),
    ],
)
def test_a_prediction_that_cannot_be_made_is_refused(given, words):
    said = refusal(predict.task, "predict", "input=masks/bare", *given.split())
    assert all(word in said for word in words)


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("study=elsewhere", ["study=elsewhere", "no finished members", "masks", "moods"]),
        ("members=[0123]", ["members=0123", "no such run"]),
    ],
)
def test_a_prediction_by_members_that_are_not_there_is_refused(given, words, command, place, assert_refused):
    assert_refused(command("predict", "input=masks/bare", given, cwd=place), *words)


@pytest.mark.heavy
def test_members_of_different_class_lists_do_not_vote_together(command, place, assert_refused):
    ids = [run_id(place, study) for study in ("masks", "moods")]
    done = command("predict", "input=masks/bare", f"members=[{','.join(ids)}]", cwd=place)
    assert_refused(done, ids[1], "glad, sad", "bare, masked", "same classes")
    judged = command("evaluate", "dataset=folders", "dataset.root=masks", f"members=[{','.join(ids)}]", cwd=place)
    assert_refused(judged, ids[1], "glad, sad", "bare, masked", "same classes")


def run_id(place, study):
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{place}/outputs/mlflow.db")
    experiment = client.get_experiment_by_name(study)
    (run, *_) = client.search_runs(
        [experiment.experiment_id], "tags.kind = 'member' and attributes.status = 'FINISHED'"
    )
    return run.info.run_id


@pytest.mark.heavy
def test_evaluate_without_finished_members_says_how_to_train_some(
    command, place_with_store, assert_refused, draw_faces
):
    draw_faces(place_with_store / "images", ["bare", "masked"], 20)
    done = command("evaluate", "dataset=folders", "dataset.root=images", cwd=place_with_store)
    assert_refused(done, "no finished members for dataset folders", "facemask_ensemble.train --multirun")


@pytest.mark.heavy
def test_evaluate_writes_the_report_and_its_numbers(command, place):
    done = command("evaluate", "dataset=folders", "dataset.root=masks", cwd=place)
    assert done.returncode == 0, done.stderr
    report = json.loads((place / "outputs" / "folders" / "report.json").read_text())
    (member,) = report["members"]
    assert member["backbone"] == "deep_cnn"
    assert member["init"] == "random initialisation"
    assert report["ensemble"]["majority"]["accuracy"] == member["accuracy"]
    assert report["dataset"]["images"] == int(np.sum(member["confusion_matrix"]))
    page = (place / "outputs" / "folders" / "report.html").read_text()
    assert "deep_cnn" in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    why = json.loads((place / "outputs" / "folders" / "explanation.json").read_text())
    assert (why["method"], why["images"]) == ("gradcam", report["dataset"]["images"])
    assert why["boxes"] is False
    assert "no object boxes" in (place / "outputs" / "folders" / "explanation.html").read_text()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("gallery=x", "gallery=x: must be a whole number"),
        ("seen=forget", "seen=forget: must be one of refuse, leave_out"),
        ("learn=test", "learn=test: must be one of validation, folds"),
        ("conformal_error=1.5", "conformal_error=1.5: must be a share between 0 and 1"),
        ("voting=coin", "voting=coin"),
        ("heatmap=scorecam heatmap.channels=x", "heatmap.channels=x: must be a whole number of at least 1"),
        ("explanation.images=few", "explanation.images=few: must be a whole number"),
        ("explanation.trust=300", "explanation.trust=300: must be at most explanation.images=200"),
        (
            "explanation.methods=[gradcam,tea]",
            "explanation.methods=tea: there is no such method; choose from gradcam, gradcam_plus",
        ),
    ],
)
def test_an_evaluation_that_cannot_be_is_refused(given, words):
    assert words in refusal(evaluate.task, "evaluate", *given.split())


def test_a_stopped_training_is_not_taken_for_a_finished_one(tmp_path):
    from facemask_ensemble.training.member_process import Outcome

    folder = tmp_path / "3_xception"
    folder.mkdir()
    assert Outcome.read(folder).state == "failed"
    assert Outcome.read(folder).name == "xception"
