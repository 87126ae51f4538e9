"""Members and images to measure with: a study of random weights, drawn scenes, or what the user names."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from facemask_ensemble.data.input_images import Item
from facemask_ensemble.data.inputs import open_input
from facemask_ensemble.data.manifest import Manifest
from facemask_ensemble.training.subprocess_call import aside

CLASSES = ("none", "all", "some")
SIDE = 400  # of a drawn image, pixels
LEARNED = 100  # images that random members are said to have learned from, by which int8 is calibrated
REAL = "FACEMASK_REAL_DATA"


@dataclass(frozen=True)
class Members:
    """A study of members in a store, and what it is called in the table."""

    output_dir: Path
    study: str
    about: str

    @property
    def overrides(self) -> list[str]:
        """Name them to `predict`."""
        return [f"output_dir={self.output_dir}", f"study={self.study}"]


def random_members(folder: Path, sizes: Mapping[str, int]) -> Members:
    """Make a study of members with random weights, by their backbones and the sides of their images in pixels.

    It is made once in a folder.
    """
    if not folder.exists():
        print(f"making {len(sizes)} members of random weights", file=sys.stderr)
        drawn = draw(folder / "learned", LEARNED)
        aside(_make, folder, dict(sizes), drawn)
    return Members(folder, "random", f"{len(sizes)} members of random weights")


def draw(folder: Path, count: int) -> list[Path]:
    """Write drawn scenes as JPEG files."""
    from facemask_ensemble.scenes import draw_scene

    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"{number:05}.jpg" for number in range(count)]
    for number, file in enumerate(files):
        if not file.exists():
            Image.fromarray(draw_scene(7, number, SIDE).pixels).save(file, quality=90)
    return files


def speckle(folder: Path, count: int, side: int = 48) -> Path:
    """Write small images of coloured blocks, as many as are not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for number in range(count):
        blocks = rng.integers(0, 256, (4, 4, 3), np.uint8)
        file = folder / f"{number:07}.jpg"
        if not file.exists():
            Image.fromarray(blocks).resize((side, side), Image.Resampling.NEAREST).save(file)
    return folder


def photographs(named: str | None, count: int, place: Path) -> tuple[list[str], str]:
    """Name images to answer for, real ones where they are available, and say what they are.

    Args:
        named: a folder, a list or an archive of images; None for the real photographs, where there are any.
        count: of the images; fewer, if fewer are available.
        place: for drawn ones.
    """
    given = named or os.environ.get(REAL)
    if not given:
        return [str(file) for file in draw(place / "drawn", count)], "drawn scenes"
    items: list[Item] = list(open_input(given).items())
    step = max(1, len(items) // count)
    return [item.name for item in islice(items, 0, step * count, step)], "photographs"


def _make(folder: Path, sizes: dict[str, int], learned: list[Path]) -> None:
    from facemask_ensemble.tensorflow_import import start_tensorflow

    start_tensorflow()
    import hydra
    import keras

    from facemask_ensemble import tracking
    from facemask_ensemble.config import CONF_DIR, read_settings
    from facemask_ensemble.settings.train import TrainSettings
    from facemask_ensemble.training.initialization import build

    store, manifest = tracking.open_store(None, folder), _manifest(folder / "learned", learned)
    for name, size in sizes.items():
        with hydra.initialize_config_dir(str(CONF_DIR), version_base="1.3"):
            given = [f"backbone={name}", f"image_size={size}", "backbone.weights=null", "dataset=scenes"]
            settings = read_settings(TrainSettings, hydra.compose("train", given))
        keras.utils.set_random_seed(len(name))
        model = build(settings.backbone, size, len(CLASSES))
        tags = {
            "kind": "member", "backbone": name, "init": "random initialisation", "precision": "float32",
            "dataset": manifest.name, "fingerprint": manifest.fingerprint, "class_names": '["none", "all", "some"]',
            "image_size": str(size), "parameters": str(model.count_params()),
        }  # fmt: skip
        run_id = tracking.start_run(store, "random", name, tags, {})
        files = folder / "made" / name
        manifest.save(files / "manifest")
        model.save(files / "model.keras")
        tracking.finish_run(store, run_id, files=files, metrics={})


def _manifest(folder: Path, learned: list[Path]) -> Manifest:
    columns = {"path": [file.name for file in learned], "sha256": [file.name for file in learned]}
    rows = pd.DataFrame(columns | {"label": 0, "group": "", "split": "train", "look": "", "mirrored": ""})
    return Manifest("scenes", folder, CLASSES, rows, pd.DataFrame(columns=["path", "reason"]))
