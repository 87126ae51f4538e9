import math

import numpy as np
import pandas as pd
import pytest

from facemask_ensemble.errors import InputError
from facemask_ensemble.training.schedules import Phase

pytestmark = pytest.mark.heavy

SIDE, CLASSES = 8, 2


def toy(count, seed, flipped=False):
    """Dark and bright noise; the label says which, or, `flipped`, the other."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % CLASSES
    pixels = rng.integers(0, 100, (count, SIDE, SIDE, 3)) + 120 * labels[:, None, None, None]
    return pixels.astype(np.uint8), labels ^ flipped


def data(count=32, seed=0, batch_size=8, one_hot=True, **options):
    from facemask_ensemble.data.loaders import batches

    return batches(*toy(count, seed, **options), CLASSES, batch_size, one_hot=one_hot)


def small_model(seed=0):
    import keras

    from facemask_ensemble.models.classifier import build_classifier

    def backbone(pixels):
        x = keras.layers.Conv2D(4, 3, name="conv")(keras.layers.Rescaling(1 / 255)(pixels))
        return keras.layers.BatchNormalization(momentum=0.5, name="norm")(x)

    keras.utils.set_random_seed(seed)
    return build_classifier("small", backbone, SIDE, CLASSES, dropout=0.0)


def learn(model, phases, folder, *, train=None, validation=None, listeners=(), **recipe):
    from facemask_ensemble.training.fit import fit
    from facemask_ensemble.training.recipe import Data, Recipe

    shown = Data(lambda passes: train or data(), validation or data(seed=1), images=32, batch_size=8)
    return fit(model, shown, phases, folder, listeners, recipe=Recipe(**recipe))


def loss_of(model, batches):
    """Compute the mean cross-entropy by hand."""
    pixels, labels = (np.concatenate(arrays) for arrays in zip(*batches.as_numpy_iterator(), strict=True))
    probs = model.predict(pixels, verbose=0)
    return float(-np.log((probs * labels).sum(axis=1)).mean())


def test_a_separable_problem_is_learned_and_the_lowest_validation_loss_is_kept(tmp_path):
    model, validation = small_model(), data(seed=1)
    history = learn(model, [Phase(6, 0.03, "cosine", 0.1, patience=None)], tmp_path, validation=validation)
    assert history["val_accuracy"].max() == 1.0
    assert loss_of(model, validation) == pytest.approx(history["val_loss"].min(), rel=1e-4)
    pd.testing.assert_frame_equal(history, pd.read_csv(tmp_path / "files" / "history.csv"))
    best = f"best-{history['val_loss'].argmin() + 1:04d}.npz"
    assert sorted(path.name for path in tmp_path.iterdir()) == [best, "checkpoint.npz", "files"]


def test_an_overfit_ends_with_the_weights_of_its_first_epoch(tmp_path):
    """Every training image carries the wrong label, so that each further epoch is worse on validation."""
    model, weights, validation = small_model(), [], data(seed=1)
    history = learn(
        model,
        [Phase(4, 0.03, patience=None)],
        tmp_path,
        train=data(flipped=True),
        validation=validation,
        listeners=[lambda *_: weights.append(model.get_weights())],
    )
    best = int(history["val_loss"].argmin())
    assert best < 3
    for kept, expected in zip(model.get_weights(), weights[best], strict=True):
        np.testing.assert_array_equal(kept, expected)


def test_a_later_phase_that_only_gets_worse_does_not_cost_the_best_of_an_earlier_one(tmp_path):
    model, validation = small_model(), data(seed=1)
    phases = [Phase(4, 0.03, patience=None), Phase(2, 100.0, freeze_batch_norm=True, patience=None)]
    history = learn(model, phases, tmp_path, validation=validation)
    assert history["val_loss"].argmin() < 4
    assert history["val_loss"][4:].min() > history["val_loss"].min()
    assert loss_of(model, validation) == pytest.approx(history["val_loss"].min(), rel=1e-4)


def test_phases_train_the_head_first_and_number_their_epochs_on(tmp_path):
    model, kernels, heard = small_model(), [], []
    start = model.get_layer("conv").kernel.numpy()
    head = model.get_layer("probabilities").kernel.numpy()

    def listen(epoch, metrics):
        heard.append((epoch, sorted(metrics)))
        kernels.append(model.get_layer("conv").kernel.numpy())

    phases = [Phase(2, 0.01, freeze_backbone=True, patience=None), Phase(2, 0.01, patience=None)]
    history = learn(model, phases, tmp_path, listeners=[listen])
    assert history["epoch"].tolist() == [1, 2, 3, 4]
    names = ["accuracy", "epoch_seconds", "images_per_second", "learning_rate", "loss", "val_accuracy", "val_loss"]
    assert heard == [(epoch, names) for epoch in (1, 2, 3, 4)]
    assert sorted(history.columns) == sorted([*names, "epoch"])
    assert [np.array_equal(kernel, start) for kernel in kernels] == [True, True, False, False]
    assert not np.array_equal(head, model.get_layer("probabilities").kernel.numpy())


def test_whole_number_labels_and_their_loss_train_the_same_network(tmp_path):
    """Sparse and categorical cross-entropy are one formula; only rounding may differ."""
    histories = {}
    for loss, one_hot in {"categorical_crossentropy": True, "sparse_categorical_crossentropy": False}.items():
        (tmp_path / loss).mkdir()
        sets = {"train": data(one_hot=one_hot), "validation": data(seed=1, one_hot=one_hot)}
        histories[loss] = learn(small_model(), [Phase(3, 0.03, patience=None)], tmp_path / loss, loss=loss, **sets)
    columns = ["loss", "accuracy", "val_loss", "val_accuracy"]
    first, second = (history[columns] for history in histories.values())
    pd.testing.assert_frame_equal(first, second, rtol=1e-3)


def test_images_per_second_are_of_the_training_part_alone(tmp_path):
    """Validation that waits a third of a second must not slow them."""
    import time

    import tensorflow as tf

    def wait(labels):
        time.sleep(0.3)
        return labels

    def slowly(pixels, labels):
        return pixels, tf.ensure_shape(tf.numpy_function(wait, [labels], tf.float32), labels.shape)

    slow = data(8, seed=1).map(slowly)
    history = learn(small_model(), [Phase(3, 0.03, patience=None)], tmp_path, validation=slow)
    training_seconds = 32 / history["images_per_second"]
    assert (training_seconds < history["epoch_seconds"] - 0.29).all()


def test_a_loss_that_is_not_finite_stops_the_training(tmp_path):
    model = small_model()
    model.get_layer("probabilities").bias.assign([math.nan, 0.0])
    with pytest.raises(InputError, match=r"learning_rate=0.03: the loss became nan in epoch 1; lower the rate"):
        learn(model, [Phase(5, 0.03, patience=None)], tmp_path)
    assert not (tmp_path / "files" / "history.csv").exists()


def test_a_loss_that_explodes_later_leaves_the_last_good_state(tmp_path):
    from facemask_ensemble.training import checkpoint

    model, kept = small_model(), []

    def spoil(epoch, metrics):
        kept.append(model.get_weights())
        if epoch == 2:
            kernel = model.get_layer("conv").kernel
            kernel.assign(np.full(kernel.shape, math.nan))

    with pytest.raises(InputError, match="became nan in epoch 3; the checkpoint of epoch 2 is kept"):
        learn(model, [Phase(6, 0.03, patience=None)], tmp_path, listeners=[spoil])
    assert len(pd.read_csv(tmp_path / "files" / "history.csv")) == 2
    progress, _ = checkpoint.load(tmp_path)
    assert progress.epochs == 2
    with np.load(tmp_path / f"best-{progress.best_epoch:04d}.npz") as arrays:
        for name, expected in zip(arrays.files, kept[progress.best_epoch - 1], strict=True):
            np.testing.assert_array_equal(arrays[name], expected)


def test_a_validation_loss_that_is_never_finite_is_refused_with_the_rate(tmp_path):
    broken = data(seed=1).map(lambda pixels, labels: (pixels, labels * math.nan))
    with pytest.raises(InputError, match="learning_rate=0.03: the validation loss was never finite; lower it"):
        learn(small_model(), [Phase(1, 0.03, patience=None)], tmp_path, validation=broken)


def test_early_stopping_ends_a_phase_after_its_patience_without_a_better_loss(tmp_path):
    history = learn(small_model(), [Phase(20, 0.03, patience=2)], tmp_path, train=data(flipped=True))
    assert len(history) == history["val_loss"].argmin() + 1 + 2


def test_a_plateau_halves_the_rate_after_two_epochs_without_a_better_loss(tmp_path):
    """The rate is so small that no epoch moves the loss by as much as counts, so the first stays the best."""
    phase = Phase(6, 2e-9, freeze_batch_norm=True, patience=None)
    history = learn(small_model(), [phase], tmp_path)
    assert history["val_loss"].std() < 1e-6
    np.testing.assert_allclose(history["learning_rate"], [2e-9, 2e-9, 1e-9, 1e-9, 5e-10, 5e-10], rtol=1e-6)


def test_warm_up_and_cosine_reach_the_rates_worked_out_by_hand(tmp_path):
    """32 images in batches of 8 are 4 steps an epoch, 20 in 5 epochs, of which 40 % warm up: 8.

    At the end of each epoch the rate is that of step 4, 8, 12, 16, 20: half way up, the top, then the cosine at
    4/12, 8/12 and 12/12: (1 + cos 60°) / 2 = 3/4, (1 + cos 120°) / 2 = 1/4, 0.
    """
    history = learn(small_model(), [Phase(5, 0.02, "cosine", 0.4, patience=None)], tmp_path)
    np.testing.assert_allclose(history["learning_rate"], [0.01, 0.02, 0.015, 0.005, 0.0], atol=1e-8)


def test_a_cosine_without_warm_up_starts_at_its_highest_rate(tmp_path):
    """Half way down after the first of two epochs."""
    history = learn(small_model(), [Phase(2, 0.02, "cosine", 0.0, patience=None)], tmp_path)
    np.testing.assert_allclose(history["learning_rate"], [0.01, 0.0], atol=1e-8)


def test_the_same_seed_gives_the_same_training(tmp_path):
    histories = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        histories.append(learn(small_model(seed=3), [Phase(2, 0.01, patience=None)], tmp_path / name))
    columns = ["loss", "val_loss", "accuracy"]
    pd.testing.assert_frame_equal(histories[0][columns], histories[1][columns])


@pytest.fixture
def half_precision():
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    yield
    keras.config.set_dtype_policy(before)


def test_half_precision_learns_and_follows_the_same_rates(half_precision, tmp_path):
    """Keras wraps the optimizer there, to scale the loss."""
    phases = [Phase(4, 0.02, "cosine", 0.5, patience=None), Phase(3, 2e-9, freeze_batch_norm=True, patience=None)]
    history = learn(small_model(), phases, tmp_path)
    assert history["val_accuracy"].max() == 1.0
    np.testing.assert_allclose(history["learning_rate"][:4], [0.01, 0.02, 0.01, 0.0], atol=1e-8)
    np.testing.assert_allclose(history["learning_rate"][4:], [2e-9, 2e-9, 1e-9], rtol=1e-6)
