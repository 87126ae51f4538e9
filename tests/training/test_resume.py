"""A training that was stopped goes on as if nothing had been: the same history, the same weights."""

import shutil
from functools import cache, partial

import numpy as np
import pandas as pd
import pytest

from facemask_ensemble.errors import InputError
from facemask_ensemble.training.schedules import Phase

pytestmark = pytest.mark.heavy

SIDE, CLASSES, COUNT = 8, 2, 40
TIMES = ["epoch_seconds", "images_per_second"]


class Stopped(Exception):
    """What a test stops a training by."""


def images(seed):
    rng = np.random.default_rng(seed)
    labels = np.arange(COUNT) % CLASSES
    return (rng.integers(0, 150, (COUNT, SIDE, SIDE, 3)) + 60 * labels[:, None, None, None]).astype(np.uint8), labels


def learn(folder, phases, stop_after=None, moment="listener", optimizer=None, weights=None):
    """Train in `folder` as a new process would: everything is made anew, from the same seed."""
    import keras

    from facemask_ensemble.data.augmentation import augmentation
    from facemask_ensemble.data.loaders import batches
    from facemask_ensemble.models.classifier import build_classifier
    from facemask_ensemble.training import checkpoint_callbacks
    from facemask_ensemble.training.class_weights import weighted
    from facemask_ensemble.training.fit import fit
    from facemask_ensemble.training.recipe import Data, Recipe

    keras.backend.clear_session(free_memory=False)  # names and seeds; looking for garbage takes longer than an epoch
    keras.utils.set_random_seed(3)

    def backbone(pixels):
        x = keras.layers.Conv2D(4, 3, name="conv")(keras.layers.Rescaling(1 / 255)(pixels))
        return keras.layers.BatchNormalization(momentum=0.5, name="norm")(x)

    model = build_classifier("small", backbone, SIDE, CLASSES, dropout=0.3)
    augment = augmentation([keras.layers.RandomFlip(dtype="float32")], None, seed=5)

    def train(passes):
        return weighted(batches(*images(0), CLASSES, 8, shuffle_seed=7, passes=passes, augment=augment), weights)

    data = Data(train, batches(*images(1), CLASSES, 8), COUNT, 8, seed=7, randomness=augment.variables)

    def listen(epoch, metrics):
        if moment == "listener" and epoch == stop_after:
            raise Stopped

    class Stopping(checkpoint_callbacks.Checkpoint):
        def on_epoch_begin(self, epoch, logs=None):
            if moment == "epoch" and self.progress.epochs == stop_after:
                raise Stopped

        def on_train_batch_end(self, batch, logs=None):
            if moment == "step" and self.progress.epochs == stop_after and batch == 2:
                raise Stopped

    kept, fit_module = checkpoint_callbacks.Checkpoint, __import__("facemask_ensemble.training.fit", fromlist=["fit"])
    fit_module.Checkpoint = Stopping
    try:
        recipe = Recipe(optimizer or keras.optimizers.Adam)
        history = fit(model, data, phases, folder, [listen], recipe=recipe)
    finally:
        fit_module.Checkpoint = kept
    return history.drop(columns=TIMES), model.get_weights()


def assert_same(stopped, whole):
    pd.testing.assert_frame_equal(stopped[0], whole[0], check_exact=True)
    for one, other in zip(stopped[1], whole[1], strict=True):
        np.testing.assert_array_equal(one, other)


RECIPES = {
    "cosine": [Phase(5, 0.02, "cosine", 0.2, patience=None)],
    "plateau and patience": [Phase(9, 0.05, patience=4)],
    "head, then all": [
        Phase(3, 0.02, freeze_backbone=True, copies=2, patience=None),
        Phase(3, 0.01, freeze_batch_norm=True, patience=None),
    ],
}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """Train a recipe without a stop, once; give the folder and what was learned."""

    def train(name):
        folder = tmp_path_factory.mktemp("whole")
        return folder, learn(folder, RECIPES[name])

    return cache(train)


@pytest.fixture(scope="module")
def stopped_cosine(tmp_path_factory):
    """Give the folder of a training that was stopped once it had told of its third epoch."""
    folder = tmp_path_factory.mktemp("stopped")
    with pytest.raises(Stopped):
        learn(folder, RECIPES["cosine"], 3)
    return folder


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize(("stops", "moment"), [((1,), "listener"), ((1, 2), "step"), ((3, 4), "epoch")])
def test_a_stopped_training_ends_as_an_uninterrupted_one_does(name, stops, moment, uninterrupted, tmp_path):
    phases, (_, whole) = RECIPES[name], uninterrupted(name)
    for stop in stops:
        with pytest.raises(Stopped):
            learn(tmp_path / "stopped", phases, stop, moment)
    assert_same(learn(tmp_path / "stopped", phases), whole)


def test_averaged_weights_momentum_and_class_weights_survive_a_stop(tmp_path):
    import keras

    options = {
        "optimizer": partial(keras.optimizers.SGD, momentum=0.9, use_ema=True, ema_momentum=0.8),
        "weights": np.float32([0.5, 2.0]),
    }
    phases = [Phase(4, 0.02, "constant", patience=None)]
    whole = learn(tmp_path / "whole", phases, **options)
    with pytest.raises(Stopped):
        learn(tmp_path / "stopped", phases, 2, "step", **options)
    assert_same(learn(tmp_path / "stopped", phases, **options), whole)


def test_a_training_that_was_stopped_after_its_last_epoch_has_nothing_to_train(uninterrupted):
    folder, whole = uninterrupted("cosine")
    before = (folder / "checkpoint.npz").stat().st_mtime_ns
    assert_same(learn(folder, RECIPES["cosine"]), whole)
    assert (folder / "checkpoint.npz").stat().st_mtime_ns == before


def test_a_checkpoint_that_was_cut_short_is_refused_and_nothing_is_lost(stopped_cosine, tmp_path):
    phases, folder = RECIPES["cosine"], tmp_path / "stopped"
    shutil.copytree(stopped_cosine, folder)
    file = folder / "checkpoint.npz"
    whole = file.read_bytes()
    history = (folder / "files" / "history.csv").read_text()
    for damaged in (whole[: len(whole) // 2], b"", whole[:-400] + bytes(300) + whole[-100:]):
        file.write_bytes(damaged)
        with pytest.raises(InputError, match="checkpoint.npz is damaged .* delete it to train this member from the"):
            learn(folder, phases)
        assert (folder / "files" / "history.csv").read_text() == history
    file.write_bytes(whole)
    assert len(learn(folder, phases)[0]) == 5


def test_a_checkpoint_of_another_network_is_refused(stopped_cosine):
    from facemask_ensemble.training import checkpoint

    progress, arrays = checkpoint.load(stopped_cosine)
    import keras

    with pytest.raises(InputError, match="its model variables do not fit this network"):
        checkpoint.restore({"model": [keras.Variable(np.zeros((2, 2)))]}, arrays)
    assert progress.epochs == 2
