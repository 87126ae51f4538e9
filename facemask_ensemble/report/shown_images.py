"""Which images of a dataset a report shows."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from facemask_ensemble.data.display_images import read_shown

if TYPE_CHECKING:
    from facemask_ensemble.data.manifest import Manifest  # pandas, which who only shows an image has no need of

SHOWN = 320  # longest side of an image in the report, pixels
THUMBNAIL = 96
LISTED = 60  # ties shown with their image
SAMPLES = 6  # training images of every class on the contact sheet


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
