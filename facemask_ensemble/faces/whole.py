"""No detector: the whole image is taken for one face."""

import numpy as np
from numpy.typing import NDArray

from facemask_ensemble.faces.boxes import Box


class Whole:
    """Give one box around an image, uint8 (h, w, 3)."""

    def __call__(self, image: NDArray[np.uint8]) -> list[Box]:
        """Find what fills the image."""
        return [Box(0, 0, image.shape[1], image.shape[0])]
