"""Exported files, opened with the runtime of their format, answer as Keras does."""

import hashlib
import importlib.util
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from composed import settings_of

from facemask_ensemble.data.chunks import read_chunks
from facemask_ensemble.data.inputs import open_input
from facemask_ensemble.ensemble import voting
from facemask_ensemble.ensemble.rules import make_rule
from facemask_ensemble.ensemble.sources import Source
from facemask_ensemble.errors import InputError
from facemask_ensemble.exporting import litert
from facemask_ensemble.exporting.exporter import Exporter
from facemask_ensemble.exporting.folder import new_folder
from facemask_ensemble.prediction.choice import Choice
from facemask_ensemble.prediction.ensemble import Ensemble, Member
from facemask_ensemble.prediction.runtimes import keras
from facemask_ensemble.settings.export import ExportSettings

pytestmark = pytest.mark.heavy

CLASSES = ["none", "all", "some"]
MODULES = {"savedmodel": [], "litert": [], "onnx": ["onnxruntime", "tf2onnx"], "openvino": ["openvino"]}


def exporter(folder, sources, photos, name, rule=voting.majority, tie=voting.mean_probability, **given):
    """Make an exporter of a format, as the command does; `precision` and other keys may be given."""
    for module in MODULES[name]:
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed")
    asked = settings_of(ExportSettings, "export", f"format={name}", "output=out")
    form = replace(asked.format, precision=given.pop("precision", "float32"))
    vote = make_rule("rule", rule, tie).fit(np.empty(0), np.empty(0))
    choice = Choice(CLASSES, sources, vote, [1] * len(sources), "masks", {}, "three members")
    settings = replace(asked, format=form, **{"images": str(photos), "count": 20} | given)
    return Exporter(choice, settings, folder), form


@pytest.fixture
def quick_start(preloaded, monkeypatch):
    """Let a process in which a graph is converted begin with TensorFlow imported: each would take seconds for that."""
    monkeypatch.setattr("sys.executable", preloaded)


@pytest.fixture(scope="module")
def chunk(photos):
    (found,) = read_chunks(open_input(str(photos)).items(), [8, 12])
    return found


@pytest.mark.parametrize("name", MODULES)
def test_every_format_answers_as_keras_does_alone_and_as_an_ensemble(
    name, tmp_path, sources, photos, chunk, quick_start
):
    import hydra

    made, form = exporter(tmp_path, sources, photos, name, tie=voting.abstain)
    assert made.write("both", {"ties": "abstain"}) == []
    record = json.loads((tmp_path / "export.json").read_text())
    assert [graph["name"] for graph in record["graphs"]] == ["ada", "bea", "cid", "ensemble"]
    assert (record["class_names"], record["members"]) == (CLASSES, ["ada", "bea", "cid"])
    assert [graph["check"]["images"] for graph in record["graphs"]] == [19, 19, 19, 19]  # the twentieth is none
    assert all(graph["check"]["largest_difference"] <= record["tolerance"] == 0.001 for graph in record["graphs"])
    for graph in record["graphs"]:
        for file, sha in graph["files"].items():
            assert hashlib.sha256((tmp_path / file).read_bytes()).hexdigest() == sha
    halves = [graph["against_half_precision"] is not None for graph in record["graphs"]]
    assert halves == [False, True, False, True]
    read = hydra.utils.instantiate(form.read.call)
    networks = keras.load(sources, 8)
    members = [Member(source.name, network) for source, network in zip(sources, networks, strict=True)]
    vote = make_rule("majority", voting.majority, voting.abstain).fit(np.empty(0), np.empty(0))
    ensemble = Ensemble(CLASSES, members, vote)
    probs, readable = ensemble.ask(chunk), chunk.readable
    for place, graph in enumerate(record["graphs"][:3]):
        side = graph["inputs"]["pixels"]["size"]
        found = read(tmp_path / graph["path"])({"pixels": chunk.pixels[side][readable]})["probabilities"]
        bound = 0.03 if graph["name"] == "bea" else 1e-5  # bea was trained in bfloat16, with eight bits of digits
        np.testing.assert_allclose(found, probs[place, readable], atol=bound)
    graph = record["graphs"][3]
    assert sorted(graph["inputs"]) == ["pixels_12", "pixels_8"]
    whole = read(tmp_path / graph["path"])(
        {name: chunk.pixels[about["size"]][readable] for name, about in graph["inputs"].items()}
    )
    table = ensemble.answers(chunk, probs).iloc[readable]
    assert np.array([*CLASSES, ""])[whole["prediction"]].tolist() == table["prediction"].tolist()
    assert whole["tie"].tolist() == table["tie"].tolist()
    np.testing.assert_allclose(whole["confidence"], table["confidence"], atol=0.03)
    np.testing.assert_allclose(whole["agreement"], table["agreement"], atol=1e-3)


def test_beside_a_rule_of_ones_own_the_members_are_exported_and_it_is_said(tmp_path, sources, photos, capsys):
    made, _ = exporter(tmp_path, sources[:2], photos, "savedmodel", rule=most_confident)
    assert made.write("ensemble", {"voting": "rule", "ties": "mean_probability"}) == []
    told = "voting=rule is your own function, most_confident, which no graph computes; only the members are exported"
    assert told in capsys.readouterr().out
    record = json.loads((tmp_path / "export.json").read_text())
    assert [graph["name"] for graph in record["graphs"]] == ["ada", "bea"]
    assert record["vote_outside"].startswith(told)


def most_confident(probs):
    return probs.max(axis=0).argmax(axis=1)


