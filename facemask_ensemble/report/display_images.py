"""Images as a person sees them: upright and in their own proportions."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from facemask_ensemble.data.decoding import decode

if TYPE_CHECKING:
    from facemask_ensemble.data.manifest import Manifest  # pandas, which who only shows an image has no need of

SHOWN = 320  # longest side of an image in the report, pixels
THUMBNAIL = 96
LISTED = 60  # ties shown with their image
SAMPLES = 6  # training images of every class on the contact sheet


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


def images_of(
    report: Mapping[str, Any], gallery: Sequence[Mapping[str, Any]], manifest: "Manifest"
) -> dict[str, np.ndarray]:
    """Read the gallery's images, and small those that are tied or may be mislabelled: uint8 (h, w, 3) by path."""
    small = [item["path"] for item in report["ensemble"][report["shipped"]]["tied"][:LISTED]]
    small += [item["path"] for found in report["suspects"].values() for item in found]
    images = {path: read_shown(manifest.root / path, THUMBNAIL) for path in small}
    return images | {item["path"]: read_shown(manifest.root / item["path"], SHOWN) for item in gallery}


def contact_sheet(manifest: "Manifest") -> list[tuple[np.ndarray, str]]:
    """Read the first training images of every class."""
    train = manifest.split("train")
    return [
        (read_shown(manifest.root / path, SHOWN // 2), name)
        for label, name in enumerate(manifest.class_names)
        for path in train.loc[train["label"] == label, "path"].head(SAMPLES)
    ]
