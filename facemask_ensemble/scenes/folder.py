"""A folder of scenes with their truth."""

import json
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import pandas as pd
from PIL import Image
from rich.console import Console
from rich.progress import Progress

from facemask_ensemble.errors import InputError
from facemask_ensemble.scenes.difficulty import check_drawable, difficulty_named, figure_range
from facemask_ensemble.scenes.scene import CLASS_NAMES, draw_scene

TRUTH = "truth.json"
# Raise it when the same seed draws other images than before, so that old folders are drawn again.
DRAWING = 2
TIMEOUT_SECONDS = 2.0


def draw_folder(
    folder: Path, count: int, size: int, seed: int, difficulty: str, people: tuple[int, int] | None = None
) -> pd.DataFrame:
    """Write scenes 0 … count - 1 as PNG files with `truth.json`, all or nothing; the same set is not drawn twice.

    Returns:
        One line an image: `path` relative to the folder, and `label`, an index into CLASS_NAMES.
    """
    settings = _settings(count, size, seed, difficulty, people)
    truth = _read(folder, settings)
    if truth is None:
        _refuse_foreign(folder)
        truth = _draw(folder, settings)
    records = truth["images"]
    return pd.DataFrame({"path": list(records), "label": [record["label"] for record in records.values()]})


def _settings(count: int, size: int, seed: int, difficulty: str, people: tuple[int, int] | None) -> dict[str, Any]:
    figure_range(difficulty_named(difficulty), people)
    check_drawable(seed, size)
    if count < len(CLASS_NAMES):
        raise InputError(f"count={count} leaves a class without an image: give at least {len(CLASS_NAMES)}.")
    people_ = list(people) if people else None
    return {"drawing": DRAWING, "count": count, "size": size, "seed": seed, "difficulty": difficulty, "people": people_}


def _read(folder: Path, settings: dict[str, Any]) -> dict[str, Any] | None:
    """Read the truth of a complete folder of these settings."""
    truth = read_truth(folder)
    if truth is None or truth["settings"] != settings or not set(truth["images"]) <= set(os.listdir(folder)):
        return None
    return truth


def read_truth(folder: Path) -> dict[str, Any] | None:
    """Read what `draw_folder` wrote beside its images, if there is any.

    Returns:
        `settings`; `class_names`; and `images`, by file name the label, how many figures there are, and the `faces`
        that can be seen: each a box (left, top, right, bottom in pixels, the end exclusive) and whether it is masked.
    """
    try:
        truth = json.loads((folder / TRUTH).read_text())
    except (OSError, ValueError):
        return None
    return truth if isinstance(truth, dict) and {"settings", "images"} <= set(truth) else None


def _refuse_foreign(folder: Path) -> None:
    """Refuse to replace anything but images drawn here."""
    if not folder.exists():
        return
    drawn = {TRUTH, *truth["images"]} if (truth := read_truth(folder)) else set()
    if not folder.is_dir() or not set(os.listdir(folder)) <= drawn:
        raise InputError(f"{folder} has files that are not drawn scenes; give an empty or a new folder.")


def _draw(folder: Path, settings: dict[str, Any]) -> dict[str, Any]:
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        try:
            truth = _write(fresh, settings)
            return _move(fresh, folder, truth)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    except OSError as error:
        raise InputError(
            f"scenes cannot be written to {folder} ({error.strerror}); free space there, or give another output_dir."
        ) from error


def _write(folder: Path, asked: dict[str, Any]) -> dict[str, Any]:
    people = tuple(asked["people"]) if asked["people"] else None
    images, started = {}, time.monotonic()
    console = Console(stderr=True)
    progress = Progress(console=console, transient=True)
    task = progress.add_task("drawing scenes", total=asked["count"])
    shown = False
    try:
        for index in range(asked["count"]):
            scene = draw_scene(asked["seed"], index, asked["size"], asked["difficulty"], people)
            name = f"{index:05d}.png"
            Image.fromarray(scene.pixels).save(folder / name, compress_level=1)
            faces = [{"box": list(face.box), "masked": face.masked} for face in scene.faces]
            images[name] = {"label": scene.label, "figures": scene.figures, "faces": faces}
            progress.update(task, completed=index + 1)
            if not shown and console.is_terminal and time.monotonic() - started > TIMEOUT_SECONDS:
                progress.start()
                shown = True
    finally:
        if shown:
            progress.stop()
    truth = {"settings": asked, "class_names": list(CLASS_NAMES), "images": images}
    (folder / TRUTH).write_text(json.dumps(truth))
    return truth


def _move(fresh: Path, folder: Path, truth: dict[str, Any]) -> dict[str, Any]:
    """Put the finished folder in its place; another process may have been faster with the same set."""
    if folder.exists() and _read(folder, truth["settings"]) is None:
        shutil.rmtree(folder)
    fresh.chmod(0o755)
    try:
        fresh.rename(folder)
    except OSError:
        if _read(folder, truth["settings"]) is None:
            raise
    return truth
