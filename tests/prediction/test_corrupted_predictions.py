import shutil

import numpy as np
import pytest
from PIL import Image

from facemask_ensemble.errors import InputError
from facemask_ensemble.prediction import corrupted_predictions
from facemask_ensemble.prediction.corrupted_predictions import CASES, corrupted_probabilities
from facemask_ensemble.scenes import draw_scene

SIZES = {"red": 8, "green": 12}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Two saved classifiers of different sizes with random weights."""
    import keras

    from facemask_ensemble.models.classifier import build_classifier
    from facemask_ensemble.models.small_networks import convolutions

    folder, files = tmp_path_factory.mktemp("models"), {}
    for seed, (name, size) in enumerate(SIZES.items()):
        keras.utils.set_random_seed(seed)
        files[name] = folder / f"{name}.keras"
        build_classifier(name, lambda pixels: convolutions(pixels, filters=[4, 8]), size, 3).save(files[name])
    return files


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Three drawn scenes of other shapes, one of them larger than what is kept in memory."""
    folder = tmp_path_factory.mktemp("images")
    files = [folder / f"{number}.png" for number in range(3)]
    for number, (file, shape) in enumerate(zip(files, [(64, 64), (90, 60), (1200, 900)], strict=True)):
        Image.fromarray(draw_scene(seed=0, index=number, size=128).pixels).resize(shape).save(file)
    return files


@pytest.fixture(scope="module")
def four_cases():
    cases = (("noise", 3), ("dark", 3), ("rotated", 1), ("occluded", 2))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(corrupted_predictions, "CASES", cases)
        yield cases


@pytest.fixture(scope="module")
def answered(models, files, four_cases, tmp_path_factory):
    """What both members answer in the four cases, and the folder that keeps it."""
    folder = tmp_path_factory.mktemp("answered")
    return corrupted_probabilities(models, files, folder, batch_size=2, seed=5), folder


@pytest.fixture
def kept(answered, tmp_path):
    """A copy of that folder, of the test alone."""
    return shutil.copytree(answered[1], tmp_path / "kept")


@pytest.fixture
def loaded(monkeypatch):
    """The models that are loaded, by their files' names."""
    from facemask_ensemble.models import classifier

    names, load = [], classifier.load_classifier
    monkeypatch.setattr(classifier, "load_classifier", lambda path: (names.append(path.stem), load(path))[1])
    return names


@pytest.fixture
def decoded(monkeypatch):
    """The bytes of the images that are decoded."""
    contents, decode = [], corrupted_predictions.decode
    monkeypatch.setattr(
        corrupted_predictions, "decode", lambda data, at_least: (contents.append(data), decode(data, at_least))[1]
    )
    return contents


def same(first, second):
    return list(first) == list(second) and all(np.array_equal(first[case], second[case]) for case in first)


def test_every_kind_of_corruption_is_asked_in_every_strength():
    assert len(set(CASES)) == 7 * 3


@pytest.mark.heavy
def test_every_member_answers_every_image_made_worse_as_if_it_lay_in_a_file(
    models, files, four_cases, answered, tmp_path
):
    from facemask_ensemble.data.corruption import corrupt
    from facemask_ensemble.prediction.answers import predict_all

    answers, _ = answered
    assert tuple(answers) == four_cases
    assert {(probs.shape, probs.dtype) for probs in answers.values()} == {((2, 3, 3), np.dtype("float32"))}
    saved = []
    for kind, strength in four_cases:
        for file in files[:2]:
            image, seed = np.asarray(Image.open(file)), corrupted_predictions._seed_of(file, 5)
            saved.append(tmp_path / f"{kind}-{file.name}")
            Image.fromarray(corrupt(image, kind, strength, seed)).save(saved[-1])
    expected = np.split(predict_all(models, saved, 2), len(four_cases), axis=1)
    for case, probs in zip(four_cases, expected, strict=True):
        np.testing.assert_allclose(answers[case][:, :2], probs, atol=1e-6)