@pytest.mark.parametrize(("name", "precision"), [("litert", "float16"), ("litert", "int8"), ("openvino", "float16")])
def test_smaller_numbers_make_smaller_files_within_their_own_bound(name, precision, tmp_path, sources, photos):
    sizes = {}
    for one in ("float32", precision):
        (tmp_path / one).mkdir()
        made, form = exporter(tmp_path / one, sources[:1], photos, name, precision=one, count=10)
        made.write("members", {})
        (graph,) = json.loads((tmp_path / one / "export.json").read_text())["graphs"]
        assert graph["check"]["largest_difference"] <= form.bounds[one]
        assert graph["check"]["images"] in (9, 10)  # the last one is none
        sizes[one] = sum((tmp_path / one / file).stat().st_size for file in graph["files"])
    assert graph["check"]["largest_difference"] > 0
    assert sizes[precision] != sizes["float32"]


def test_an_export_that_differs_by_more_than_the_tolerance_is_refused_and_the_others_are_kept(
    tmp_path, sources, photos, monkeypatch
):
    read = litert.read

    def tampered(path):
        run, more = read(path), np.float32(0.002 if path.stem == "ada" else 0)
        return lambda inputs: {key: value + more for key, value in run(inputs).items()}

    monkeypatch.setattr(litert, "read", tampered)
    made, _ = exporter(tmp_path, sources[:2], photos, "litert")
    (refused,) = made.write("members", {})
    assert re.match(r"ada: as litert in float32 .* by 0.002, more than tolerance=0.001; .*tolerance=", refused)
    record = json.loads((tmp_path / "export.json").read_text())
    assert ([graph["name"] for graph in record["graphs"]], record["refused"]) == (["bea"], [refused])
    assert sorted(file.name for file in tmp_path.iterdir()) == ["bea.tflite", "export.json"]
    alone, _ = exporter(tmp_path, sources[:1], photos, "litert")
    with pytest.raises(InputError, match=r"ada: as litert .* Nothing was exported"):
        alone.write("members", {})
    assert exporter(tmp_path, sources[:1], photos, "litert", tolerance=0.01)[0].write("members", {}) == []


def test_without_an_image_to_check_with_nothing_is_exported(tmp_path, sources, photos):
    (tmp_path / "text.png").write_text("no image")
    made, _ = exporter(tmp_path, sources[:1], tmp_path, "savedmodel")
    with pytest.raises(InputError, match="images: none of 1 can be read; give images=FOLDER"):
        made.write("members", {})
    made, _ = exporter(tmp_path, sources[:1], photos, "savedmodel", images=None)
    with pytest.raises(InputError, match="validation images of ada are not known; give images=FOLDER"):
        made.write("members", {})
    gone = [Source("ada", sources[0].file, lambda: ([tmp_path / "gone" / "1.png"], np.zeros((1, 3))))]
    made, _ = exporter(tmp_path, gone, photos, "savedmodel", images=None)
    with pytest.raises(InputError, match="validation images of ada are not at .*gone any more; give images=FOLDER"):
        made.write("members", {})


def test_validation_images_check_where_no_others_are_given(tmp_path, sources, photos):
    files = sorted(photos.glob("*.png"))
    judged = [Source("ada", sources[0].file, lambda: (files, np.zeros((30, 3), np.float32)))]
    made, _ = exporter(tmp_path, judged, None, "savedmodel", images=None, count=7)
    made.write("members", {})
    assert json.loads((tmp_path / "export.json").read_text())["graphs"][0]["check"]["images"] == 7


def test_a_folder_appears_whole_or_not_at_all(tmp_path):
    with pytest.raises(RuntimeError, match="midway"), new_folder(tmp_path / "out", again=False) as folder:
        (folder / "half").write_text("")
        raise RuntimeError("midway")
    assert list(tmp_path.iterdir()) == []
    for number in range(2):
        with new_folder(tmp_path / "out", again=bool(number)) as folder:
            (folder / "export.json").write_text(str(number))
        assert (tmp_path / "out" / "export.json").read_text() == str(number)
    with pytest.raises(InputError, match="already holds an export; give again=true"):
        new_folder(tmp_path / "out", again=False).__enter__()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_what_is_no_export_is_never_replaced(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "1.jpg").write_text("dear")
    for place in (tmp_path / "photos", tmp_path / "photos" / "1.jpg"):
        with pytest.raises(InputError, match="files that are not an export; give another output=FOLDER"):
            new_folder(place, again=True).__enter__()
    assert (tmp_path / "photos" / "1.jpg").read_text() == "dear"


def test_a_pooling_of_padded_negative_values_is_exported_as_keras_counts_it(tmp_path, photos, quick_start):
    """Zeros around what is all negative: they are the largest, unless a runtime takes the padding for nothing."""
    import keras

    from facemask_ensemble.models.classifier import build_classifier

    def features(pixels):
        negative = keras.layers.Rescaling(-1 / 255)(pixels)
        return keras.layers.MaxPooling2D(3, 2)(keras.layers.ZeroPadding2D(1)(negative))

    model = build_classifier("eve", features, 8, 2, dropout=0.0)
    model.get_layer("probabilities").set_weights([np.full((3, 2), [-5, 5], "float32"), np.zeros(2, "float32")])
    model.save(tmp_path / "eve.keras")
    (tmp_path / "out").mkdir()
    made, _ = exporter(tmp_path / "out", [Source("eve", tmp_path / "eve.keras")], photos, "onnx", tolerance=1e-5)
    assert made.write("members", {}) == []
