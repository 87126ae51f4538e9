"""Fit a classifier phase by phase, keep its best weights, and resume after a stop."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import keras
import pandas as pd
import tensorflow as tf

from facemask_ensemble.data.pipelines import without_autotune
from facemask_ensemble.errors import InputError
from facemask_ensemble.files import write_atomically
from facemask_ensemble.garbage import collection_paused
from facemask_ensemble.models.freezing import freeze
from facemask_ensemble.signals import stop_at_checks
from facemask_ensemble.training import checkpoint
from facemask_ensemble.training.averages import Averaged
from facemask_ensemble.training.callbacks import Callbacks, FiniteLoss
from facemask_ensemble.training.checkpoint import Progress, Writer
from facemask_ensemble.training.checkpoint_callbacks import BestWeights, Checkpoint
from facemask_ensemble.training.epoch_report import EpochReport, Metrics
from facemask_ensemble.training.features import Features, compute_features, head_batches, head_of
from facemask_ensemble.training.inference import build_metrics, share_inference
from facemask_ensemble.training.recipe import Data, Recipe
from facemask_ensemble.training.run_files import FILES, HISTORY
from facemask_ensemble.training.schedules import Phase

FEATURES = "features.npz"


def fit(
    model: keras.Model,
    data: Data,
    phases: Sequence[Phase],
    folder: Path,
    listeners: Sequence[Callable[[int, Metrics], None]] = (),
    *,
    recipe: Recipe | None = None,
    show_bar: bool = False,
) -> pd.DataFrame:
    """Train through all phases; the model ends with the weights of its lowest validation loss.

    Args:
        model: takes pixels (n, h, w, 3), gives probabilities (n, classes).
        data: to learn from.
        phases: one after the other, each with a fresh optimizer and fresh callbacks.
        folder: of the training: `files/history.csv` grows here, beside the state after the last finished epoch; a
            training that finds such a state resumes from it.
        listeners: called with (epoch, metrics) after every epoch.
        recipe: optimizer and loss; Adam and cross-entropy where None.
        show_bar: a progress bar an epoch, for a terminal that shows this training alone.

    Returns:
        The history, one row an epoch.

    Raises:
        InputError: the loss is no longer finite, or the checkpoint is damaged.
    """
    progress, arrays = checkpoint.load(folder)
    (folder / FILES).mkdir(parents=True, exist_ok=True)
    _forget_unfinished(folder / FILES / HISTORY, progress.epochs)
    if arrays:
        checkpoint.restore({"model": model.variables, "augmentation": data.randomness}, arrays)
    with Writer() as writer:
        best = BestWeights(folder, progress, model, writer)
        training = _Training(model, data, folder, list(listeners), recipe or Recipe(), progress, best, show_bar)
        training.run(phases, arrays)
    return pd.read_csv(folder / FILES / HISTORY)


@dataclass
class _Training:
    """One training under way: what its phases have in common."""

    model: keras.Model
    data: Data
    folder: Path
    listeners: list[Callable[[int, Metrics], None]]
    recipe: Recipe
    progress: Progress
    best: BestWeights
    show_bar: bool

    def run(self, phases: Sequence[Phase], arrays: dict) -> None:
        """Train the phases that are not over, given what a checkpoint held."""
        progress = self.progress
        for number, phase in enumerate(phases):
            if number < progress.phase:
                continue
            if number > progress.phase:
                progress.phase, progress.epoch, progress.over, progress.controls, arrays = number, 0, False, {}, {}
            if not progress.over:
                self._run(phase, arrays)
            if not progress.best_epoch:
                raise InputError(
                    f"schedule.learning_rate={phase.learning_rate:g}: the validation loss was never finite; lower it, "
                    "or use precision=float32"
                )
            self.best.restore()
            (self.folder / FEATURES).unlink(missing_ok=True)

    def _run(self, phase: Phase, arrays: dict) -> None:
        """Train one phase, or the rest of it."""
        freeze(
            self.model,
            backbone=phase.freeze_backbone,
            batch_norm=phase.freeze_batch_norm,
            first_trainable=phase.first_trainable,
            last_blocks=phase.last_blocks,
            block_ends=self.recipe.block_ends,
        )
        if phase.freeze_backbone:
            network, train, validation = self._features(phase)
        else:
            network, validation = self.model, self.data.validation
            train = self.data.train(self.progress.passes)
        network.compile(self._optimizer(phase), self.recipe.loss, metrics=["accuracy"])
        share_inference(network)
        network.optimizer.build(network.trainable_variables)
        build_metrics(network, validation, self.data.batch_size)
        if arrays:
            checkpoint.restore({"optimizer": network.optimizer.variables}, arrays)
        kept = {
            "model": self.model.variables,
            "augmentation": self.data.randomness,
            "optimizer": network.optimizer.variables,
        }
        train = self.data.share(train)
        with stop_at_checks() as check, collection_paused() as resume_collection:

            def after_step() -> None:
                resume_collection()  # the network is traced
                check()

            network.fit(
                train,
                validation_data=self.data.share(validation),
                epochs=phase.epochs,
                initial_epoch=self.progress.epoch,
                callbacks=self._callbacks(phase, kept, network, train, after_step),
                shuffle=False,
            )

    def _features(self, phase: Phase) -> tuple[keras.Model, tf.data.Dataset, tf.data.Dataset]:
        """Give the head and its data, from features that are computed once a phase, however often it is stopped."""
        path, randomness = self.folder / FEATURES, self.data.randomness
        if not path.exists():
            train = self.data.share(self.data.train(self.progress.passes))
            validation = self.data.share(self.data.validation)
            compute_features(self.model, train, validation, phase.copies, randomness, self.data.steps).save(path)
        features = Features.load(path)
        for state, value in zip(randomness, features.states, strict=True):
            state.assign(value)
        if not self.progress.epoch:
            self.progress.passes += phase.copies
        size, seed = self.data.batch_size, self.data.seed
        validation = without_autotune(tf.data.Dataset.from_tensor_slices(features.validation).batch(size))
        return head_of(self.model), head_batches(features, size, seed, self.progress.epoch), validation

    def _optimizer(self, phase: Phase) -> keras.optimizers.Optimizer:
        if phase.decay != "cosine":
            return self.recipe.optimizer(learning_rate=phase.learning_rate)
        steps = phase.epochs * self.data.steps
        warmup = round(steps * phase.warmup)
        rate = keras.optimizers.schedules.CosineDecay(
            0.0 if warmup else phase.learning_rate,
            max(1, steps - warmup),
            warmup_target=phase.learning_rate if warmup else None,
            warmup_steps=warmup,
        )
        return self.recipe.optimizer(learning_rate=rate)

    def _callbacks(
        self,
        phase: Phase,
        kept: checkpoint.Variables,
        network: keras.Model,
        train: tf.data.Dataset,
        after_step: Callable[[], None],
    ) -> Callbacks:
        controls: list[keras.callbacks.Callback] = []
        if phase.decay == "plateau":
            controls.append(keras.callbacks.ReduceLROnPlateau(monitor="val_loss", factor=0.5, patience=2))
        if phase.patience is not None:
            controls.append(keras.callbacks.EarlyStopping(monitor="val_loss", patience=phase.patience))
        before = self.progress.epochs - self.progress.epoch
        report = EpochReport(self.folder / FILES / HISTORY, self.listeners, self.data.images, first_epoch=before)
        passes = 0 if phase.freeze_backbone else 1
        keep = Checkpoint(self.folder, self.progress, kept, controls, self.best, phase.epochs, passes)
        finite = FiniteLoss(self.progress, phase.learning_rate)
        averaged = [Averaged()] if _averages(self.recipe.optimizer) else []
        steps = int(train.cardinality())  # below 0 where it is not known
        bar = {"add_progbar": self.show_bar, "verbose": 1, "epochs": phase.epochs, "steps": max(steps, 0) or None}
        listed = [finite, *averaged, self.best, *controls, report, keep]
        return Callbacks(listed, after_step, add_history=True, model=network, **bar)


def _averages(optimizer: Callable[..., keras.optimizers.Optimizer]) -> bool:
    return isinstance(optimizer, partial) and bool(optimizer.keywords.get("use_ema"))


def _forget_unfinished(history: Path, epochs: int) -> None:
    """Drop the lines of epochs without a saved state: they are trained again."""
    if history.exists():
        lines = history.read_text().splitlines(keepends=True)
        if len(lines) > epochs + 1:
            write_atomically("".join(lines[: epochs + 1]), history)
        if not epochs:
            history.unlink()
