"""What holds for one task alone is chosen by `task=…`, and by the datasets that belong to it."""

import re

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import OmegaConf

from facemask_ensemble.config import CONF_DIR
from facemask_ensemble.errors import InputError
from facemask_ensemble.scenes import draw_scene
from facemask_ensemble.search_path import ENVIRONMENT
from facemask_ensemble.settings import read
from facemask_ensemble.settings.task import BoxWords, Misuse, Submission, Task
from facemask_ensemble.task import chosen_task, task_named


def composed(command, *overrides):
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        cfg = compose(command, list(overrides))
    return OmegaConf.to_container(cfg, resolve=True).get("task")


def name_of(command, *overrides):
    found = composed(command, *overrides)
    return found and found["name"]


@pytest.mark.parametrize("command", ["train", "tune", "audit", "evaluate"])
@pytest.mark.parametrize("dataset", ["scenes", "street_masks", "kaggle_masks", "face_crops"])
def test_a_dataset_of_the_mask_task_chooses_it(command, dataset):
    assert name_of(command, f"dataset={dataset}") == "masks"


@pytest.mark.parametrize("dataset", ["folders", "table"])
@pytest.mark.parametrize(("command", "name"), [("train", "generic"), ("audit", "generic"), ("evaluate", None)])
def test_images_of_ones_own_are_of_the_generic_task_or_of_that_of_their_members(command, name, dataset):
    assert name_of(command, f"dataset={dataset}") == name


@pytest.mark.parametrize(
    ("command", "given", "name"),
    [
        ("train", ["dataset=folders", "task=masks"], "masks"),
        ("train", ["dataset=scenes", "task=generic"], "generic"),
        ("train", ["experiment=quickstart"], "masks"),
        ("train", ["experiment=deep_cnn"], "masks"),
        ("train", ["experiment=vgg16_transfer"], "masks"),
        ("train", ["experiment=rock_paper_scissors"], "generic"),
        ("train", ["experiment=import_options"], "generic"),
        ("train", ["experiment=deep_cnn", "task=generic"], "generic"),
        ("evaluate", ["dataset=folders", "task=masks"], "masks"),
        ("predict", ["input=here"], None),
        ("predict", ["input=here", "task=generic"], "generic"),
        ("predict", ["input=here", "detector=haar"], "masks"),
        ("webcam", [], "masks"),
        ("app", [], None),
        ("export", ["output=there"], None),
    ],
)
def test_the_command_line_comes_first_and_then_the_experiment_and_the_detector(command, given, name):
    assert name_of(command, *given) == name


def test_the_mask_task_is_this():
    found = task_named("masks")
    np.testing.assert_array_equal(instantiate(found.example.call), draw_scene(seed=0, index=1, size=64).pixels)
    assert found == Task(
        name="masks",
        question="Who wears a mask: all, some or none?",
        meanings={
            "none": "Nobody wears a mask.",
            "all": "Everybody wears a mask.",
            "some": "Some wear a mask, others do not.",
        },
        caution="Not a judgement about a person: let one look.",
        misuse=Misuse(
            alone="Deciding about a person without another person looking",
            beyond="Saying who somebody is, or how healthy",
        ),
        boxes=BoxWords(
            noun="face",
            plural="faces",
            kinds={"masked": "masked faces", "bare": "bare faces"},
            evidence={"none": "bare", "all": "masked", "some": "any"},
        ),
        positive=("mask", "masked", "with_mask", "withmask", "all"),
        safest=("none", "some", "all"),
        submission=Submission(dataset="kaggle_masks", columns=("Id", "Category")),
        model_prefix="facemask-",
        example=found.example,
    )


def test_the_generic_task_says_nothing_of_masks_and_faces():
    text = (CONF_DIR / "task" / "generic.yaml").read_text(encoding="utf-8")
    assert not re.search(r"mask|\bface", text.replace("facemask_ensemble", ""), re.I)
    found = task_named("generic")
    assert (found.model_prefix, found.safest, found.submission, found.question) == ("", None, None, None)
    example = instantiate(found.example.call)
    assert (example.shape, example.dtype) == ((64, 64, 3), np.uint8)
    assert example[0, 0].tolist() == [0, 0, 128] and example[0, 63].tolist() == [255, 0, 128]
    assert example[63, 0].tolist() == [0, 255, 128]


def test_the_task_of_a_command_goes_before_that_of_its_members():
    assert chosen_task(read(Task, composed("predict", "input=here", "task=generic")), "masks").name == "generic"
    assert chosen_task(None, "masks").name == "masks"


def test_a_task_of_ones_own_says_only_what_is_different(tmp_path, monkeypatch):
    (tmp_path / "task").mkdir()
    own = "defaults: [generic, _self_]\nname: hands\nquestion: Which hand?\nboxes: {noun: hand, plural: hands}\n"
    (tmp_path / "task" / "hands.yaml").write_text(own)
    monkeypatch.setenv(ENVIRONMENT, str(tmp_path))
    found = task_named("hands")
    assert (found.name, found.question, found.boxes) == (
        "hands",
        "Which hand?",
        BoxWords(noun="hand", plural="hands", kinds={}, evidence={}),
    )
    assert found.caution == task_named("generic").caution


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"colour": "red"}, "task.colour: there is no such key"),
        ({"boxes": {"noun": "hand", "plural": "hands", "kinds": {}}}, "task.boxes.evidence is missing"),
        ({"misuse": {"alone": "x", "beyond": "y", "so": "z"}}, "task.misuse.so: there is no such key"),
        ({"submission": {"dataset": "x"}}, "task.submission.columns is missing"),
        (
            {"boxes": {"noun": "h", "plural": "hs", "kinds": {"left": "left hands"}, "evidence": {"a": "right"}}},
            "task.boxes.evidence.a=right: must be one of left, any",
        ),
    ],
)
def test_a_task_with_a_key_too_many_or_too_few_is_refused(changed, message):
    known = OmegaConf.to_container(OmegaConf.load(CONF_DIR / "task" / "generic.yaml"))
    with pytest.raises(InputError, match=message):
        read(Task, known | changed, above="task")


def test_a_task_that_this_installation_has_not_is_refused():
    with pytest.raises(InputError, match="task=shapes: there is no such task; choose one of generic, masks"):
        task_named("shapes")
