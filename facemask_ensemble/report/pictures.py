"""Pictures as a person sees them: upright and in their own proportions."""

from pathlib import Path

import numpy as np
from PIL import Image

from facemask_ensemble.data.decoding import decode


def read_shown(path: Path, longest: int) -> np.ndarray:
    """Read a picture as uint8 (h, w, 3) whose longer side is `longest` pixels; a smaller one is enlarged."""
    return show(path.read_bytes(), longest)


def show(data: bytes, longest: int) -> np.ndarray:
    """Read a file's content as `read_shown` reads the file."""
    image = decode(data, at_least=longest)
    scale = longest / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return np.asarray(image.resize(size, Image.Resampling.BICUBIC))
