"""Inspecting one file; apart from `ingest`, so that the processes that do it import little."""

import hashlib
from pathlib import Path

import numpy as np
from PIL import Image

from facemask_ensemble.data.decoding import ImageError, examine
from facemask_ensemble.data.perceptual_hash import SIDE

Finding = tuple[str, int, int, str, str, str]
FINDINGS = ["sha256", "width", "height", "format", "odd", "reason"]
NOTHING = np.zeros((SIDE, SIDE, 3), np.uint8)


def inspect_file(file: Path) -> tuple[Finding, np.ndarray]:
    """Read a file and give its `FINDINGS` and a thumbnail, uint8 (32, 32, 3); black where it cannot be read."""
    try:
        data = file.read_bytes()
        # A JPEG at an eighth of its size is read through to its end all the same: a cut one does not pass.
        image = examine(data, at_least=SIDE, suffix=file.suffix)
    except ImageError as error:
        return _unreadable(str(error))
    except OSError as error:
        return _unreadable(f"cannot be opened: {error.strerror}")
    small = np.asarray(image.image.resize((SIDE, SIDE), Image.Resampling.LANCZOS))
    sha256 = hashlib.sha256(data).hexdigest()
    return (sha256, image.width, image.height, image.format, image.odd, ""), small


def _unreadable(reason: str) -> tuple[Finding, np.ndarray]:
    return ("", 0, 0, "", "", reason), NOTHING
