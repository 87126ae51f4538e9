"""Real trainings, killed by SIGKILL at moments that a test can only reach from within."""

import json

import numpy as np
import pandas as pd
import pytest

pytestmark = pytest.mark.heavy

TRAIN = (
    "backbone=deep_cnn", "dataset.count=80", "dataset.size=48", "image_size=32", "augmentation=standard",
    "batch_size=16", "schedule.epochs=4", "precision=float32", "study=kill",
)  # fmt: skip
CHILD = """
import json, os, signal, sys
from pathlib import Path
from facemask_ensemble.data import arrays
from facemask_ensemble.training import callbacks, checkpoint, member_process

moment = "{moment}"

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def in_first_epoch(self, batch, logs=None):
    if batch == 2:
        die()

def after_a_checkpoint(folder, state):
    save(folder, state)
    if json.loads(state["progress"].tobytes())["epochs"] == 2:
        die()

def half_written(path, parts):
    if path.name == "checkpoint.npz" and path.exists():
        with open(path.with_name(path.name + ".cut.part"), "wb") as file:
            file.write(path.read_bytes()[:5000])
        die()
    write(path, parts)

save, write = checkpoint.save, arrays.write_arrays
if moment == "first epoch":
    callbacks.FiniteLoss.on_train_batch_end = in_first_epoch
elif moment == "between epochs":
    checkpoint.save = after_a_checkpoint
else:
    checkpoint.write_arrays = half_written
member_process.main(Path(sys.argv[3]), show_bar=False)
"""


def what_came_out(place):
    """Give the one run's history, probabilities, weights and logged steps."""
    import keras
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{place}/outputs/mlflow.db")
    (run,) = client.search_runs([client.get_experiment_by_name("kill").experiment_id])
    assert run.info.status == "FINISHED"
    assert "error" not in run.data.tags
    steps = [metric.step for metric in client.get_metric_history(run.info.run_id, "loss")]
    artifacts = place / "outputs" / "mlruns" / "kill" / run.info.run_id / "artifacts"
    history = pd.read_csv(artifacts / "history.csv").drop(columns=["epoch_seconds", "images_per_second"])
    probabilities = pd.read_parquet(artifacts / "probabilities.parquet")
    weights = keras.models.load_model(artifacts / "model.keras", compile=False).get_weights()
    return history, probabilities, weights, steps


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory, make_place, command):
    place = make_place(tmp_path_factory.mktemp("whole"))
    assert command("train", *TRAIN, cwd=place).returncode == 0
    return what_came_out(place)


@pytest.mark.parametrize("moment", ["first epoch", "between epochs", "during a checkpoint"])
def test_a_killed_training_goes_on_to_the_same_history_and_weights(
    moment, uninterrupted, command, preloaded, place_with_store
):
    child = place_with_store / "child.py"
    child.write_text(CHILD.replace("{moment}", moment))
    python = place_with_store / "python"
    python.write_text(f'#!/bin/sh\nexec "{preloaded}" "{child}" "$@"\n')
    python.chmod(0o755)
    killed = command("train", *TRAIN, cwd=place_with_store, python=python)
    assert killed.returncode == 1, killed.stderr
    assert "was ended by SIGKILL" in killed.stderr
    (folder,) = (place_with_store / "outputs" / "runs" / "kill").iterdir()
    assert json.loads((folder / "outcome.json").read_text())["state"] == "failed"
    assert (folder / "checkpoint.npz").exists() == (moment != "first epoch")
    assert (len(list(folder.glob("*.part"))) == 1) == (moment == "during a checkpoint")

    again = command("train", *TRAIN, cwd=place_with_store)
    assert again.returncode == 0, again.stderr
    history, probabilities, weights, steps = what_came_out(place_with_store)
    pd.testing.assert_frame_equal(history, uninterrupted[0], check_exact=True)
    pd.testing.assert_frame_equal(probabilities, uninterrupted[1], check_exact=True)
    for one, other in zip(weights, uninterrupted[2], strict=True):
        np.testing.assert_array_equal(one, other)
    assert steps == uninterrupted[3] == [1, 2, 3, 4]
    assert list(folder.glob("*.npz*")) == []
