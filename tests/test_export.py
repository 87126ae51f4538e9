"""The command `export`: what it refuses, and one export from end to end."""

import importlib.util
import json
import sys
from dataclasses import replace

import numpy as np
import pytest
from composed import settings_of

from facemask_ensemble.ensemble import voting
from facemask_ensemble.ensemble.rules import make_rule
from facemask_ensemble.ensemble.sources import Source
from facemask_ensemble.errors import InputError
from facemask_ensemble.export import check_packages, export
from facemask_ensemble.prediction import loading
from facemask_ensemble.prediction.choice import Choice
from facemask_ensemble.settings.export import ExportSettings


def settings(*overrides):
    return settings_of(ExportSettings, "export", *overrides)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ([], r"output needs a value \(a folder, which is made\); give output="),
        (["output=out", "graph=all"], "graph=all: must be one of members, ensemble, both"),
        (["output=out", "again=perhaps"], "again=perhaps: must be true or false"),
        (["output=out", "count=0"], "count=0: must be a whole number of at least 1"),
        (["output=out", "tolerance=2"], "tolerance=2: must be a difference of probabilities from 0 to 1"),
        (["output=out", "format=onnx", "format.precision=int8"], "format.precision=int8: onnx is written in float32"),
        (["output=out", "format=litert", "format.precision=int4"], "litert is written in float32, float16, int8"),
    ],
)
def test_what_cannot_be_exported_is_refused_before_anything_is_loaded(overrides, message):
    with pytest.raises(InputError, match=message):
        settings(*overrides)


def test_a_missing_extra_is_named(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "tf2onnx" else find(name))
    with pytest.raises(InputError, match=r'format=onnx needs the extra: pip install "facemask-ensemble\[export\]"'):
        check_packages(settings("output=out", "format=onnx").format)


@pytest.mark.heavy
def test_an_ensemble_is_exported_whole_or_leaves_nothing(tmp_path, monkeypatch, capsys):
    import keras
    from PIL import Image

    from facemask_ensemble.models.classifier import build_classifier

    model = build_classifier("ada", lambda pixels: keras.layers.Rescaling(1 / 255)(pixels), 8, 2, dropout=0.0)
    model.save(tmp_path / "ada.keras")
    Image.new("RGB", (20, 10), "red").save(tmp_path / "red.png")
    judged = Source("ada", tmp_path / "ada.keras", lambda: ([tmp_path / "red.png"], np.zeros((1, 2), np.float32)))
    vote = make_rule("soft", voting.soft).fit(np.empty(0), np.empty(0))
    choice = Choice(["bare", "masked"], [judged], vote, [1], "masks", {}, "one member")
    monkeypatch.setattr(loading, "choose_ensemble", lambda *given, **known: choice)
    given = settings("graph=both", f"output={tmp_path / 'out'}")
    place = export(given, {"voting": "soft", "ties": "mean_probability"})
    record = json.loads((place / "export.json").read_text())
    assert [graph["name"] for graph in record["graphs"]] == ["ada", "ensemble"]
    assert (record["graphs"][1]["rule"], record["graphs"][1]["ties"]) == ("soft", "mean_probability")
    said = capsys.readouterr().out
    assert "ada: ada, " in said
    assert "compared with Keras: 1 images, probabilities differ by" in said
    with pytest.raises(InputError, match="already holds an export; give again=true"):
        export(given, {})
    before = sorted(path.name for path in tmp_path.iterdir())
    monkeypatch.setattr(
        "facemask_ensemble.exporting.savedmodel.read", lambda path: lambda inputs: {"probabilities": np.ones((1, 2))}
    )
    with pytest.raises(InputError, match=r"ada: as savedmodel in float32 a probability differs from Keras by 0\.\d+, "):
        export(replace(given, again=True, graph="members"), {})
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    assert json.loads((place / "export.json").read_text()) == record


@pytest.mark.heavy
def test_help_is_shown_without_tensorflow(tmp_path):
    import subprocess

    script = (
        "import sys; sys.argv = ['export', '--help']\n"
        "from facemask_ensemble.export import main\n"
        "try:\n    main()\nfinally:\n    assert 'tensorflow' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "format=       litert | onnx | openvino | savedmodel" in done.stdout
