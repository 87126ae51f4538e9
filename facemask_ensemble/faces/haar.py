"""OpenCV's Haar cascades: quick on any processor, and trained on bare faces seen from the front."""

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facemask_ensemble.errors import InputError
from facemask_ensemble.faces.boxes import Box
from facemask_ensemble.faces.opencv import import_opencv


class Haar:
    """A detector by one of OpenCV's cascades; it gives no score."""

    def __init__(self, cascade: str, scale_factor: float, min_neighbors: int, smallest_face: int) -> None:
        _refuse_wrong(scale_factor, min_neighbors, smallest_face)
        cv2 = import_opencv("detector=haar")
        if not hasattr(cv2, "CascadeClassifier"):
            raise InputError(
                f"detector=haar: OpenCV {cv2.__version__} no longer has cascades; "
                'pip install "opencv-python-headless<5", or give detector=mtcnn'
            )
        self._cv2, self._classifier = cv2, _load(cv2, cascade)
        self._settings = {
            "scaleFactor": scale_factor,
            "minNeighbors": min_neighbors,
            "minSize": (smallest_face, smallest_face),
        }

    def __call__(self, image: NDArray[np.uint8]) -> list[Box]:
        """Find faces in an image, uint8 (h, w, 3), RGB."""
        grey = self._cv2.cvtColor(image, self._cv2.COLOR_RGB2GRAY)
        found = self._classifier.detectMultiScale(grey, **self._settings)
        return [Box(*map(int, box)) for box in found]


def _load(cv2: ModuleType, cascade: str) -> Any:
    """Load a cascade of OpenCV's own, or a file; OpenCV itself may take a wrong one without a word."""
    own = Path(cv2.data.haarcascades) / cascade
    file = own if own.is_file() else Path(cascade).expanduser()
    try:
        classifier = cv2.CascadeClassifier(str(file)) if file.is_file() else None
    except (SystemError, cv2.error):
        classifier = None
    if classifier is None or classifier.empty():
        raise InputError(
            f"detector.find.cascade={cascade}: there is no such cascade; give a file, or one of OpenCV's, "
            "such as haarcascade_frontalface_default.xml"
        )
    return classifier


def _refuse_wrong(scale_factor: float, min_neighbors: int, smallest_face: int) -> None:
    if not isinstance(scale_factor, int | float) or not 1.01 <= scale_factor <= 2:
        raise InputError(f"detector.find.scale_factor={scale_factor}: must be between 1.01 and 2, such as 1.1")
    for key, value, least in (("min_neighbors", min_neighbors, 0), ("smallest_face", smallest_face, 1)):
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise InputError(f"detector.find.{key}={value}: must be a whole number of at least {least}")
