import json
import math
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from composed import backbone_settings

from facemask_ensemble.models import precision
from facemask_ensemble.models.hardware import Machine
from facemask_ensemble.models.precision import Choice, candidates, choose_policy, decide, usual_policy
from facemask_ensemble.models.throughput import NotMeasured, Workload, measure
from facemask_ensemble.settings import Target

WORKLOAD = Workload(backbone=backbone_settings("xception"), image_size=96, batch_size=16)
BFLOAT16 = ("avx512_bf16",)


def machine(*, bfloat16=(), capability=None):
    gpus = () if capability is None else ("a card",)
    return Machine("tensorflow", ("keras 3",), "a processor", bfloat16, gpus, capability or (0, 0))


@pytest.fixture
def speeds(monkeypatch):
    """Let this machine be one for bfloat16, and measuring give these images a second, or fail with these words."""
    known = {"float32": 20.0, "mixed_bfloat16": 30.0, "asked": []}

    def pretend(workload, policy):
        known["asked"].append(policy)
        if isinstance(known[policy], str):
            raise NotMeasured(known[policy])
        return known[policy]

    monkeypatch.setattr(precision, "this_machine", lambda: machine(bfloat16=BFLOAT16))
    monkeypatch.setattr(precision, "measure", pretend)
    return known


@pytest.mark.parametrize(
    ("here", "expected"),
    [
        (machine(), ["float32"]),
        (machine(bfloat16=BFLOAT16), ["float32", "mixed_bfloat16"]),
        (machine(capability=(6, 1)), ["float32"]),
        (machine(capability=(0, 0)), ["float32"]),
        (machine(capability=(7, 0)), ["float32", "mixed_float16"]),
        (machine(capability=(8, 0)), ["float32", "mixed_float16", "mixed_bfloat16"]),
        (machine(bfloat16=BFLOAT16, capability=(6, 1)), ["float32"]),
    ],
)
def test_only_what_the_machine_has_instructions_for_is_a_candidate(here, expected):
    assert candidates(here) == expected


@pytest.mark.parametrize(
    ("here", "expected"),
    [
        (machine(), "float32"),
        (machine(bfloat16=BFLOAT16), "float32"),
        (machine(capability=(7, 5)), "mixed_float16"),
        (machine(capability=(6, 1)), "float32"),
    ],
)
def test_unmeasured_it_is_float16_with_tensor_cores_and_float32_elsewhere(here, expected):
    assert usual_policy(here) == expected


@pytest.mark.parametrize(
    ("measured", "expected"),
    [
        ({"float32": 100.0, "mixed_bfloat16": 103.5}, "mixed_bfloat16"),
        ({"float32": 100.0, "mixed_bfloat16": 102.5}, "float32"),
        ({"float32": 100.0, "mixed_bfloat16": 50.0}, "float32"),
        ({"float32": 100.0, "mixed_float16": 150.0, "mixed_bfloat16": 151.0}, "mixed_bfloat16"),
        ({"mixed_bfloat16": 1.0}, "mixed_bfloat16"),
        ({"float32": 1.0}, "float32"),
    ],
)
def test_half_precision_must_win_by_three_percent(measured, expected):
    assert decide(measured) == expected


@pytest.mark.parametrize("asked", ["float32", "mixed_float16", "mixed_bfloat16"])
def test_a_precision_asked_for_is_taken_unmeasured(asked, speeds, tmp_path):
    assert choose_policy(asked, WORKLOAD, tmp_path) == Choice(asked)
    assert speeds["asked"] == []


def test_auto_measures_once_says_so_and_remembers(speeds, tmp_path, capsys):
    first = choose_policy("auto", WORKLOAD, tmp_path / "precision")
    assert first == Choice("mixed_bfloat16", {"float32": 20.0, "mixed_bfloat16": 30.0}, {}, measured=True)
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("xception: measuring the speed of float32 and mixed_bfloat16 once")
    assert str(tmp_path / "precision") in said[0]
    assert said[1] == "xception: mixed_bfloat16 (mixed_bfloat16 30.0 images/s, float32 20.0 images/s)"
    speeds["float32"] = 99.0
    again = choose_policy("auto", WORKLOAD, tmp_path / "precision")
    assert again == Choice("mixed_bfloat16", first.images_per_second, {}, measured=False)
    assert speeds["asked"] == ["float32", "mixed_bfloat16"]
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("other", [{"backbone": backbone_settings("vgg16")}, {"image_size": 97}, {"batch_size": 17}])
def test_another_backbone_size_or_batch_is_measured_for_itself(other, speeds, tmp_path):
    choose_policy("auto", WORKLOAD, tmp_path)
    assert choose_policy("auto", replace(WORKLOAD, **other), tmp_path).measured


