"""Members in OpenVINO: converted once, and only used where they decide as they do in Keras."""

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from facemask_ensemble.ensemble.sources import Source
from facemask_ensemble.errors import InputError
from facemask_ensemble.prediction.runtimes import openvino, openvino_acceptance, openvino_conversion
from facemask_ensemble.prediction.runtimes.openvino_cache import Place

SIZE, IMAGES = 32, 20
KILLED = """
import os, signal, sys
from pathlib import Path
import openvino
from facemask_ensemble.prediction.runtimes.openvino_conversion import _convert
from facemask_ensemble.prediction.runtimes.openvino_cache import Place

def die(network, target, **settings):
    Path(target).write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)

openvino.save_model = die
_convert(Path(sys.argv[1]), Place.of(Path(sys.argv[1])))
"""
FRESH = """
import sys
from pathlib import Path
import numpy as np
from facemask_ensemble.ensemble.sources import Source
from facemask_ensemble.prediction.runtimes import openvino
[network] = openvino.load([Source("tiny", Path(sys.argv[1]))], 32, "float32")
network(np.zeros((1, 32, 32, 3), np.uint8))
sys.exit(" ".join({"tensorflow", "keras", "mlflow", "nncf", "sklearn", "scipy"} & {*sys.modules}) or None)
"""


def network_of(convolutions, seed=0):
    """Build a classifier whose answers are spread over three classes."""
    import keras

    from facemask_ensemble.models.classifier import build_classifier

    keras.utils.set_random_seed(seed)

    def backbone(pixels):
        x = keras.layers.Rescaling(1 / 127.5, offset=-1, dtype="float32")(pixels)
        for channels in convolutions:
            x = keras.layers.Conv2D(channels, 3, 2, activation="relu")(x)
            x = keras.layers.BatchNormalization()(x)
        return x

    model = build_classifier("tiny", backbone, SIZE, 3)
    head = model.get_layer("probabilities")
    kernel, bias = head.get_weights()
    head.set_weights([20 * kernel, bias])
    return model


def answer(model, files):
    pixels = np.concatenate(list(openvino_conversion.squares(files, model.input_shape[1])))
    return model.predict(pixels, verbose=0)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Twenty images of coloured blocks."""
    rng = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("images")
    for number in range(IMAGES):
        blocks = rng.integers(0, 256, (3, 3, 3), np.uint8)
        image = Image.fromarray(blocks).resize((60, 50), Image.Resampling.BICUBIC)
        image.save(folder / f"{number:02d}.png")
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def quick_start(preloaded):
    """Let a process in which a network is converted begin with TensorFlow imported: that takes seconds each time."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("sys.executable", preloaded)
        yield


@pytest.fixture(scope="module")
def converted(tmp_path_factory, files, quick_start):
    """A member that was converted in float32, and was accepted."""
    file = tmp_path_factory.mktemp("converted") / "model.keras"
    model = network_of([8, 16])
    model.save(file)
    probs = answer(model, files)
    assert len(set(probs.argmax(axis=1))) > 1
    source = Source("tiny", file, lambda: (files, probs), lambda: files)
    openvino.load([source], 32, "float32")
    return source


@pytest.fixture
def source(converted, tmp_path):
    """A copy of that member with its conversion."""
    shutil.copytree(converted.file.parent, tmp_path / "member")
    return replace(converted, file=tmp_path / "member" / converted.file.name)


@pytest.fixture
def unknown(source):
    """The same, its conversion never measured."""
    for record in source.file.parent.glob("openvino/*-*.json"):
        record.unlink()
    return source


def record_of(source, precision):
    return json.loads(next(source.file.parent.glob(f"openvino/*-{precision}.json")).read_text())


def flipped(source, images):
    """Let Keras have answered otherwise about so many images."""
    files, probs = source.judged()
    probs = probs.copy()
    probs[:images] = np.roll(np.eye(3, dtype=np.float32)[probs[:images].argmax(axis=1)], 1, axis=1)
    return replace(source, judged=lambda: (files, probs))


