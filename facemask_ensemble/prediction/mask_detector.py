"""Faces found in images, and what an ensemble of single faces answers about each."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import hydra
import numpy as np
from numpy.typing import NDArray

from facemask_ensemble.data.chunks import chunk_of
from facemask_ensemble.faces.answers import Face
from facemask_ensemble.faces.boxes import Box, Find, Margin, cut, find_boxes
from facemask_ensemble.faces.masks import masked_classes
from facemask_ensemble.settings.predict import PredictSettings
from facemask_ensemble.settings.webcam import WebcamSettings

if TYPE_CHECKING:
    from facemask_ensemble.prediction.choice import Choice
    from facemask_ensemble.prediction.ensemble import Ensemble

Asked = PredictSettings | WebcamSettings


@dataclass(frozen=True)
class MaskDetector:
    """A way to find faces, and an ensemble that answers about each: called with images, it gives their faces.

    `masked` are the classes that mean a mask is worn; `margin` and `longest` are as `cut` and `find_boxes` take them.
    """

    find: Find
    ensemble: "Ensemble"
    masked: Collection[str]
    margin: Margin
    longest: int | None

    def __call__(self, images: Sequence[NDArray[np.uint8]]) -> list[list[Face]]:
        """Find the faces of images, uint8 (h, w, 3), RGB, and ask about all of them together."""
        boxes = [find_boxes(self.find, image, self.longest) for image in images]
        crops = [cut(image, box, self.margin) for image, own in zip(images, boxes, strict=True) for box in own]
        faces = iter(self._answer([box for own in boxes for box in own], crops))
        return [[next(faces) for _ in own] for own in boxes]

    def _answer(self, boxes: Sequence[Box], crops: Sequence[NDArray[np.uint8]]) -> list[Face]:
        if not crops:
            return []
        chunk = chunk_of(crops, [""] * len(crops), self.ensemble.sizes)
        rows = self.ensemble.answers(chunk, self.ensemble.ask(chunk)).to_dict("records")
        return [self._face(box, row) for box, row in zip(boxes, rows, strict=True)]

    def _face(self, box: Box, row: Mapping[Any, Any]) -> Face:
        prediction, confidence = str(row["prediction"]), float(row["confidence"])
        return Face(
            box,
            prediction,
            prediction in self.masked if prediction else None,
            None if math.isnan(confidence) else confidence,
            {name: str(row[f"vote_{name}"]) for name in self.ensemble.names},
        )


@dataclass(frozen=True)
class OpenedDetector:
    """A mask detector whose ensemble is not in memory yet."""

    find: Find
    choice: "Choice"
    masked: Collection[str]

    def load(self, settings: Asked) -> MaskDetector:
        """Bring the ensemble into memory."""
        ensemble = self.choice.load(settings.runtime, settings.batch_size, settings.votes)
        detector = settings.detector
        return MaskDetector(self.find, ensemble, self.masked, detector.sides, detector.longest)


def open_detector(settings: Asked, choices: Mapping[str, str]) -> OpenedDetector:
    """Open the detector and choose the ensemble that a command was asked for.

    Raises:
        InputError: an extra is missing, there is no such ensemble, or its classes do not say who wears a mask.
    """
    from facemask_ensemble.prediction.loading import choose_ensemble

    assert settings.detector.find is not None
    find = hydra.utils.instantiate(settings.detector.find.call)
    choice = choose_ensemble(settings, choices, settings.runtime.name)
    masked = masked_classes(choice.class_names, settings.detector.masked)
    return OpenedDetector(find, choice, masked)