def test_several_devices_are_measured_by_the_share_of_one(speeds, tmp_path, monkeypatch):
    one = choose_policy("auto", replace(WORKLOAD, batch_size=8), tmp_path, devices=1)
    assert one.measured
    assert not choose_policy("auto", WORKLOAD, tmp_path, devices=2).measured
    assert choose_policy("auto", WORKLOAD, tmp_path, devices="all").measured


def test_another_machine_with_the_same_folder_measures_for_itself(speeds, tmp_path, monkeypatch):
    choose_policy("auto", WORKLOAD, tmp_path)
    monkeypatch.setattr(precision, "this_machine", lambda: machine(bfloat16=("amx_bf16",)))
    assert choose_policy("auto", WORKLOAD, tmp_path).measured


def test_a_candidate_that_cannot_be_trained_is_out_and_its_reason_remembered(speeds, tmp_path):
    speeds["mixed_bfloat16"] = "the loss became nan at step 2"
    choice = choose_policy("auto", WORKLOAD, tmp_path)
    assert (choice.policy, choice.failures) == ("float32", {"mixed_bfloat16": "the loss became nan at step 2"})
    assert "mixed_bfloat16 not used: the loss became nan at step 2" in str(choice)
    assert choose_policy("auto", WORKLOAD, tmp_path).failures == choice.failures


def test_where_nothing_can_be_measured_it_is_float32_for_this_once(speeds, tmp_path, capsys):
    speeds |= {"float32": "out of memory", "mixed_bfloat16": "out of memory"}
    assert choose_policy("auto", WORKLOAD, tmp_path).policy == "float32"
    assert "the speed could not be measured (out of memory); using float32" in capsys.readouterr().out
    assert list(tmp_path.glob("*.json")) == []


@pytest.mark.parametrize("content", ["", "{", "[]", '{"policy": "float32"}'])
def test_a_damaged_memory_is_measured_anew(content, speeds, tmp_path):
    choose_policy("auto", WORKLOAD, tmp_path)
    (file,) = tmp_path.glob("*.json")
    file.write_text(content)
    assert choose_policy("auto", WORKLOAD, tmp_path).measured
    assert json.loads(file.read_text())["policy"] == "mixed_bfloat16"


def test_deterministic_never_asks_a_clock(speeds, tmp_path):
    assert choose_policy("auto", WORKLOAD, tmp_path, deterministic=True) == Choice("float32")
    assert speeds["asked"] == []


def test_two_trainings_at_once_measure_once(speeds, tmp_path, monkeypatch):
    def slow(workload, policy):
        speeds["asked"].append(policy)
        time.sleep(0.2)
        return speeds[policy]

    monkeypatch.setattr(precision, "measure", slow)
    with ThreadPoolExecutor(2) as pool:
        choices = list(pool.map(lambda _: choose_policy("auto", WORKLOAD, tmp_path), range(2)))
    assert speeds["asked"] == ["float32", "mixed_bfloat16"]
    assert sorted(choice.measured for choice in choices) == [False, True]


def workload_of(**features):
    backbone = replace(backbone_settings("deep_cnn"), features=Target(features))
    return Workload(backbone=backbone, image_size=8, batch_size=4)


@pytest.mark.heavy
def test_a_network_is_measured_by_training_it(monkeypatch):
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "0")
    network = {"_target_": "facemask_ensemble.models.small_networks.convolutions", "_partial_": True, "filters": [2]}
    assert 1 < measure(workload_of(**network), "mixed_bfloat16") < 1e6


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("network", "reason"),
    [
        ({"_target_": "keras.layers.Rescaling", "scale": math.inf}, "the loss became nan at step 1"),
        ({"_target_": "keras.no_such_layer"}, "no_such_layer"),
    ],
)
def test_a_network_that_cannot_be_trained_says_why(network, reason):
    with pytest.raises(NotMeasured, match=reason):
        measure(workload_of(**network), "float32")


@pytest.mark.heavy
def test_memory_that_ran_out_is_told_by_its_signal(monkeypatch):
    network = {"_target_": "os.abort"}
    with pytest.raises(NotMeasured, match="ended by SIGABRT"):
        measure(workload_of(**network), "float32")


@pytest.mark.parametrize(
    ("name", "compute"),
    [("float32", "float32"), ("mixed_float16", "float16"), ("mixed_bfloat16", "bfloat16")],
)
def test_a_policy_computes_in_it_and_keeps_float32_weights_and_answers(name, compute):
    import keras

    from facemask_ensemble.models.classifier import build_classifier
    from facemask_ensemble.models.small_networks import convolutions

    before = keras.config.dtype_policy()
    try:
        keras.config.set_dtype_policy(name)
        model = build_classifier("small", lambda pixels: convolutions(pixels, filters=[4, 4]), 16, 3)
    finally:
        keras.config.set_dtype_policy(before)
    convolution = next(layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D))
    assert convolution.compute_dtype == compute
    assert {weight.dtype for weight in model.weights} == {"float32"}
    assert model.get_layer("probabilities").compute_dtype == "float32"
    assert model.output.dtype == "float32"
