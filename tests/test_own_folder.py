"""A stranger with the wheel and a folder: five extensions of their own, from the help to the exported ensemble."""

import json
import os
import re
import signal
import subprocess

import pandas as pd
import pytest
from commands import forking, runner
from processes import start

pytestmark = pytest.mark.heavy

FILES = {
    "backbone/tiny.yaml": """
        defaults: [_network]
        name: tiny
        features:
          _target_: own_parts.one_convolution
          filters: 8
        """,
    "dataset/colours.yaml": """
        defaults: [_images, _self_]
        name: colours
        near_duplicates: null
        source:
          _target_: own_parts.colours
          folder: ${output_dir}/colours
          count: 120
        """,
    "augmentation/paler.yaml": """
        name: paler
        layers:
          - _target_: own_parts.Paler
            dtype: float32
        mixup: null
        """,
    "voting/most_confident.yaml": """
        _target_: own_parts.most_confident
        _partial_: true
        power: 1
        """,
    "heatmap/mean_feature.yaml": """
        name: mean_feature
        method:
          _target_: own_parts.MeanFeature
          _partial_: true
        """,
}
PARTS = '''
from pathlib import Path

import keras
import numpy as np
import pandas as pd
from PIL import Image

from facemask_ensemble.data.listing import Listing


@keras.saving.register_keras_serializable()
class Share(keras.layers.Layer):
    """Bring 0..255 to 0..1."""

    def call(self, pixels):
        return pixels / 255


def one_convolution(pixels, *, filters):
    scaled = Share(dtype="float32")(pixels)
    return keras.layers.Conv2D(filters, 3, 2, activation="relu")(scaled)


def colours(folder, count):
    """Write images that are rather red or rather blue."""
    folder, rng = Path(folder), np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for number in range(count):
        pixels = rng.integers(0, 156, (32, 32, 3), np.uint8)
        pixels[8:24, 8:24, 2 * (number % 2)] += 100
        Image.fromarray(pixels).save(folder / f"{number}.png")
        rows.append({"path": f"{number}.png", "label": number % 2})
    return Listing(folder.absolute(), ("red", "blue"), pd.DataFrame(rows))


class Paler(keras.layers.Layer):
    def call(self, pixels, training=False):
        return 0.5 * pixels + 127.5 if training else pixels


def most_confident(probs, power):
    return (probs**power).max(axis=0).argmax(axis=1)


class MeanFeature:
    def __init__(self, model):
        self.features = keras.Model(model.input, model.get_layer("features").output)

    def __call__(self, score, pixels, **options):
        return self.features(pixels).numpy().mean(axis=-1)
'''
OWN = ("--config-dir", "mine")
SMALL = ("precision=float32", "image_size=32", "schedule.epochs=1", "dataset=colours", "augmentation=paler")
SHIPPED = "ensemble=models:/colours@champion"


@pytest.fixture(scope="module")
def stranger(installed, tmp_path_factory, make_place):
    """Run a command of the installed wheel in a folder that holds `mine/` and a store without runs.

    Commands are forked from a process of the wheel's environment; `predict` and `app` start as a user starts them.
    """
    place, (wheel, cold) = make_place(tmp_path_factory.mktemp("stranger")), installed
    for name, text in FILES.items():
        file = place / "mine" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        lines = text.strip("\n").splitlines()
        file.write_text("\n".join(line.removeprefix(" " * 8) for line in lines))
    (place / "mine" / "own_parts.py").write_text(PARTS)

    with forking(wheel / "venv" / "bin" / "python", tmp_path_factory.mktemp("forking")) as started:
        forked = runner(*started, tmp_path_factory.mktemp("printed"))

        def command(name, *arguments, **environment):
            if name == "predict":
                return cold("facemask-ensemble", name, *arguments, cwd=place, **environment)
            return forked(name, *arguments, cwd=place, **environment)

        yield place, command


@pytest.fixture(scope="module")
def trained(stranger):
    place, command = stranger
    done = command("train", "--multirun", *OWN, "backbone=tiny,deep_cnn", *SMALL)
    assert done.returncode == 0, done.stderr
    return place, command


@pytest.fixture(scope="module")
def judged(trained):
    place, command = trained
    methods = ("heatmap=mean_feature", "explanation.methods=[gradcam]", "explanation.images=6", "gallery=1")
    few = ("resamples=0", "costs=false", "voting=most_confident", "voting.power=2")
    done = command("evaluate", "dataset=colours", *OWN, *methods, *few)
    assert done.returncode == 0, done.stderr
    return place, command


