import math

import pytest

from facemask_ensemble.errors import InputError
from facemask_ensemble.training.schedules import Phase, auto, finetune, frozen, frozen_then_finetune, phases, scratch

AUTO = {
    "epochs": 4,
    "learning_rate": 1e-3,
    "warmup": 0.1,
    "head_epochs": 2,
    "head_learning_rate": 1e-2,
    "finetune_learning_rate": 1e-5,
    "copies": 3,
    "patience": 3,
}
HEAD = Phase(2, 1e-2, freeze_backbone=True, copies=3, patience=3)


def test_scratch_trains_everything_with_a_warm_up_and_a_cosine():
    (phase,) = scratch(epochs=4, learning_rate=1e-3, decay="cosine", warmup=0.1, patience=None)
    assert (phase.decay, phase.warmup) == ("cosine", 0.1)
    assert not phase.freeze_backbone
    assert not phase.freeze_batch_norm


def test_frozen_then_finetune_trains_the_head_and_then_the_last_blocks_without_batch_norm():
    head, rest = frozen_then_finetune(
        head_epochs=2, head_learning_rate=1e-2, copies=3, weights="imagenet",
        epochs=4, learning_rate=1e-5, patience=3, freeze_batch_norm=True, last_blocks=2,
    )  # fmt: skip
    assert head == HEAD
    assert rest == Phase(4, 1e-5, freeze_batch_norm=True, last_blocks=2, patience=3)


def test_auto_trains_random_weights_from_scratch():
    assert auto(**AUTO, weights=None) == (Phase(4, 1e-3, "cosine", 0.1, patience=3),)


def test_auto_freezes_pretrained_weights_first():
    assert auto(**AUTO, weights="imagenet") == (HEAD, Phase(4, 1e-5, freeze_batch_norm=True, patience=3))


def test_stages_share_what_they_do_not_say_themselves():
    stages = [{"epochs": 2, "learning_rate": 1e-3, "freeze_backbone": True}, {"epochs": 1, "learning_rate": 1e-4}]
    assert phases(weights="imagenet", stages=stages, patience=4) == (
        Phase(2, 1e-3, freeze_backbone=True, patience=4),
        Phase(1, 1e-4, patience=4),
    )


def test_a_stage_with_a_field_that_there_is_not_is_refused_with_those_that_there_are():
    with pytest.raises(InputError, match="schedule.stages: .*'rate'; a stage takes epochs, learning_rate, decay"):
        phases(weights="imagenet", stages=[{"epochs": 2, "rate": 1e-3}])


@pytest.mark.parametrize("schedule", [frozen, finetune])
def test_freezing_random_weights_is_refused(schedule):
    with pytest.raises(InputError, match=f"schedule={schedule.__name__} .* backbone.weights=null .* schedule=scratch"):
        schedule(epochs=1, learning_rate=1e-3, patience=1, weights=None)


@pytest.mark.parametrize(
    ("field", "value", "rule"),
    [
        ("epochs", 0, "a whole number of at least 1"),
        ("epochs", True, "a whole number of at least 1"),
        ("learning_rate", math.nan, "a number above 0, such as 1e-3"),
        ("learning_rate", -1.0, "a number above 0, such as 1e-3"),
        ("learning_rate", "fast", "a number above 0, such as 1e-3"),
        ("decay", "linear", "one of plateau, cosine, constant"),
        ("warmup", 1.0, "a share of all steps from 0 to below 1"),
        ("copies", 0, "a whole number of at least 1"),
        ("patience", 0, "a whole number of at least 1"),
        ("last_blocks", 0, "a whole number of at least 1"),
        ("first_trainable", -1, "a whole number of at least 0"),
    ],
)
def test_a_phase_that_cannot_be_is_refused(field, value, rule):
    with pytest.raises(InputError, match=f"schedule.{field}={value}: must be {rule}"):
        Phase(**{"epochs": 1, "learning_rate": 1e-3, field: value})


def test_a_cut_given_twice_is_refused():
    with pytest.raises(
        InputError, match="schedule.first_trainable=20 and last_blocks=2 both choose the layers that train"
    ):
        Phase(1, 1e-3, first_trainable=20, last_blocks=2)
