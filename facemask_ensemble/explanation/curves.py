"""Deletion and insertion: the answer while the places of a map are blurred or restored.

Source: V. Petsiuk, A. Das, K. Saenko, "RISE: Randomized input sampling for explanation of black-box models", BMVC
(2018). The pixels of an image are replaced in the order of the map, and the probability of the explained class is
followed. A small area under the deletion curve is good, and a large one under the insertion curve.

Here both curves lead from the image to a strongly blurred copy of it or back, so that all maps share their two ends.
What is taken away is blurred and not blackened: a black hole has sharp edges of its own and looks like nothing in the
training set, so that the answer would fall for the hole and not for what is missing. (RISE deletes to grey.)
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from facemask_ensemble.errors import InputError
from facemask_ensemble.explanation.control_maps import random_maps

if TYPE_CHECKING:
    from facemask_ensemble.explanation.heatmaps import Heatmaps

Predict = Callable[[NDArray[np.uint8]], NDArray[np.floating]]
BLUR = 1 / 8  # standard deviation, as a share of the longer side
TIED = 1e-6  # below this a difference within a map is rounding
TIES = 1  # part of the seed, so that ties are not broken by the random control itself
WHOLE, BLURRED, FIRST = 0, 1, 2  # columns of the answers: the two ends, then what lies between


class Curves(NamedTuple):
    """Probabilities of the explained class, float (n, steps + 1); the row of an image without a map is nan."""

    deletion: NDArray[np.float64]
    insertion: NDArray[np.float64]


def curves(
    predict: Predict,
    pixels: NDArray[np.uint8],
    classes: NDArray[np.integer],
    maps: Mapping[str, "Heatmaps"],
    *,
    steps: int = 8,
    batch_size: int = 32,
    seed: int = 0,
) -> dict[str, Curves]:
    """Measure the probability of each image's class while pixels are blurred or restored in the order of its map.

    Args:
        predict: from uint8 (k, h, w, 3) to probabilities (k, classes); called for at most `batch_size` images.
        pixels: uint8 (n, h, w, 3).
        classes: the explained ones, int (n,).
        maps: by method or control, maps (n, h, w) and reasons; the ends, common to all, are asked once.
        steps: equal shares of the pixels; the curve of a map takes 2 (steps - 1) answers besides the two ends.
        batch_size: altered images in memory at once.
        seed: fixes the order of pixels of one value: smooth noise, so that a flat map is as good as a random one.

    Returns:
        By name, the curves: deletion from the image to its blurred copy, insertion the other way.
    """
    _refuse_wrong(pixels, classes, maps, steps, batch_size)
    answers = np.full((len(pixels), FIRST + 2 * (steps - 1) * len(maps)), np.nan)
    altered = _altered(pixels, list(maps.values()), steps, seed)
    while batch := list(islice(altered, batch_size)):
        rows, columns = (np.array([one[place] for one in batch]) for place in (0, 1))
        probs = _asked(predict, np.stack([image for _, _, image in batch]))
        answers[rows, columns] = probs[np.arange(len(rows)), classes[rows]]
    ends, between = answers[:, :FIRST], answers[:, FIRST:].reshape(len(pixels), len(maps), 2, steps - 1)
    return {
        name: _curves(ends, between[:, number], reasons) for number, (name, (_, reasons)) in enumerate(maps.items())
    }


def areas(curve: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the area under each curve (n, steps + 1) by the trapezoidal rule, 0..1, float (n,)."""
    return np.trapezoid(curve, dx=1 / (curve.shape[1] - 1), axis=1)


def blur(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Blur an image, uint8 (h, w, 3), until little more than its colours and its light is left."""
    return np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(BLUR * max(image.shape[:2]))))


def _altered(
    pixels: NDArray[np.uint8], maps: "list[Heatmaps]", steps: int, seed: int
) -> Iterator[tuple[int, int, NDArray[np.uint8]]]:
    """Give one by one the images to ask about, with row and column of the answer."""
    height, width = pixels.shape[1:3]
    for row, image in enumerate(pixels):
        blurred = blur(image)
        yield row, WHOLE, image
        yield row, BLURRED, blurred
        noise = random_maps(1, height, width, [seed, TIES, row])[0]
        for number, (heat, reasons) in enumerate(maps):
            if reasons[row] is None:
                column = FIRST + 2 * (steps - 1) * number
                for mixture in _mixtures(image, blurred, _ranks(heat[row], noise), steps):
                    yield row, column, mixture
                    column += 1


def _mixtures(
    image: NDArray[np.uint8], blurred: NDArray[np.uint8], ranks: NDArray[np.intp], steps: int
) -> Iterator[NDArray[np.uint8]]:
    for start, end in ((image, blurred), (blurred, image)):
        for step in range(1, steps):
            yield np.where((ranks * steps < step * ranks.size)[..., None], end, start)


def _ranks(heat: NDArray[np.float32], noise: NDArray[np.float32]) -> NDArray[np.intp]:
    """Number the pixels from the hottest, 0, on; those of one value in the order of the noise."""
    order = np.argsort(-(heat.astype(np.float64) + TIED * noise), axis=None)
    ranks = np.empty(heat.size, np.intp)
    ranks[order] = np.arange(heat.size)
    return ranks.reshape(heat.shape)


def _curves(ends: NDArray[np.float64], between: NDArray[np.float64], reasons: list[str | None]) -> Curves:
    """Put the ends, (n, 2), to what lies between for one map, (n, 2, steps - 1)."""
    whole, blurred = ends[:, :1], ends[:, 1:]
    found = Curves(np.hstack([whole, between[:, 0], blurred]), np.hstack([blurred, between[:, 1], whole]))
    for curve in found:
        curve[[reason is not None for reason in reasons]] = np.nan
    return found


def _asked(predict: Predict, images: NDArray[np.uint8]) -> NDArray[np.floating]:
    probs = np.asarray(predict(images))
    if probs.ndim != 2 or len(probs) != len(images) or not np.isfinite(probs).all():
        raise InputError(
            f"predict gives finite probabilities (k, classes), received {probs.shape} for {len(images)} images, "
            f"{(~np.isfinite(probs)).sum()} not finite: pass the member's own function"
        )
    return probs


def _refuse_wrong(
    pixels: NDArray[np.uint8],
    classes: NDArray[np.integer],
    maps: Mapping[str, "Heatmaps"],
    steps: int,
    batch_size: int,
) -> None:
    if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[-1] != 3:
        raise InputError(f"pixels are uint8 (n, h, w, 3), received {pixels.dtype} {pixels.shape}: pass RGB images")
    if classes.shape != pixels.shape[:1] or not np.issubdtype(classes.dtype, np.integer):
        raise InputError(
            f"classes are one integer for each of {len(pixels)} images, received {classes.dtype} {classes.shape}: "
            "pass the explained label of each"
        )
    for name, (heat, reasons) in maps.items():
        if heat.shape != pixels.shape[:3] or len(reasons) != len(pixels) or not np.isfinite(heat).all():
            raise InputError(
                f"maps of {name!r} are finite and of the shape {pixels.shape[:3]} of the images, with a reason for "
                f"each, received {heat.shape} and {len(reasons)} reasons: take them from the same images"
            )
    if steps < 2 or batch_size < 1:
        raise InputError(f"curves need 2 steps and batches of 1, received {steps} and {batch_size}: 8 and 32 are usual")
