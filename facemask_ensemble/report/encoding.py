"""Images inside a page: pixels as an address that holds them."""

import base64
import io
from typing import Any

import numpy as np
from PIL import Image

from facemask_ensemble.errors import InputError

QUALITY = 85


def encode(pixels: np.ndarray) -> dict[str, Any]:
    """Turn pixels, uint8 (h, w, 3), into a data address with its size."""
    pixels = np.asarray(pixels)
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise InputError(
            f"The report draws uint8 pixels of shape (height, width, 3), received {pixels.dtype} {pixels.shape}: "
            "convert the image first."
        )
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "WEBP", quality=QUALITY)
    address = f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode()}"
    return {"src": address, "width": pixels.shape[1], "height": pixels.shape[0]}