@pytest.mark.heavy
@pytest.mark.parametrize(("precision", "bound"), [("float32", 1e-5), ("bfloat16", 0.05), ("int8", 0.2)])
def test_a_conversion_answers_as_keras_does_within_its_precision(unknown, precision, bound, capsys):
    if precision == "bfloat16" and not openvino.processor()[1]:
        pytest.skip("this processor has no instructions for bfloat16")
    files, expected = unknown.judged()
    [network] = openvino.load([unknown], 32, precision, differ=0.1)
    pixels = np.concatenate(list(openvino_conversion.squares(files, SIZE)))
    probs = network(pixels)
    assert (probs.dtype, probs.shape, network.size) == (np.float32, (IMAGES, 3), SIZE)
    np.testing.assert_allclose(probs, expected, atol=bound)
    np.testing.assert_array_equal(network(pixels[3:4]), probs[3:4])
    assert network(pixels[:0]).shape == (0, 3)
    record = record_of(unknown, precision)
    assert (record["images"], record["bound"]) == (IMAGES, 0.1)
    assert record["largest"] == pytest.approx(np.abs(probs - expected).max(), abs=1e-6)
    assert network.milliseconds == next(iter(record["milliseconds"].values())) > 0
    assert f"tiny in {precision}: {round(20 * record['differ'])} of 20 validation images" in capsys.readouterr().out


@pytest.mark.heavy
def test_what_is_converted_needs_neither_tensorflow_nor_images(source):
    done = subprocess.run([sys.executable, "-c", FRESH, source.file], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.heavy
def test_a_killed_conversion_leaves_nothing_half_and_the_next_one_begins_anew(source):
    shutil.rmtree(source.file.parent / "openvino")
    killed = subprocess.run([sys.executable, "-c", KILLED, source.file], capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL
    place = Place.of(source.file)
    assert not place.network("float32").exists()
    assert len(list(place.folder.glob("*.part"))) == 1
    [network] = openvino.load([source], 32, "float32")
    assert network.size == SIZE
    assert not list(place.folder.glob("*.part"))


@pytest.mark.heavy
def test_a_real_backbone_answers_as_in_keras(tmp_path, quick_start):
    import keras

    from facemask_ensemble.models.classifier import build_classifier

    def backbone(pixels):
        x = keras.layers.Rescaling(1 / 127.5, offset=-1)(pixels)
        return keras.applications.ResNet50V2(include_top=False, weights=None, input_tensor=x).output

    model = build_classifier("resnet50v2", backbone, 64, 3)
    model.save(tmp_path / "model.keras")
    pixels = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3), np.uint8)
    [network] = openvino.load([Source("resnet50v2", tmp_path / "model.keras")], 32, "float32", differ=None)
    np.testing.assert_allclose(network(pixels), np.asarray(model(pixels, training=False)), atol=1e-4)


@pytest.mark.heavy
def test_a_conversion_that_decides_otherwise_is_refused_now_and_later(unknown, capsys):
    other = flipped(unknown, 1)
    for _ in range(2):
        with pytest.raises(
            InputError, match=r"precision=float32: tiny: 1 of 20 .*\(5.00%\).* than runtime.differ=0.005"
        ):
            openvino.load([other], 32, "float32")
        with pytest.raises(InputError, match="give runtime=keras, or a larger runtime.differ"):
            openvino.load([other], 32, "auto")
    assert record_of(unknown, "float32")["differ"] == 0.05
    if openvino.processor()[1]:
        assert "tiny in bfloat16: 1 of 20" in capsys.readouterr().out
    [network] = openvino.load([other], 32, "float32", differ=0.05)
    assert network.size == SIZE