@pytest.mark.heavy
def test_images_that_nothing_happens_to_are_seen_as_by_prediction(models, files, tmp_path, monkeypatch):
    from facemask_ensemble.prediction.answers import predict_all

    monkeypatch.setattr(corrupted_predictions, "CASES", (("dark", 3),))
    monkeypatch.setattr(corrupted_predictions, "corrupt", lambda image, kind, strength, seed: image)
    answers = corrupted_probabilities(models, files, tmp_path, batch_size=2, seed=5)
    expected = predict_all(models, files, 2)
    np.testing.assert_allclose(answers["dark", 3][:, :2], expected[:, :2], atol=1e-6)
    np.testing.assert_allclose(answers["dark", 3][:, 2], expected[:, 2], atol=0.01)  # by way of 448 pixels


@pytest.mark.heavy
def test_a_stopped_measurement_resumes_where_it_was(
    models, files, answered, four_cases, tmp_path, monkeypatch, loaded, decoded
):
    whole = corrupted_probabilities(models, files, tmp_path / "whole", batch_size=2, seed=5)
    assert (loaded, len(decoded)) == (["red", "green"], 3)
    assert same(whole, answered[0])
    write, kept = corrupted_predictions.write_atomically, []

    def stop_after_six(content, file):
        if len(kept) == 6:
            raise KeyboardInterrupt
        kept.append(file)
        write(content, file)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(corrupted_predictions, "write_atomically", stop_after_six)
        corrupted_probabilities(models, files, tmp_path, batch_size=2, seed=5)
    times = {file: file.stat().st_mtime_ns for file in kept}
    loaded.clear()
    assert same(corrupted_probabilities(models, files, tmp_path, batch_size=2, seed=5), whole)
    assert loaded == ["green"]
    assert {file: file.stat().st_mtime_ns for file in kept} == times
    loaded.clear()
    decoded.clear()
    assert same(corrupted_probabilities(models, files, tmp_path, batch_size=2, seed=5), whole)
    assert loaded == decoded == []


@pytest.mark.heavy
def test_another_sample_seed_or_model_is_asked_for_itself(models, files, four_cases, kept, loaded):
    one = {"red": models["red"]}
    first = corrupted_probabilities(one, files, kept, batch_size=2, seed=5)
    assert loaded == []
    fewer = corrupted_probabilities(one, files[:2], kept, batch_size=2, seed=5)
    other = corrupted_probabilities(one, files, kept, batch_size=2, seed=6)
    changed = corrupted_probabilities({"red": models["green"]}, files, kept, batch_size=2, seed=5)
    assert loaded == ["red", "red", "green"]
    assert len(list(kept.iterdir())) == (2 + 3) * len(four_cases)
    for case in four_cases:
        np.testing.assert_allclose(fewer[case], first[case][:, :2], atol=1e-6)
    assert not np.array_equal(other["noise", 3], first["noise", 3])
    assert np.array_equal(other["dark", 3], first["dark", 3])
    assert not np.array_equal(changed["dark", 3], first["dark", 3])


@pytest.mark.heavy
@pytest.mark.parametrize("content", [b"", b"\x93NUMPY\x01\x00", b"nonsense"])
def test_a_damaged_file_is_asked_for_anew(models, files, four_cases, answered, kept, content):
    damaged = next(kept.glob("red-rotated-1-*.npy"))
    damaged.write_bytes(content)
    assert same(corrupted_probabilities(models, files, kept, batch_size=2, seed=5), answered[0])
    np.testing.assert_array_equal(np.load(damaged), answered[0]["rotated", 1][0])


@pytest.mark.heavy
def test_a_file_that_is_no_image_is_named(models, files, tmp_path):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"nonsense")
    with pytest.raises(InputError, match=r"broken\.jpg cannot be read as an image \(not an image\)"):
        corrupted_probabilities(models, [*files, broken], tmp_path / "kept", batch_size=2, seed=5)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match=r"gone\.jpg cannot be opened"):
        corrupted_probabilities(
            {"red": tmp_path / "red.keras"}, [tmp_path / "gone.jpg"], tmp_path, batch_size=2, seed=5
        )


@pytest.mark.parametrize(
    ("models", "files", "counts"), [({}, ["a.jpg"], "0 and 1"), ({"red": "r.keras"}, [], "1 and 0")]
)
def test_no_members_or_no_images_are_refused(models, files, counts, tmp_path):
    with pytest.raises(InputError, match=f"received {counts}"):
        corrupted_probabilities(models, files, tmp_path, batch_size=2, seed=5)
