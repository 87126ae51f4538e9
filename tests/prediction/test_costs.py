import json
from dataclasses import replace

import pytest

from facemask_ensemble.errors import InputError
from facemask_ensemble.prediction import costs
from facemask_ensemble.prediction.costs import measured_costs, member_costs

FIELDS = {"milliseconds", "megabytes", "file_megabytes", "image_size", "precision", "measured"}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A small network in float32, and a larger one in mixed_bfloat16."""
    import keras

    from facemask_ensemble.models.classifier import build_classifier
    from facemask_ensemble.models.small_networks import convolutions

    folder, files, before = tmp_path_factory.mktemp("models"), {}, keras.config.dtype_policy()
    for name, size, policy, filters in [("small", 8, "float32", [2]), ("large", 48, "mixed_bfloat16", [16, 32, 32])]:
        keras.config.set_dtype_policy(policy)
        model = build_classifier(name, lambda pixels, filters=filters: convolutions(pixels, filters=filters), size, 3)
        keras.config.set_dtype_policy(before)
        files[name] = folder / f"{name}.keras"
        model.save(files[name])
    return files


@pytest.fixture
def measured(monkeypatch):
    """The members that are measured, by their files' names."""
    names, measure = [], costs._measure
    monkeypatch.setattr(costs, "_measure", lambda path, *rest: (names.append(path.stem), measure(path, *rest))[1])
    return names


@pytest.mark.heavy
def test_a_member_costs_what_it_weighs_and_says_how_it_was_measured(models, tmp_path, monkeypatch):
    from facemask_ensemble.models import hardware

    monkeypatch.setattr(hardware, "processor", lambda: ("A Processor 9000", ("avx512_bf16",)))  # large stays as it is
    found = member_costs(models, tmp_path, batch_size=4, images=8)
    assert list(found) == ["small", "large"]
    assert {frozenset(cost) for cost in found.values()} == {frozenset(FIELDS)}
    # 3x3 kernels of 3 to 2 channels and 2 biases; 2 to 3 classes and 3 biases; 4 bytes each.
    assert found["small"]["megabytes"] == 4 * (9 * 3 * 2 + 2 + 2 * 3 + 3) / 1e6
    # Under a mixed policy weights stay float32.
    large = 9 * 3 * 16 + 16 + 9 * 16 * 32 + 32 + 9 * 32 * 32 + 32 + 32 * 3 + 3
    assert found["large"]["megabytes"] == 4 * large / 1e6
    assert [cost["image_size"] for cost in found.values()] == [8, 48]
    assert [cost["precision"] for cost in found.values()] == ["float32", "mixed_bfloat16"]
    for name, cost in found.items():
        assert cost["file_megabytes"] == models[name].stat().st_size / 1e6
        assert cost["milliseconds"] > 0
        assert cost["measured"].startswith("batches of 4 on ")
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_the_time_is_that_of_the_quickest_pass_after_the_first_an_image(models, tmp_path, monkeypatch):
    """Passes of 9, 4, 2 and 3 s over two batches of 3: the second of the three timed ones counts."""
    clock = iter([0, 9, 10, 14, 20, 22, 30, 33])
    monkeypatch.setattr(costs.time, "perf_counter", lambda: next(clock))
    model = type("Model", (), {"predict_on_batch": lambda self, batch: shapes.append(batch.shape)})()
    shapes = []
    assert costs._seconds(model, 5, 3, 2) == pytest.approx(2 / 6)
    assert shapes == [(3, 5, 5, 3)] * 8


@pytest.mark.heavy
def test_it_is_measured_once_a_machine_a_member_and_a_batch(models, tmp_path, measured, monkeypatch):
    from facemask_ensemble.models import hardware

    first = member_costs(models, tmp_path, batch_size=4, images=4)
    assert measured == ["small", "large"]
    assert member_costs(models, tmp_path, batch_size=4, images=4) == first
    assert member_costs({"again": models["small"]}, tmp_path, batch_size=4, images=4) == {"again": first["small"]}
    assert measured == ["small", "large"]
    one = {"small": models["small"]}
    member_costs(one, tmp_path, batch_size=2, images=4)
    assert measured == ["small", "large", "small"]
    here = hardware.this_machine()
    monkeypatch.setattr(hardware, "this_machine", lambda: replace(here, gpus=("NVIDIA T4",)))
    assert member_costs(one, tmp_path, batch_size=4, images=4)["small"]["measured"] == "batches of 4 on NVIDIA T4"
    assert measured == ["small", "large", "small", "small"]


@pytest.mark.heavy
@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"milliseconds": 1}', b"\xff"])
def test_a_damaged_memory_is_measured_anew(models, tmp_path, measured, content):
    one = {"small": models["small"]}
    member_costs(one, tmp_path, batch_size=2, images=2)
    (file,) = tmp_path.glob("costs-*.json")
    file.write_bytes(content)
    found = member_costs(one, tmp_path, batch_size=2, images=2)
    assert measured == ["small", "small"]
    assert {field: json.loads(file.read_text())[field] for field in FIELDS} == found["small"]


@pytest.mark.parametrize(("batch_size", "images"), [(0, 64), (32, 0)])
def test_an_empty_batch_is_refused(batch_size, images, tmp_path):
    with pytest.raises(InputError, match=f"received {batch_size} and {images}"):
        member_costs({}, tmp_path, batch_size=batch_size, images=images)


def test_what_was_measured_is_recalled_and_nothing_is_measured_for_it(models, tmp_path, monkeypatch):
    assert measured_costs(models, tmp_path, batch_size=2, images=2) is None
    one = {"small": models["small"]}
    known = member_costs(one, tmp_path, batch_size=2, images=2)
    monkeypatch.setattr(costs, "_measure", None)
    assert measured_costs(one, tmp_path, batch_size=2, images=2) == known
    assert measured_costs(one, tmp_path, batch_size=4, images=2) is None
    assert measured_costs(models, tmp_path, batch_size=2, images=2) is None