@pytest.mark.heavy
def test_auto_takes_float32_where_bfloat16_decides_otherwise(source, monkeypatch, capsys):
    monkeypatch.setattr(openvino, "processor", lambda: ("abacus", ("avx512_bf16",)))
    place = Place.of(source.file)
    place.note("bfloat16", place.recall("float32") | {"differ": 0.05, "largest": 0.2})
    [network] = openvino.load([source], 32, "auto")
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("tiny in bfloat16: 1 of 20 validation images (5.00%)") and first.endswith("; not used")
    assert second.startswith("tiny in float32: 0 of 20 validation images (0.00%)")
    assert network.milliseconds == openvino_acceptance.speed(place.recall("float32"))


@pytest.fixture
def tiny(tmp_path):
    (tmp_path / "model.keras").write_bytes(b"tiny")
    return Source("tiny", tmp_path / "model.keras")


RIGHT, WRONG = 0.0, 0.05  # shares of images that are decided otherwise


@pytest.mark.parametrize(
    ("small", "half", "full", "taken"),
    [
        ((RIGHT, 2), (RIGHT, 3), None, "int8"),
        ((RIGHT, 4), (RIGHT, 3), None, "bfloat16"),
        ((WRONG, 2), (RIGHT, 3), None, "bfloat16"),
        ((WRONG, 2), (WRONG, 3), (RIGHT, 6), "float32"),
        ((RIGHT, 2), (WRONG, 3), (RIGHT, 6), "int8"),
        ((RIGHT, 2), (WRONG, 3), (WRONG, 6), "int8"),
    ],
)
def test_quickest_takes_whole_numbers_where_they_are_accepted_and_the_quicker_ones(
    small, half, full, taken, tiny, monkeypatch, capsys
):
    monkeypatch.setattr(openvino, "processor", lambda: ("abacus", ("avx512_bf16",)))
    found = dict(zip(("int8", "bfloat16", "float32"), map(measurement, (small, half, full)), strict=True))
    monkeypatch.setattr(openvino, "measured", lambda source, place, way, differ: found.pop(way))
    accepted = openvino._accept(tiny, "quickest", 0.005)
    assert accepted.precision == taken
    assert accepted.milliseconds == {"int8": small, "bfloat16": half, "float32": full}[taken][1]
    assert list(found) == ["float32"] * (full is None)  # not even measured, where half as many digits are accepted
    wrong = [one for one in (small, half, full) if one and one[0] == WRONG]
    assert capsys.readouterr().out.count("not used") == len(wrong)


def test_quickest_refuses_a_member_that_no_precision_is_accepted_for(tiny, monkeypatch):
    monkeypatch.setattr(openvino, "processor", lambda: ("abacus", ("avx512_bf16",)))
    monkeypatch.setattr(openvino, "measured", lambda *_: measurement((WRONG, 2)))
    with pytest.raises(InputError, match="float32: tiny: 1 of 20 .*runtime=keras, or a larger runtime.differ"):
        openvino._accept(tiny, "quickest", 0.005)
    with pytest.raises(InputError, match="int8: tiny: 1 of 20 .*give runtime.precision=quickest"):
        openvino._accept(tiny, "int8", 0.005)


def measurement(known):
    """Make what is noted of a conversion that decides a share of 20 images otherwise, and takes milliseconds."""
    share, milliseconds = known or (RIGHT, 1)
    times = {openvino_acceptance._here(): milliseconds}
    return {"images": 20, "differ": share, "largest": 0.1, "milliseconds": times}


@pytest.mark.heavy
def test_without_its_images_only_what_was_accepted_before_is_used(source, unknown, files, tmp_path, capsys):
    gone = replace(unknown, judged=lambda: ([tmp_path / "a.png"], np.zeros((1, 3), np.float32)))
    for one, words in (
        (gone, "its images are missing, such as .*a.png"),
        (replace(gone, judged=None), "its images are unknown"),
    ):
        with pytest.raises(InputError, match=f"tiny cannot be checked against Keras: {words}.*runtime.differ=null"):
            openvino.load([one], 32, "float32")
    openvino.load([gone], 32, "float32", differ=None)
    assert "tiny in float32: not checked against Keras (runtime.differ=null)" in capsys.readouterr().out
    assert record_of(gone, "float32")["images"] == 0
    with pytest.raises(InputError, match="cannot be checked"):
        openvino.load([gone], 32, "float32")
    openvino.load([unknown], 32, "float32")
    openvino.load([gone], 32, "float32")
    assert "0 of 20 validation images (0.00%) answered differently from Keras" in capsys.readouterr().out


