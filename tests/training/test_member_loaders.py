"""Whole trainings, each by another loader."""

import json

import numpy as np
import pandas as pd
import pytest

pytestmark = pytest.mark.heavy

SMALL = (
    "backbone=deep_cnn",
    "precision=float32",
    "dataset.count=60",
    "dataset.size=48",
    "image_size=32",
    "schedule.epochs=2",
    "study=load",
)


@pytest.mark.parametrize(
    ("name", "resize"), [("tf_data", "ours"), ("directory", "ours"), ("generator", "ours"), ("generator", "reader")]
)
def test_a_member_is_trained_through_any_loader_and_judged_through_our_reader(name, resize, command, place_with_store):
    from facemask_ensemble import tracking
    from facemask_ensemble.data.manifest import Manifest
    from facemask_ensemble.data.pixel_cache import load_pixels

    done = command("train", *SMALL, f"loader={name}", f"loader.resize={resize}", cwd=place_with_store)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert "Found" not in done.stdout
    (files,) = place_with_store.glob("outputs/runs/*/*/files")
    history = pd.read_csv(files / "history.csv")
    assert (history["images_per_second"] > 0).all() and len(history) == 2

    store = tracking.open_store(None, place_with_store / "outputs")
    (member,) = tracking.finished_members(store, study="load")
    assert (member.params["loader"], member.params["loader_resize"]) == (name, resize)
    first, later = history["images_per_second"]
    assert member.metrics["first_images_per_second"] == pytest.approx(first)
    assert member.metrics["later_images_per_second"] == pytest.approx(later)
    logged = store.client.get_metric_history(member.run_id, "images_per_second")
    assert [metric.value for metric in logged] == pytest.approx([first, later])

    import keras

    manifest = Manifest.load(files / "manifest")
    rows = manifest.split("test")
    file = tracking.artifact(store, member.run_id, "model.keras", place_with_store)
    model = keras.saving.load_model(file)
    assert file.stat().st_size < 1.5 * sum(4 * weight.size for weight in model.get_weights()) + 50_000  # and no more
    pixels = np.asarray(load_pixels(manifest.root, list(rows["path"]), 32))
    table = pd.read_parquet(files / "probabilities.parquet")
    kept = table.loc[table["split"] == "test", [f"p_{label}" for label in manifest.class_names]].to_numpy()
    np.testing.assert_allclose(kept, model.predict(pixels, verbose=0), atol=1e-4)
    scores = json.loads((files.parent / "scores.json").read_text())
    right = kept.argmax(axis=1) == rows["label"]
    recalls = [right[rows["label"] == label].mean() for label in sorted(rows["label"].unique())]
    assert scores["test_accuracy"] == pytest.approx(right.mean())
    assert scores["test_balanced_accuracy"] == pytest.approx(np.mean(recalls))
