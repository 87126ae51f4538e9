"""What was answered about the faces of an image."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from facemask_ensemble.faces.boxes import Box
from facemask_ensemble.faces.masks import scene


@dataclass(frozen=True)
class Face:
    """A face and the vote about it: `worn` tells whether it wears a mask; None, and no `confidence`, for no answer."""

    box: Box
    prediction: str
    worn: bool | None
    confidence: float | None
    votes: Mapping[str, str]

    def record(self) -> dict[str, Any]:
        """Lay it out as JSON can hold it."""
        return {
            "box": [self.box.left, self.box.top, self.box.width, self.box.height],
            "score": self.box.score,
            "prediction": self.prediction,
            "mask": self.worn,
            "confidence": self.confidence,
            "votes": dict(self.votes),
        }


def answer_of(faces: Sequence[Face]) -> list[Any]:
    """Give an image's prediction, the confidence in its least certain face, faces, masked ones, and all as JSON."""
    worn = [face.worn for face in faces]
    sure = [face.confidence for face in faces if face.confidence is not None]
    boxes = json.dumps([face.record() for face in faces], separators=(",", ":"))
    return [scene(worn), min(sure, default=None), len(faces), sum(one is True for one in worn), boxes]
