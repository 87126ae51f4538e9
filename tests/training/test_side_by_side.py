import os

import pytest
from hydra import compose, initialize_config_dir

from facemask_ensemble.config import CONF_DIR
from facemask_ensemble.training import side_by_side
from facemask_ensemble.training.side_by_side import members_at_once

SEVEN = {"backbone": "a,b,c,d,e,f,g"}
GB = 1_000_000_000


@pytest.fixture
def machine(monkeypatch):
    """Say what there is; what an earlier answer was is forgotten, and so is this one."""

    def has(cores=64, memory=256 * GB, gpus=0):
        monkeypatch.setattr(side_by_side, "usable_cores", lambda: cores)
        monkeypatch.setattr(side_by_side, "usable_memory", lambda: memory)
        monkeypatch.setattr(side_by_side, "visible_gpus", lambda: [str(number) for number in range(gpus)])
        monkeypatch.delenv(side_by_side.CHOSEN, raising=False)

    monkeypatch.setenv(side_by_side.CHOSEN, "1")  # put back to what it was when the test ends
    return has


@pytest.mark.parametrize(
    ("there_is", "members"),
    [
        ({}, 7),  # no more than there are
        ({"cores": 2}, 2),
        ({"cores": 1}, 1),
        ({"cores": 4, "memory": 7 * GB}, 3),  # 2 GB and 16 x 64 x 64 x 4500 bytes, 2.29 GB, for each
        ({"memory": GB}, 1),
        ({"gpus": 2}, 2),  # a GPU each, whose memory is not counted
        ({"gpus": 2, "memory": GB}, 2),
        ({"gpus": 8, "cores": 4}, 4),
    ],
)
def test_members_train_side_by_side_as_cores_memory_and_gpus_allow(there_is, members, machine):
    machine(**there_is)
    assert members_at_once(SEVEN, [], 64, 16) == members


def test_larger_images_and_batches_take_more_memory(machine):
    """32 of 224 x 224 pixels: 2 GB and 7.2 GB."""
    machine(memory=28 * GB)
    assert members_at_once(SEVEN, [], 224, 32) == 3


def test_members_are_those_of_the_experiment_and_of_the_command_line(machine):
    machine()
    assert members_at_once({"backbone": "a,b,c"}, ["seed=0,1", "image_size=64"], 64, 16) == 6
    machine()
    assert members_at_once(None, ["backbone=a,b"], 64, 16) == 2


def test_the_first_answer_holds_for_the_processes_that_are_started(machine, monkeypatch):
    """Each of them asks again, while the memory of the others is taken."""
    machine(cores=3)
    assert members_at_once(SEVEN, [], 64, 16) == 3
    assert os.environ[side_by_side.CHOSEN] == "3"
    monkeypatch.setattr(side_by_side, "usable_memory", lambda: 0)
    assert members_at_once(None, [], 64, 16) == 3


@pytest.mark.parametrize("experiment", ["quickstart", "seven_backbones"])
@pytest.mark.parametrize(("given", "jobs"), [([], 2), (["hydra.launcher.n_jobs=5"], 5)])
def test_the_seven_train_so_unless_the_user_says_otherwise(experiment, given, jobs, machine):
    machine(cores=2)
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        config = compose("train", [f"experiment={experiment}", *given], return_hydra_config=True)
    assert config.hydra.launcher.n_jobs == jobs
    assert config.hydra.launcher._target_.endswith("JoblibLauncher")


def test_another_launcher_can_be_chosen_for_the_seven():
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        config = compose("train", ["experiment=seven_backbones", "hydra/launcher=basic"], return_hydra_config=True)
    assert config.hydra.launcher._target_.endswith("BasicLauncher")
