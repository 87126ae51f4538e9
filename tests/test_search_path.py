"""Choices and modules of a user's own folder, beside those of the package."""

import os
import subprocess
import sys

import hydra
import pytest

from facemask_ensemble.config import CONF_DIR, heatmap_method, options
from facemask_ensemble.error_lines import explain
from facemask_ensemble.errors import InputError
from facemask_ensemble.search_path import ENVIRONMENT, compose_choice, config_dir_first, is_group, open_own_folders


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A folder with a rule, a heatmap method built on one of the package, a file that is shared, and a module."""
    for name in (ENVIRONMENT, "PYTHONPATH"):
        monkeypatch.setenv(name, "")
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "mine"
    for name, text in {
        "voting/loudest.yaml": "_target_: own_rules_of_a_test.loudest\n_partial_: true\n",
        "voting/_shared.yaml": "power: 1\n",
        "heatmap/fewer.yaml": "defaults: [scorecam, _self_]\nname: fewer\nchannels: 4\n",
        "own_rules_of_a_test.py": "def loudest(probs):\n    return probs.max(axis=0).argmax(axis=1)\n",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.mark.parametrize(
    "arguments",
    [
        ["--config-dir", "mine"],
        ["-cd", "mine"],
        ["--config-dir=mine", "voting=soft"],
        ["hydra.searchpath=[file://mine]"],
        ["hydra.searchpath=[pkg://hydra.conf,file://mine]"],
        [],
    ],
)
def test_the_choices_of_a_folder_stand_beside_the_packages(arguments, mine, monkeypatch):
    before = options("voting")
    assert "loudest" not in before and "majority" in before
    if not arguments:
        monkeypatch.setenv(ENVIRONMENT, "mine")
    open_own_folders(arguments)
    assert options("voting") == sorted([*before, "loudest"])


def test_a_choice_is_composed_with_what_it_builds_on(mine):
    open_own_folders(["--config-dir", "mine"])
    assert heatmap_method("fewer") == {
        "_target_": "facemask_ensemble.explanation.scorecam.Scorecam", "_partial_": True, "channels": 4,
    }  # fmt: skip
    assert compose_choice("runtime", "openvino").load.differ == 0.005  # by an interpolation from the root


def test_a_group_is_none_of_its_keys(mine):
    assert is_group("voting") and is_group("dataset")
    assert not is_group("dataset.classes") and not is_group("seed")


@pytest.mark.parametrize("given", ["--config-dir", "the environment"])
def test_what_a_command_starts_sees_the_same_choices_and_modules(given, mine, tmp_path, monkeypatch):
    if given == "the environment":
        monkeypatch.setenv(ENVIRONMENT, str(mine))
    open_own_folders(["--config-dir", "mine"] if given == "--config-dir" else [])
    (tmp_path / "elsewhere").mkdir()
    script = (
        "from facemask_ensemble.config import options; import own_rules_of_a_test; print(*options('voting'))\n"
        "import sys; assert 'tensorflow' not in sys.modules and 'keras' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path / "elsewhere", capture_output=True, text=True, check=True
    )
    assert "loudest" in done.stdout.split()


def test_without_a_folder_what_a_command_starts_is_left_as_it_was(mine):
    open_own_folders(["voting=soft"])
    assert (os.environ[ENVIRONMENT], os.environ["PYTHONPATH"]) == ("", "")


def test_modules_of_the_folder_and_of_the_current_one_hide_no_others(mine, tmp_path):
    before = [*sys.path]
    open_own_folders(["--config-dir", "mine"])
    assert sys.path == [*before, str(tmp_path), str(mine)]


@pytest.mark.parametrize("name", ["voting/soft", "backbone/_pretrained", "train"])
def test_a_file_that_the_packages_own_would_hide_is_refused(name, mine):
    file = mine / f"{name}.yaml"
    file.parent.mkdir(exist_ok=True)
    file.write_text("{}")
    with pytest.raises(InputError, match=f"mine/{name}.yaml: the package has its own {name}, .* rename this file"):
        open_own_folders(["--config-dir", "mine"])


def test_the_packages_own_folder_may_be_named_too(mine):
    open_own_folders(["--config-dir", str(CONF_DIR)])
    assert "majority" in options("voting")


def test_a_folder_that_is_none_is_refused(mine):
    with pytest.raises(InputError, match="--config-dir=.*/nowhere: no such folder; give the one that holds"):
        open_own_folders(["--config-dir", "nowhere"])


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["a=1", "--config-dir", "mine", "b=2"], ["--config-dir", "mine", "a=1", "b=2"]),
        (["a=1", "--config-dir=mine", "-m"], ["--config-dir=mine", "a=1", "-m"]),
        (["a=1", "-cd", "mine"], ["-cd", "mine", "a=1"]),
        (["a=1", "b=2"], ["a=1", "b=2"]),
    ],
)
def test_the_folder_may_be_named_between_overrides(given, expected):
    assert config_dir_first(given) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "defaults: [_imagez, _self_]\n",
            "dataset/mine.yaml: its `defaults` name dataset/_imagez, which does not exist",
        ),
        ("name: mine\n  root: [\n", "mine/dataset/mine.yaml, line 2: not valid YAML (mapping values are not allowed"),
    ],
)
def test_a_file_that_cannot_be_composed_is_one_line_that_names_it(text, message, mine):
    (mine / "dataset").mkdir()
    (mine / "dataset" / "mine.yaml").write_text(text)
    open_own_folders(["--config-dir", "mine"])
    with pytest.raises(Exception, match="dataset|mapping") as raised:
        compose_choice("dataset", "mine")
    assert message in (explain(raised.value) or "")


def test_a_target_that_cannot_be_imported_is_one_line_with_the_next_step(mine):
    with pytest.raises(Exception, match="own_rules_of_a_test") as raised:
        hydra.utils.instantiate({"_target_": "own_rules_of_a_test.x"})
    said = explain(raised.value)
    assert said is not None
    assert said.startswith("_target_=own_rules_of_a_test.x: cannot be imported (")
    assert said.endswith("put its module into the current folder or the folder of --config-dir, or install it")
