"""One scene: the people chosen, painted, and kept with their truth."""

from dataclasses import dataclass

import numpy as np

from facemask_ensemble.scenes.backdrop import paint_backdrop
from facemask_ensemble.scenes.brush import Brush
from facemask_ensemble.scenes.cast import gather
from facemask_ensemble.scenes.difficulty import check_drawable, difficulty_named, figure_range
from facemask_ensemble.scenes.figure import paint_figure
from facemask_ensemble.scenes.light import finish
from facemask_ensemble.scenes.rng import Rng

CLASS_NAMES = ("none", "all", "some")


@dataclass(frozen=True)
class Face:
    """A visible face: `box` is x0, y0, x1, y1 in pixels, the end exclusive, clipped to the image."""

    box: tuple[int, int, int, int]
    masked: bool


@dataclass(frozen=True)
class Scene:
    """A drawn image, uint8 (size, size, 3), with its truth; `figures` counts those turned away too."""

    pixels: np.ndarray
    label: int
    faces: tuple[Face, ...]
    figures: int


def draw_scene(
    seed: int, index: int, size: int = 96, difficulty: str = "easy", people: tuple[int, int] | None = None
) -> Scene:
    """Draw image `index` of the set `seed`: the same pixels wherever and in whatever order it is drawn.

    The label is `index % 3`, so every run of three images holds each class once. `people` replaces the difficulty's
    fewest and most figures. One face alone is never `some`: with `people=(1, 1)` the label is `index % 2`.
    """
    level = difficulty_named(difficulty)
    figures = figure_range(level, people)
    check_drawable(seed, size)
    label = index % (3 if figures[1] > 1 else 2)
    rng = Rng(seed, index)
    cast = gather(rng, label, figures, level)
    finer = 3 if size <= 160 else 2
    image = paint_backdrop(rng, size * finer)
    brush = Brush(image)
    boxes = [paint_figure(brush, person, size * finer) for person in cast]
    faces = tuple(Face(_clip(box, finer, size), person.masked) for person, box in zip(cast, boxes, strict=True) if box)
    return Scene(finish(image.reduce(finer), rng, level), label, faces, len(cast))


def example_image() -> np.ndarray:
    """Draw a small scene, uint8 (64, 64, 3)."""
    return draw_scene(seed=0, index=1, size=64).pixels


def _clip(box: tuple[float, float, float, float], finer: int, size: int) -> tuple[int, int, int, int]:
    x0, y0, x1, y1 = (int(side) for side in box)
    return max(x0 // finer, 0), max(y0 // finer, 0), min(x1 // finer + 1, size), min(y1 // finer + 1, size)
