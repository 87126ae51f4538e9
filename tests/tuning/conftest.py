import math
from dataclasses import dataclass, field

import pytest


@dataclass(frozen=True)
class Drawn:
    """What a trial needs of a training's settings."""

    drawn: dict
    tags: dict = field(default_factory=dict)


class FakeTraining:
    """Train nothing: write the history that a formula gives, an epoch a look of the watcher.

    Args:
        folder: for the trainings' folders.
        epochs: of a full training.
        loss: from the trial's drawn values and the epoch (from 1) to the validation loss.
    """

    def __init__(self, folder, epochs=5, loss=lambda drawn, epoch: drawn["x"] + 1 / epoch):
        self.folder, self.epochs, self.loss = folder, epochs, loss
        self.settings = []

    def __call__(self, settings, watch):
        from facemask_ensemble.training.member_process import Outcome

        self.settings.append(settings)
        folder = self.folder / settings.tags["trial"]
        (folder / "files").mkdir(parents=True)
        history = folder / "files" / "history.csv"
        history.write_text("epoch,val_loss,val_accuracy\n")
        for epoch in range(1, self.epochs + 1):
            loss = self.loss(settings.drawn, epoch)
            with history.open("a") as file:
                file.write(f"{epoch},{loss},{math.exp(-loss)}\n")
            if not watch(folder):
                return Outcome("deep_cnn", "stopped"), folder
        summary = {"run_id": f"run-{settings.tags['trial']}", "validation_accuracy": 0.5}
        return Outcome("deep_cnn", "finished", summary=summary), folder


def compose(overrides):
    """Give the drawn values as numbers, where they are."""
    drawn = dict(text.split("=", 1) for text in overrides)
    return Drawn({key: float(value) if value[0] in "0123456789-" else value for key, value in drawn.items()})


@pytest.fixture
def make_study(tmp_path):
    """Open a study in the sqlite file of this test."""
    from facemask_ensemble.tuning.sampler import Numbered
    from facemask_ensemble.tuning.storage import default_storage, open_storage, open_study

    def make(name="masks", terms=None, direction="minimize", pruner=None, url=None):
        import optuna

        storage = open_storage(url or default_storage(tmp_path), tmp_path)
        sampler = Numbered(optuna.samplers.TPESampler, seed=0)
        return open_study(storage, name, direction, terms or {}, sampler, pruner or optuna.pruners.NopPruner())

    return make


@pytest.fixture
def make_objective(tmp_path):
    """Make an objective over `x` in 0..1 whose trainings are fake; its `train` keeps what it was given."""
    from facemask_ensemble.tuning.space import Range
    from facemask_ensemble.tuning.trial import Objective

    def make(train=None, metric="val_loss", space=None, **options):
        train = train or FakeTraining(tmp_path / "trainings", **options)
        return Objective(space or [Range("x", 0.0, 1.0)], metric, compose, train, lambda *_: None)

    return make
