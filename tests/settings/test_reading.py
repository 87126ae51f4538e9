"""From a config to settings and back, and the line that refuses what cannot be."""

import json
import pickle

import pytest
import yaml
from composed import config_of, train_settings
from omegaconf import OmegaConf, open_dict

from facemask_ensemble.config import read_settings
from facemask_ensemble.errors import InputError
from facemask_ensemble.settings import Target, dump, read
from facemask_ensemble.settings.answering import Detector, Ties, Voting
from facemask_ensemble.settings.groups import Augmentation, Dataset, Head, Mixup, Tracking
from facemask_ensemble.settings.messages import shown
from facemask_ensemble.settings.train import TrainSettings

CALL = {"_target_": "mine.rule", "_partial_": True, "strength": 2, "by_label": {0: "none", 1: "all"}}


@pytest.mark.parametrize(
    ("write", "parse"), [(yaml.safe_dump, yaml.safe_load), (json.dumps, json.loads)], ids=["YAML", "JSON"]
)
def test_settings_that_were_written_are_read_as_the_same(write, parse):
    settings = train_settings("backbone=vgg16", "augmentation=mixup", "optimizer=sgd", "backbone.head.hidden=[8,4]")
    assert read(TrainSettings, parse(write(dump(settings)))) == settings


def test_settings_reach_another_process_whole():
    settings = train_settings("backbone=deep_cnn")
    assert pickle.loads(pickle.dumps(settings)) == settings


def test_a_call_keeps_all_its_arguments_and_cannot_be_changed_from_outside():
    call = Target(CALL)
    call.call["by_label"][0] = "other"
    assert (call.name, call.call) == ("rule", CALL)
    assert call.takes("strength") and not call.takes("weights")
    assert call.changed(strength=3).call["strength"] == 3
    assert call.call["strength"] == 2
    assert call != call.changed(strength=3)


def test_a_rule_is_a_call_or_one_beside_what_it_learns_by():
    assert read(Voting, CALL).call == CALL
    both = {"rule": CALL, "learn": {"_target_": "mine.learn"}}
    assert read(Voting, both).call == both
    assert read(Voting, dump(read(Voting, CALL))) == read(Voting, CALL)
    with pytest.raises(InputError, match="voting.lern: there is no such key; did you mean voting.learn?"):
        read(Voting, {"rule": CALL, "lern": CALL}, above="voting")


def test_what_breaks_ties_brings_only_what_it_needs():
    assert read(Ties, {"break_tie": CALL}).call == {"break_tie": CALL}
    ordered = read(Ties, {"order": ["some", "none"], "break_tie": CALL})
    assert ordered.call == {"order": ["some", "none"], "break_tie": CALL}


