"""Members trained by JAX are judged, asked and explained by TensorFlow, with nothing to be told but KERAS_BACKEND."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from processes import HANG

JAX = {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
# What JAX has compiled is kept in a folder, however fast and small it was: who trains again need not compile again.
KEPT = {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0", "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1"}
SCENES = ["dataset.count=90", "dataset.size=48"]
pytestmark = pytest.mark.heavy


@pytest.fixture(scope="module")
def trained(tmp_path_factory, make_place, command):
    """A folder in which JAX has trained a member on drawn scenes, on two devices, with random changes of them."""
    pytest.importorskip("jax")
    place = make_place(tmp_path_factory.mktemp("place"))
    small = ["backbone=deep_cnn", "image_size=32", "batch_size=8", *SCENES]
    recipe = ["precision=float32", "schedule.epochs=2", "augmentation=standard", "devices=2"]
    done = command("train", *small, *recipe, cwd=place, **JAX)
    assert done.returncode == 0, done.stderr
    assert "logged as MLflow run" in done.stdout
    return place


def test_the_training_leaves_what_one_by_tensorflow_leaves(trained):
    (files,) = trained.glob("outputs/runs/*/*/files")
    history = pd.read_csv(files / "history.csv")
    assert list(history["epoch"]) == [1, 2]
    assert history["loss"].gt(0).all()
    assert {"probabilities.parquet", "config.yaml"} <= {file.name for file in files.iterdir()}


def test_tensorflow_gives_the_probabilities_that_jax_gave(trained):
    from facemask_ensemble.data.manifest import Manifest
    from facemask_ensemble.prediction.answers import predict_all

    (files,), (model,) = trained.glob("outputs/runs/*/*/files"), trained.glob("outputs/mlruns/**/model.keras")
    manifest, table = Manifest.load(files / "manifest"), pd.read_parquet(files / "probabilities.parquet")
    (probs,) = predict_all({"deep_cnn": model}, [manifest.root / path for path in table["path"]], 8)
    by_jax = table[[f"p_{name}" for name in manifest.class_names]].to_numpy()
    assert probs.shape == (len(table), 3)
    np.testing.assert_allclose(probs, by_jax, atol=1e-4)
    assert np.ptp(by_jax, axis=0).max() > 1e-3  # not the same for every image


def test_evaluate_judges_and_explains_the_member_while_the_variable_is_still_set(trained, command):
    done = command("evaluate", *SCENES, "gallery=2", "heatmap=gradcam", cwd=trained, **JAX)
    assert done.returncode == 0, done.stderr
    assert "deep_cnn" in done.stdout
    (page,) = trained.glob("outputs/scenes/**/report.html")
    assert "deep_cnn" in page.read_text()
    assert list(page.parent.rglob("*.png")) or "data:image" in page.read_text()


def test_a_training_by_jax_that_was_stopped_twice_ends_as_an_uninterrupted_one_does(tmp_path):
    """The tests of TensorFlow's, in a process of their own where Keras computes with JAX."""
    tests = Path(__file__).parent / "training" / "test_resume.py"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", str(tests), "-k", "test_a_stopped_training and step and not plateau"],
        env={**os.environ, **JAX, **KEPT, "JAX_COMPILATION_CACHE_DIR": str(tmp_path)},
        capture_output=True, text=True, timeout=HANG, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:]
    assert "2 passed" in done.stdout


def test_a_backend_that_nothing_here_works_with_is_refused(command, tmp_path, assert_refused):
    done = command("train", "backbone=deep_cnn", "image_size=32", cwd=tmp_path, KERAS_BACKEND="torch")
    assert_refused(done, "KERAS_BACKEND=torch", "tensorflow, jax")
