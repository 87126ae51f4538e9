"""MTCNN, three small networks of the PyPI package `mtcnn`: slower than a cascade, and finds masked and turned faces."""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facemask_ensemble.errors import InputError
from facemask_ensemble.faces.boxes import Box

LEAST_FACE = 12  # pixels of the window that its first network looks through


class Mtcnn:
    """A detector by MTCNN; its score is the last network's probability of a face."""

    def __init__(self, scale_factor: float, threshold: float, smallest_face: int, device: str) -> None:
        _refuse_wrong(scale_factor, threshold, smallest_face)
        if find_spec("mtcnn") is None:
            raise InputError('detector=mtcnn needs the extra: pip install "facemask-ensemble[webcam]"')
        from facemask_ensemble.tensorflow_import import start_tensorflow

        start_tensorflow()
        import mtcnn
        from mtcnn.stages import StageONet, StagePNet, StageRNet

        # By their full paths: else a file of that name in the working folder would be unpickled in their place.
        weights = Path(mtcnn.__file__).parent / "assets" / "weights"
        stages = [
            stage(weights=str(weights / name))
            for stage, name in ((StagePNet, "pnet.lz4"), (StageRNet, "rnet.lz4"), (StageONet, "onet.lz4"))
        ]
        self._networks = mtcnn.MTCNN(stages, device)
        self._settings = {
            "min_face_size": smallest_face,
            "scale_factor": scale_factor,
            "threshold_onet": threshold,
        }

    def __call__(self, image: NDArray[np.uint8]) -> list[Box]:
        """Find faces in an image, uint8 (h, w, 3), RGB."""
        if min(image.shape[:2]) < LEAST_FACE:
            return []
        found = self._networks.detect_faces(image, **self._settings)
        return [_box(face) for face in found]


def _box(face: Mapping[str, Any]) -> Box:
    left, top, width, height = map(int, face["box"])
    return Box(left, top, width, height, round(float(face["confidence"]), 4))


def _refuse_wrong(scale_factor: float, threshold: float, smallest_face: int) -> None:
    for key, value in (("scale_factor", scale_factor), ("threshold", threshold)):
        if not isinstance(value, int | float) or not 0 < value < 1:
            raise InputError(f"detector.find.{key}={value}: must be a share between 0 and 1, such as 0.7")
    if not isinstance(smallest_face, int) or isinstance(smallest_face, bool) or smallest_face < LEAST_FACE:
        raise InputError(
            f"detector.find.smallest_face={smallest_face}: must be a whole number of at least {LEAST_FACE}"
        )
