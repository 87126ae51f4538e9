"""A folder to measure in: its images, and trainings of ours and of others on them, watched from outside."""

import json
import sys
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import hydra
from PIL import Image

from benchmarks.process_watch import Watched, watch
from facemask_ensemble.config import CONF_DIR
from facemask_ensemble.settings import dump
from facemask_ensemble.settings.train import TrainSettings
from facemask_ensemble.training.launch import check

SIDE = 400  # of a drawn image, pixels
SPLITS = {"train": 1.0, "validation": 0.25, "test": 0.05}  # images for every training image
QUIET = ("dataset", "output_dir", "study", "augmentation", "seed")  # options of every watched command
COUNTED_BY = {"KERAS_BACKEND": "tensorflow"}  # it has the profiler, whatever trains
_numbers = count()


def draw(folder: Path, images: int) -> Path:
    """Write drawn scenes as JPEG files into a folder per class below `train`, `validation` and `test`.

    Args:
        folder: must not exist.
        images: of training; for validation there are a quarter as many.
    """
    from facemask_ensemble.scenes import CLASS_NAMES, draw_scene

    print(f"drawing {images} images", file=sys.stderr)
    for seed, (split, share) in enumerate(SPLITS.items()):
        for name in CLASS_NAMES:
            (folder / split / name).mkdir(parents=True)
        for index in range(max(len(CLASS_NAMES), round(images * share))):
            scene = draw_scene(seed, index, SIDE)
            file = folder / split / CLASS_NAMES[scene.label] / f"{index:05}.jpg"
            Image.fromarray(scene.pixels).save(file, quality=90)
    return folder


@dataclass(frozen=True)
class Place:
    """Where a part measures: its folder, its images, and what all its trainings share.

    Attributes:
        folder: of everything; trainings go to `outputs` in it.
        images: the folder that `draw` made.
        shared: of every training, as Hydra's overrides.
    """

    folder: Path
    images: Path
    shared: tuple[str, ...]

    @classmethod
    def prepare(cls, folder: Path, images: int, *shared: str) -> "Place":
        """Draw the images of a part in a separate folder."""
        folder.mkdir()
        return cls(folder, draw(folder / "images", images), shared)

    def overrides(self, *more: str) -> list[str]:
        """Describe a training on these images, apart from all others by its study: nothing is trained already."""
        given = (
            "backbone.weights=null", "dataset=folders", f"dataset.root={self.images}", "dataset.near_duplicates=null",
            "augmentation=none", "schedule=scratch", "precision=float32", "seed=0", f"study=bench{next(_numbers)}",
            f"output_dir={self.folder / 'outputs'}",
        )  # fmt: skip
        chosen = {text.partition("=")[0]: text for text in (*given, *self.shared, *more)}  # the last one counts
        return list(chosen.values())

    def settings(self, *more: str) -> TrainSettings:
        """Compose a training's settings.

        Raises:
            InputError: it cannot be trained.
        """
        with hydra.initialize_config_dir(str(CONF_DIR), version_base="1.3"):
            return check(hydra.compose("train", self.overrides(*more)))

    def train(self, *more: str, memory: bool = False) -> Watched:
        """Train by the command, with everything that it does."""
        return self._watch("facemask_ensemble.train", self.overrides(*more), memory=memory)

    def sweep(self, *more: str, memory: bool = False) -> Watched:
        """Train several by the command."""
        return self._watch("facemask_ensemble.train", ["--multirun", *self.overrides(*more)], memory=memory)

    def other(self, way: str, path: Path, epochs: int, *more: str, memory: bool = False) -> Watched:
        """Train in one of the ways of `training_baselines`."""
        text = json.dumps(dump(self.settings(*more)))
        return self._watch("benchmarks.training_baselines", [way, str(path), str(epochs)], text=text, memory=memory)

    def arrays(self, *more: str) -> Path:
        """Read the images into one file of arrays, and into the cache of ours."""
        file = self.folder / "arrays.npz"
        self.other("arrays", file, 0, *more)
        return file

    def _watch(self, command: str, arguments: list[str], *, text: str = "", memory: bool) -> Watched:
        told = [argument for argument in arguments if not argument.startswith(QUIET)]
        print(" ".join([command.rpartition(".")[2], *told]), end=" … ", file=sys.stderr, flush=True)
        environment = COUNTED_BY if "operations" in arguments else {}
        seen = watch(["-m", command, *arguments], self.folder, text=text, memory=memory, environment=environment)
        print(f"{seen.seconds:.0f} s", file=sys.stderr)
        return seen