@pytest.fixture(scope="module")
def shipped(judged):
    place, command = judged
    done = command("ship", "study=colours")
    assert done.returncode == 0, done.stderr
    return place, command


@pytest.fixture(scope="module")
def plain_help(stranger):
    _, command = stranger
    return command("evaluate", "--help").stdout


@pytest.mark.parametrize(
    ("name", "choices"),
    [
        ("train", {"backbone": "tiny", "dataset": "colours", "augmentation": "paler"}),
        ("evaluate", {"dataset": "colours", "voting": "most_confident", "heatmap": "mean_feature"}),
    ],
)
def test_the_help_shows_what_the_folder_adds_beside_what_the_package_has(stranger, plain_help, name, choices):
    _, command = stranger
    done = command(name, *OWN, "--help")
    assert done.returncode == 0, done.stderr
    for group, choice in choices.items():
        (line,) = re.findall(rf"^{group}= +(.*)$", done.stdout, re.M)
        assert choice in line.split(" | ")
        assert len(line.split(" | ")) > 1
    assert "voting=" in plain_help and "most_confident" not in plain_help


def test_a_sweep_trains_the_own_backbone_and_the_packages_on_the_own_dataset(trained):
    place, _ = trained
    members = [folder.name.rpartition("-")[0] for folder in place.glob("outputs/runs/colours/*")]
    assert sorted(members) == ["deep_cnn", "tiny"]


def test_a_choice_that_is_nowhere_is_answered_with_the_own_ones_too(stranger, assert_refused):
    _, command = stranger
    assert_refused(command("train", "--multirun", *OWN, "backbone=tiny,tinier"), "backbone=tinier", "tiny")
    assert_refused(command("train", *OWN, "backbone=tinier"), "backbone=tinier", "resnet50, ", "tiny")


def test_the_page_judges_the_own_rule_beside_the_others_and_the_own_heatmap(judged):
    place, _ = judged
    report = json.loads((place / "outputs" / "colours" / "report.json").read_text())
    assert report["shipped"] == "most_confident"
    assert {"most_confident", "majority", "soft"} <= set(report["ensemble"])
    assert {"most_confident", "majority"} <= {point["rule"] for point in report["frontier"]["points"]}
    assert "most_confident" in (place / "outputs" / "colours" / "report.html").read_text()
    assert "mean_feature" in (place / "outputs" / "colours" / "explanation.html").read_text()


def test_what_was_shipped_answers_with_its_rule_where_the_folder_is_given(shipped, assert_refused):
    place, command = shipped
    about = next((place / "outputs" / "mlruns").rglob("artifacts/ensemble/ensemble.json"))
    assert json.loads(about.read_text())["rule_settings"] == {"power": 2}
    given = ("predict", SHIPPED, "input=outputs/colours/1*.png")
    done = command(*given, "heatmap=mean_feature", FACEMASK_ENSEMBLE_CONFIG_DIR="mine")
    assert done.returncode == 0, done.stderr
    assert "most_confident vote as shipped" in done.stdout
    table = pd.read_csv(place / "outputs" / "predictions" / "predictions.csv")
    assert len(table) == 31 and set(table["prediction"]) <= {"red", "blue"}
    assert list((place / "outputs" / "predictions" / "overlays").glob("*--tiny.jpg"))
    assert_refused(command(*given), "voting=most_confident", "--config-dir FOLDER", "FACEMASK_ENSEMBLE_CONFIG_DIR=")


def test_the_members_of_what_was_shipped_are_exported_and_the_vote_stays_outside(shipped):
    place, command = shipped
    done = command("export", *OWN, SHIPPED, "graph=ensemble", "output=graphs", "count=4")
    assert done.returncode == 0, done.stderr
    assert "voting=most_confident is your own function" in done.stdout
    record = json.loads((place / "graphs" / "export.json").read_text())
    assert sorted(graph["name"] for graph in record["graphs"]) == ["deep_cnn", "tiny"]


def test_the_page_shows_what_was_shipped(shipped, installed):
    place, _ = shipped
    program = installed[0] / "venv" / "bin" / "facemask-ensemble"
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    process = start(
        [program, "app", *OWN, SHIPPED, "port=0", "heatmap=mean_feature"],
        cwd=place, env=environment, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    said = []
    for line in process.stdout:
        said.append(line)
        if line.startswith("page: "):
            break
    process.send_signal(signal.SIGTERM)
    process.communicate()
    assert "most_confident vote as shipped" in "".join(said)
    assert said[-1].startswith("page: "), said