@pytest.mark.heavy
def test_another_machine_or_another_openvino_measures_again(source, monkeypatch):
    before = record_of(source, "float32")["milliseconds"]
    monkeypatch.setattr(openvino_acceptance, "_here", lambda: "an abacus, 2 cores")
    [network] = openvino.load([source], 32, "float32")
    after = record_of(source, "float32")["milliseconds"]
    assert {*after} == {*before, "an abacus, 2 cores"}
    assert network.milliseconds == after["an abacus, 2 cores"]


@pytest.mark.heavy
def test_another_network_under_the_same_name_is_another_conversion(source):
    first = Place.of(source.file)
    assert Place.of(source.file) == first
    os.utime(source.file)
    assert Place.of(source.file) == first
    with source.file.open("ab") as file:
        file.write(b" ")
    assert Place.of(source.file).key != first.key


def test_a_folder_that_cannot_be_written_is_replaced_by_the_users_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "model.keras").write_bytes(b"the same")
    assert Place.of(tmp_path / "a" / "model.keras").folder == tmp_path / "a" / "openvino"
    (tmp_path / "b" / "openvino").write_text("in the way")
    there = Place.of(tmp_path / "b" / "model.keras").folder
    assert there.is_relative_to(tmp_path / "cache" / "facemask_ensemble" / "openvino")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "b" / "openvino"))
    with pytest.raises(InputError, match="the conversion of model.keras cannot be saved in .*; set XDG_CACHE_HOME"):
        Place.of(tmp_path / "b" / "model.keras")


def test_what_is_being_written_is_there_whole_or_not_at_all(tmp_path):
    place = Place(tmp_path, "abc")
    with pytest.raises(KeyboardInterrupt), place.writing("int8") as target:
        target.write_text("half")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []
    with place.writing("int8") as target:
        target.write_text("whole")
        assert not place.network("int8").exists()
    assert place.network("int8").read_text() == "whole"


@pytest.mark.parametrize("content", ["", "[]", "{", '{"openvino": 1}'])
def test_a_damaged_record_counts_as_none(tmp_path, content):
    place = Place(tmp_path, "abc")
    (tmp_path / "abc-int8.json").write_text(content)
    known = place.recall("int8")
    assert not known or not openvino_acceptance._holds(known, place, "int8", None)


@pytest.mark.parametrize(
    ("precision", "differ", "words"),
    [
        ("float16", 0.005, "runtime.precision=float16: must be one of auto, quickest, float32, bfloat16, int8"),
        ("float32", 1.5, "runtime.differ=1.5: must be a share from 0 to below 1, or null"),
        ("float32", "much", "runtime.differ=much: must be a share"),
    ],
)
def test_settings_that_there_are_not_are_refused(precision, differ, words):
    with pytest.raises(InputError, match=words):
        openvino.load([], 32, precision, differ)


def test_a_machine_without_the_extra_or_the_instructions_is_told_of(monkeypatch):
    monkeypatch.setattr(openvino, "processor", lambda: ("abacus", ()))
    assert openvino._ways("auto") == ("float32",)
    with pytest.raises(InputError, match="runtime.precision=bfloat16: this processor has no instructions for it"):
        openvino.check("bfloat16", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "nncf" else name)
    openvino.check("float32", None)
    with pytest.raises(InputError, match=r'runtime=openvino needs the extra: .*"facemask-ensemble\[openvino\]"'):
        openvino.check("int8", None)
