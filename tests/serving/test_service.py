"""An ensemble that stays in memory: settings, parameters, tables in and out, and what it never loads."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from facemask_ensemble.ensemble import voting
from facemask_ensemble.ensemble.rules import make_rule
from facemask_ensemble.errors import InputError
from facemask_ensemble.prediction.ensemble import Ensemble, Member
from facemask_ensemble.serving.heatmap_columns import spokesman
from facemask_ensemble.serving.service import Service, _runtime
from facemask_ensemble.serving.uploads import Limits


class Channel:
    """A network that answers by the mean of one channel, and counts the images that it was asked about."""

    size, milliseconds = 8, None

    def __init__(self, channel):
        self.channel, self.asked = channel, 0

    def __call__(self, pixels):
        self.asked += len(pixels)
        bright = pixels[..., self.channel].mean(axis=(1, 2)) / 255
        return np.stack([1 - bright, bright], axis=1).astype(np.float32)


@pytest.fixture
def service():
    rule = make_rule("majority", voting.majority).fit(np.empty(0), np.empty(0))
    members = [Member(name, Channel(channel)) for channel, name in enumerate(("red", "green", "blue"))]
    return Service(Ensemble(["dark", "bright"], members, rule, order=[0, 1, 2]), Limits(images=4), None)


def filled(*colours):
    return [np.full((6, 5, 3), colour, np.uint8) for colour in colours]


def test_rows_come_back_in_order_however_many_are_answered_at_once(service):
    shades = [(value, value, value) for value in range(0, 250, 25)]
    table = service.answer(pd.DataFrame({"pixels": filled(*shades)}), {"votes": "all"})
    assert table.index.tolist() == list(range(10))
    np.testing.assert_allclose(table["p_blue_bright"].astype(float), np.arange(0, 250, 25) / 255, atol=1e-6)
    assert table["prediction"].tolist() == ["dark"] * 6 + ["bright"] * 4


def test_a_row_says_what_the_members_said(service):
    [row] = service.answer([{"pixels": filled((255, 204, 51))[0], "path": "a/b.png"}], {"votes": "all"}).to_dict(
        "records"
    )
    assert row | {"confidence": None} == {
        "path": "b.png", "prediction": "bright", "confidence": None, "agreement": 0.6667, "vote_red": "bright",
        "vote_green": "bright", "vote_blue": "dark", "tie": False, "reason": "", "p_red_dark": 0.0, "p_red_bright": 1.0,
        "p_green_dark": pytest.approx(0.2), "p_green_bright": pytest.approx(0.8), "p_blue_dark": pytest.approx(0.8),
        "p_blue_bright": pytest.approx(0.2),
    }  # fmt: skip
    assert row["confidence"] == pytest.approx(0.6667)  # (1 + 0.8 + 0.2) / 3


def test_members_that_cannot_change_the_majority_are_asked_only_if_wanted(service):
    pixels = pd.DataFrame({"pixels": filled((255, 255, 0))})
    for votes, asked in (("decided", 0), ("all", 1)):
        service.answer(pixels, {"votes": votes})
        assert service.ensemble.members[2].network.asked == asked


def test_where_there_is_no_number_there_is_none(service):
    table = service.answer([b"no image"], {})
    assert table[["confidence", "agreement", "p_red_dark"]].iloc[0].tolist() == [None, None, None]
    json.dumps(table.to_dict("records"), allow_nan=False)


def test_an_empty_table_has_an_empty_answer(service):
    table = service.answer(pd.DataFrame({"image": []}), {})
    assert (len(table), "p_blue_bright" in table.columns) == (0, True)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"votes": "most"}, "votes=most: must be one of decided, all"),
        ({"member": "bob", "heatmap": True}, "member=bob: must be one of red, green, blue"),
    ],
)
def test_parameters_that_cannot_be_are_refused(service, params, message):
    with pytest.raises(InputError, match=message):
        service.answer([b""], params)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"runtime": "abacus"}, "runtime=abacus: must be one of keras, openvino"),
        ({"runtime": "../heatmap/gradcam"}, "must be one of keras"),
        ({"runtime": {"name": "abacus"}}, "runtime=abacus: must be one of keras"),
        ({"runtime": {"precision": "float32"}}, "runtime=None: must be one of keras"),
        ({"runtime": {"name": "openvino", "speed": 9}}, "runtime.speed: runtime openvino has no such setting"),
        (
            {"runtime": {"name": "keras", "load": {"_target_": "os.system"}}},
            "runtime.load: runtime keras has no such",
        ),
        ({"batch_size": 0}, "batch_size=0: must be a whole number of at least 1"),
        ({"megabytes": "much"}, "megabytes=much: must be a number"),
        ({"megapixels": -1}, "megapixels=-1: must be a number of at least 0"),
        ({"megapixels": float("nan")}, "megapixels=nan: must be a number"),
        ({"root": "/no/such/folder"}, "root=/no/such/folder: no such folder"),
    ],
)
def test_settings_that_cannot_be_are_refused_before_anything_is_loaded(settings, message, tmp_path):
    with pytest.raises(InputError, match=message):
        Service.open(tmp_path, settings)


def test_a_runtime_is_given_by_its_name_or_with_values_of_its_own():
    assert _runtime("keras").load.call["_target_"] == "facemask_ensemble.prediction.runtimes.keras.load"
    chosen = _runtime({"name": "openvino", "precision": "float32", "differ": None})
    assert (chosen.load.call["precision"], chosen.load.call["differ"]) == ("float32", None)
    assert _runtime("openvino").load.call["precision"] == "auto"


def test_the_heatmap_is_of_whoever_is_most_certain_of_the_answer():
    probs = np.array([[0.4, 0.6], [0.9, 0.1], [0.2, 0.8], [np.nan, np.nan]])
    assert [spokesman(probs, label) for label in (0, 1, None)] == [1, 2, 1]


@pytest.mark.heavy
def test_a_member_that_holds_code_is_never_loaded(shipped, tmp_path):
    import keras

    [package] = shipped.glob("outputs/mlruns/lights/*/artifacts/ensemble/artifacts/ensemble")
    shutil.copytree(package, tmp_path / "package")
    member = tmp_path / "package" / "members" / "green.keras"
    pixels = keras.Input((8, 8, 3), name="pixels")
    doubled = keras.layers.Lambda(lambda given: given * 2)(pixels)
    probs = keras.layers.Dense(2, name="probabilities")(keras.layers.Flatten()(doubled))
    keras.Model(pixels, probs).save(member)
    file = tmp_path / "package" / "ensemble.json"
    about = json.loads(file.read_text())
    about["members"][1]["sha256"] = hashlib.sha256(member.read_bytes()).hexdigest()
    file.write_text(json.dumps(about))
    with pytest.raises(
        InputError, match="green.keras: it contains Python code, such as a Lambda layer, which is never"
    ):
        Service.open(tmp_path / "package")


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("models:/lights@winner", "has no such version"),
        ("models:/lights/7", "has no such version"),
        ("models:/nobody@champion", "models there: lights"),
        ("models:/m-0123", "give models:/NAME@champion or models:/NAME/VERSION"),
        ("models:/../x@champion", "give models:/NAME@champion"),
    ],
)
def test_an_ensemble_that_is_not_registered_is_refused_in_one_line(given, words, shipped, tmp_path):
    from facemask_ensemble.prediction.shipped import shipped_choice

    with pytest.raises(InputError, match=words):
        shipped_choice(given, None, shipped / "outputs")


@pytest.mark.heavy
def test_a_registered_ensemble_is_found_by_its_alias_its_number_and_its_folder(shipped):
    from facemask_ensemble.prediction.shipped import shipped_choice

    [folder] = shipped.glob("outputs/mlruns/lights/*/artifacts/ensemble")
    given = ["models:/lights@champion", "models:/lights/1", str(folder)]
    choices = [shipped_choice(one, None, shipped / "outputs") for one in given]
    assert {json.dumps(choice.about) for choice in choices} == {json.dumps(choices[0].about)}
    assert [source.file for source in choices[0].sources] == [
        Path(folder, "artifacts", "ensemble", "members", f"{name}.keras") for name in ("red", "green", "blue")
    ]