def test_whole_numbers_are_taken_for_shares_and_numbers_for_texts():
    head = read(Head, {"pooling": "flatten", "hidden": [3]})
    assert head.hidden == (3,)
    settings = train_settings("label_smoothing=0", "study=2024")
    assert (settings.label_smoothing, settings.study) == (0.0, "2024")


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        (Tracking, {}, r"tracking.uri is missing; give \+tracking.uri=…, or put it into the YAML file of tracking"),
        (Tracking, {"uri": "???"}, "tracking.uri needs a value; give tracking.uri=…"),
        (Mixup, {"alpha": "much"}, "tracking.alpha=much: must be a number above 0"),
        (Mixup, {"alpha": True}, "tracking.alpha=true: must be a number above 0"),
        (Mixup, {"alpha": None}, "tracking.alpha=null: must be a number above 0"),
        (Mixup, {"alpha": [1, None]}, r"tracking.alpha=\[1,null\]: must be a number above 0"),
        (Mixup, {"classes": "all"}, "tracking.classes=all: must be one of same, any"),
        (Mixup, {"clases": "any"}, "tracking.clases: there is no such key; did you mean tracking.classes?"),
        (Mixup, {"beta": 1}, r"tracking.beta: there is no such key \(known: alpha, classes\); a key of your own "),
        (Head, {"pooling": "average"}, r"tracking.hidden is missing \(a list of whole numbers of at least 1, "),
        (Head, {"pooling": "average", "hidden": [2, 0]}, r"tracking.hidden=\[2,0\]: must be a list of whole numbers"),
        (Augmentation, {"name": "a", "layers": [], "mixup": 3}, "tracking.mixup=3: must be a group of keys"),
        (Voting, {"rule": {"_target_": 3}}, "tracking.rule={_target_:3}: must be a call, which names its function"),
        (Detector, {"name": "a", "find": CALL}, "detector.masked=.*: must be a list of classes"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(kind, values, message):
    with pytest.raises(InputError, match=message) as refused:
        read(kind, values, above="tracking")
    assert "\n" not in str(refused.value)


def test_of_several_mistakes_the_first_is_told_and_a_key_that_is_not_known_before_one_that_is_missing():
    values = dump(train_settings().dataset)
    with pytest.raises(InputError, match="dataset.limit=0"):
        read(Dataset, values | {"test": 7, "limit": 0}, above="dataset")
    values["vailidation"] = values.pop("validation")
    with pytest.raises(InputError, match="did you mean dataset.validation?"):
        read(Dataset, values, above="dataset")


def test_a_group_may_have_keys_of_its_own_that_it_refers_to():
    cfg = config_of("train", "dataset=folders")
    with open_dict(cfg):
        cfg.dataset.annotations = "boxes.csv"
        cfg.dataset.source.boxes = "${dataset.annotations}"
    assert read_settings(TrainSettings, cfg).dataset.source.call["boxes"] == "boxes.csv"


@pytest.mark.parametrize("reference", ["${..annotations}", "${dataset.annotations}", "see ${dataset.annotations}"])
def test_a_reference_may_be_relative_and_stand_in_a_text(reference):
    cfg = config_of("train", "dataset=folders")
    with open_dict(cfg):
        cfg.dataset.annotations = "boxes.csv"
        cfg.dataset.source.boxes = reference
    assert read_settings(TrainSettings, cfg).dataset.source.call["boxes"].endswith("boxes.csv")


def test_a_key_of_its_own_that_nobody_refers_to_is_a_mistake():
    cfg = config_of("train", "dataset=folders")
    with open_dict(cfg):
        cfg.dataset.annotations = "boxes.csv"
    with pytest.raises(InputError, match=r"dataset.annotations: there is no such key .* as \${dataset.annotations}"):
        read_settings(TrainSettings, cfg)


def test_what_an_experiment_refers_to_lies_below_variables_and_is_no_setting():
    cfg = config_of("train", "experiment=quickstart", "backbone=deep_cnn")
    assert "epochs_of" in cfg.variables
    settings = read_settings(TrainSettings, cfg)
    assert settings.schedule.call["epochs"] == 10
    assert "variables" not in dump(settings)


@pytest.mark.parametrize("key", ["backbone.features.application._target_", "backbone.features.padding"])
def test_an_argument_without_a_value_is_named_in_full(key):
    cfg = config_of("train", "backbone=deep_cnn" if "padding" in key else "backbone=vgg16")
    OmegaConf.update(cfg, key, "???")
    with pytest.raises(InputError, match=f"{key} needs a value; give {key}=…"):
        read_settings(TrainSettings, cfg)


def test_reading_leaves_the_config_as_it_is():
    cfg = config_of("train", "output_dir=out")
    before = OmegaConf.to_yaml(cfg)
    assert read_settings(TrainSettings, cfg).output_dir.is_absolute()
    assert OmegaConf.to_yaml(cfg) == before


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        ([1, None, "a"], "[1,null,a]"),
        ({"a": False}, "{a:false}"),
        ("x" * 99, "x" * 80 + "…"),
    ],
)
def test_a_value_is_shown_as_the_command_line_takes_it(value, text):
    assert shown(value) == text
