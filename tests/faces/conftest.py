import numpy as np
import pytest

from facemask_ensemble.data.decoding import decode
from facemask_ensemble.data.voc import street_mask_boxes
from facemask_ensemble.ensemble import voting
from facemask_ensemble.ensemble.rules import make_rule
from facemask_ensemble.faces.boxes import Box, find_boxes
from facemask_ensemble.prediction.ensemble import Ensemble, Member
from facemask_ensemble.prediction.mask_detector import MaskDetector

RED, BLUE = (210, 20, 30), (20, 40, 220)


class Channel:
    """A network that answers with the share of a colour: class 0 the more of it there is."""

    milliseconds = None

    def __init__(self, size, channel):
        self.size, self._channel = size, channel

    def __call__(self, pixels):
        mean = pixels.reshape(len(pixels), -1, 3).mean(axis=1)
        share = mean[:, self._channel] / np.maximum(mean.sum(axis=1), 1)
        return np.stack([share, 1 - share], axis=1).astype(np.float32)


def find_patches(image):
    """Box every red and every blue patch, by columns of such a colour."""
    boxes = []
    for channel, other in ((0, 2), (2, 0)):
        patch = (image[..., channel] > 150) & (image[..., other] < 110)
        columns = np.flatnonzero(patch.any(axis=0))
        for run in np.split(columns, np.flatnonzero(np.diff(columns) > 1) + 1):
            rows = np.flatnonzero(patch[:, run].any(axis=1)) if len(run) else []
            if len(rows) > 4:
                boxes.append(Box(int(run[0]), int(rows[0]), len(run), int(rows[-1] - rows[0] + 1)))
    return boxes


@pytest.fixture
def red_means_a_mask():
    """A detector of red and blue patches: red ones wear a mask, say both of its members."""
    members = [Member("small", Channel(8, 0)), Member("large", Channel(12, 0))]
    vote = make_rule("majority", voting.majority).fit(np.empty(0), np.empty(0))
    return MaskDetector(find_patches, Ensemble(["mask", "no_mask"], members, vote), {"mask"}, (0, 0, 0, 0), None)


@pytest.fixture
def patches():
    """Make a grey image with patches: left, top, width, height and colour of each."""

    def make(width, height, *given):
        image = np.full((height, width, 3), 128, np.uint8)
        for left, top, across, down, colour in given:
            image[top : top + down, left : left + across] = colour
        return image

    return make


@pytest.fixture
def share_found():
    """Give the share of faces in a state, in the first real photographs with large ones, that a detector finds."""

    def share(find, real_data, state, photographs):
        place, found = real_data / "street_masks", []
        for annotation in sorted((place / "annotations").glob("*.xml")):
            large = [box for box, own in street_mask_boxes(annotation) if own == state and box[2] - box[0] >= 50]
            if not large:
                continue
            image = np.asarray(decode((place / "images" / f"{annotation.stem}.jpg").read_bytes()))
            boxes = [box.corners for box in find_boxes(find, image, 480)]
            found += [any(overlap(face, box) >= 0.4 for box in boxes) for face in large]
            photographs -= 1
            if not photographs:
                return np.mean(found)

    return share


def overlap(one, other):
    """Give the intersection over the union of two boxes by their corners."""
    width, height = (min(one[2 + axis], other[2 + axis]) - max(one[axis], other[axis]) for axis in (0, 1))
    shared = max(width, 0) * max(height, 0)
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return shared / (areas - shared)
