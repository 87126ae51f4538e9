import pytest

from facemask_ensemble.errors import InputError
from facemask_ensemble.training.schedules import auto, finetune, frozen, frozen_then_finetune, scratch

AUTO = {
    "epochs": 4,
    "learning_rate": 1e-3,
    "warmup": 0.1,
    "head_epochs": 2,
    "head_learning_rate": 1e-2,
    "finetune_learning_rate": 1e-5,
    "patience": 3,
}


def test_scratch_trains_everything_with_a_warm_up_and_a_cosine():
    (phase,) = scratch(epochs=4, learning_rate=1e-3, warmup=0.1, patience=None)
    assert (phase.decay, phase.warmup) == ("cosine", 0.1)
    assert not phase.freeze_backbone
    assert not phase.freeze_batch_norm


def test_frozen_then_finetune_keeps_batch_norm_frozen_throughout():
    head, rest = frozen_then_finetune(
        epochs=4, learning_rate=1e-5, head_epochs=2, head_learning_rate=1e-2, patience=3, weights="imagenet"
    )
    assert (head.freeze_backbone, head.epochs, head.learning_rate) == (True, 2, 1e-2)
    assert (rest.freeze_backbone, rest.freeze_batch_norm, rest.epochs, rest.learning_rate) == (False, True, 4, 1e-5)


def test_auto_trains_random_weights_from_scratch():
    assert auto(**AUTO, weights=None) == scratch(epochs=4, learning_rate=1e-3, warmup=0.1, patience=3)


def test_auto_freezes_pretrained_weights_first():
    assert [phase.freeze_backbone for phase in auto(**AUTO, weights="imagenet")] == [True, False]


@pytest.mark.parametrize("schedule", [frozen, finetune])
def test_freezing_random_weights_is_refused(schedule):
    with pytest.raises(InputError, match=f"schedule={schedule.__name__} .* backbone.weights=null .* schedule=scratch"):
        schedule(epochs=1, learning_rate=1e-3, patience=1, weights=None)
