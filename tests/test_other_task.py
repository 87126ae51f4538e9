"""A dataset of another task goes from the audit to the ship card, and nothing written speaks of masks or faces."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageDraw

from facemask_ensemble import tracking

CLASSES = ("circle", "cross", "square")
OF_MASKS = re.compile(r".{0,40}(?:mask|\bface).{0,40}", re.I)
OURS = re.compile(r"facemask[-_]ensemble")
ENCODED = re.compile(r"[A-Za-z0-9+/=]{80,}")  # images, in which letters follow by chance
SILENT = (".db", ".png", ".jpg", ".webp", ".keras", ".pdf", ".npy", ".npz", ".svg", ".lock")
TRAINED = ("study=shapes", "image_size=32", "batch_size=8", "precision=float32", "schedule.epochs=1")
JUDGED = ("study=shapes", "explanation.images=12", "resamples=100")


def draw(folder: Path, count: int) -> Path:
    """Write a folder of drawn shapes for every class."""
    rng = np.random.default_rng(0)
    for name in CLASSES:
        (folder / name).mkdir(parents=True)
        for number in range(count):
            image = Image.fromarray(rng.integers(0, 90, (48, 48, 3), dtype=np.uint8))
            pen, (left, top), size = ImageDraw.Draw(image), rng.integers(2, 20, 2), int(rng.integers(14, 26))
            box, colour = [left, top, left + size, top + size], tuple(rng.integers(120, 256, 3).tolist())
            if name == "cross":
                pen.line(box, colour, 5)
                pen.line([left, top + size, left + size, top], colour, 5)
            else:
                {"circle": pen.ellipse, "square": pen.rectangle}[name](box, fill=colour)
            image.save(folder / name / f"{number}.png")
    return folder


def said_of_masks(text: str) -> list[str]:
    return OF_MASKS.findall(ENCODED.sub("", OURS.sub("", text)))


def texts(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield every text that lies in a folder, by its path."""
    for file in sorted(file for file in folder.rglob("*") if file.is_file() and file.suffix not in SILENT):
        if file.suffix == ".parquet":
            yield str(file), pd.read_parquet(file).to_csv()
        else:
            yield str(file), file.read_bytes().decode("utf-8")


def assert_silent(done: list[subprocess.CompletedProcess], outputs: Path) -> None:
    """Check what was printed, written and logged."""
    for one in done:
        assert one.returncode == 0, one.stderr
        assert said_of_masks(one.stdout + one.stderr) == [], one.args
    written = dict(texts(outputs))
    names = {Path(file).name for file in written}
    assert {"report.html", "report.json", "explanation.html", "explanation.json", "card.html", "card.json"} <= names
    assert {"audit.html", "audit.json", "ensemble.json", "predictions.csv", "MLmodel", "manifest.csv"} <= names
    assert {file: found for file, text in written.items() if (found := said_of_masks(text))} == {}
    assert [file for file in written if said_of_masks(str(Path(file).relative_to(outputs)))] == []
    client = tracking.open_store(None, outputs).client
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    for run in client.search_runs(experiments):
        assert said_of_masks(str(run.data.tags | run.data.params)) == []
    [model] = client.search_registered_models()
    assert model.name == "folders"


def all_the_way(
    command, place: Path, root: Path, given: str, backbones: str, asked: str, *judged: str
) -> list[subprocess.CompletedProcess]:
    """Go from the audit to the ship card, and ask what was shipped about some of the images."""
    data = ("dataset=folders", f"dataset.root={root}", given)
    return [
        command("audit", *data, cwd=place),
        command("train", "--multirun", f"backbone={backbones}", *TRAINED, *data, cwd=place),
        command("evaluate", *data, *JUDGED, *judged, cwd=place),
        command("ship", "study=shapes", cwd=place),
        command("predict", f"input={root}/{asked}", "ensemble=models:/folders@champion", "heatmap=gradcam", cwd=place),
    ]


def test_words_of_masks_are_found_and_the_packages_own_name_is_none():
    assert said_of_masks("python -m facemask_ensemble.evaluate; facemask-ensemble 0.1") == []
    assert said_of_masks("<p>points at faces</p>") == ["<p>points at faces</p>"]
    assert said_of_masks("all_masked.csv, surfaces") == ["all_masked.csv, surfaces"]


@pytest.mark.heavy
def test_drawn_shapes_go_from_the_audit_to_the_ship_card_without_a_word_of_masks(command, make_place, tmp_path):
    place = make_place(tmp_path)
    root = draw(place / "images", 24)
    done = all_the_way(
        command, place, root, "dataset.near_duplicates=null", "basic_cnn,deep_cnn", "*/1*.png", "shift=1"
    )
    assert_silent(done, place / "outputs")


@pytest.mark.heavy
def test_hands_go_from_the_audit_to_the_ship_card_without_a_word_of_masks(command, make_place, tmp_path, real_data):
    place = make_place(tmp_path)
    done = all_the_way(
        command, place, real_data / "rock_paper_scissors", "dataset.limit=60", "deep_cnn", "test/*/*9.jpg"
    )
    assert_silent(done, place / "outputs")
