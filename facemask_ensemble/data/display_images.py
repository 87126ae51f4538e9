"""Images as a person sees them: upright and in their own proportions."""

from pathlib import Path

import numpy as np
from PIL import Image

from facemask_ensemble.data.decoding import decode


def read_shown(path: Path, longest: int) -> np.ndarray:
    """Read an image as uint8 (h, w, 3) whose longer side is `longest` pixels; a smaller one is enlarged."""
    return show(path.read_bytes(), longest)


def show(data: bytes, longest: int) -> np.ndarray:
    """Read a file's content as `read_shown` reads the file."""
    image = decode(data, at_least=longest)
    scale = longest / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return np.asarray(image.resize(size, Image.Resampling.BICUBIC))


def show_own(data: bytes, most: int) -> np.ndarray:
    """Read a file's content at the image's own size, or where that is larger with a longer side of `most` pixels."""
    image = decode(data, at_least=most)
    scale = min(1.0, most / max(image.size))
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return np.asarray(image.resize(size, Image.Resampling.BICUBIC) if scale < 1 else image)
