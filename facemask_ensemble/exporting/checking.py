"""Compare an export with Keras on real images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from facemask_ensemble.data.chunks import read_chunks
from facemask_ensemble.data.input_images import InputImages, Item
from facemask_ensemble.data.inputs import open_input
from facemask_ensemble.ensemble.sources import Source
from facemask_ensemble.errors import InputError
from facemask_ensemble.exporting import Inputs, Run

if TYPE_CHECKING:
    import keras

BATCH = 16
Pixels = dict[int, NDArray[np.uint8]]


@dataclass(frozen=True)
class Check:
    """How an export's answers to n images differ from those of Keras: in probability at most, and in decisions."""

    images: int
    largest_difference: float
    equal_decisions: float

    def __str__(self) -> str:
        """Tell it in a line."""
        return (
            f"{self.images} images, probabilities differ by {self.largest_difference:.1e} at most, "
            f"{100 * self.equal_decisions:.1f} % equal decisions"
        )


def compare(found: np.ndarray, expected: np.ndarray, decisions: tuple[np.ndarray, np.ndarray] | None = None) -> Check:
    """Compare probabilities of the same images, the last axis being classes.

    Args:
        found: what the export says, (…, n, classes).
        expected: what Keras says.
        decisions: of both, int (n,); None to take the most probable class.
    """
    mine, theirs = decisions or (found.argmax(axis=-1), expected.argmax(axis=-1))
    largest = float(np.abs(found.astype(np.float64) - expected).max())
    return Check(expected.shape[-2], largest, float((mine == theirs).mean()))


def ask_keras(model: "keras.Model", pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Answer with the network in Keras, float32 (n, classes)."""
    return np.asarray(model.predict(pixels, batch_size=BATCH, verbose=0), np.float32)


def ask_export(run: Run, inputs: Mapping[str, int], pixels: Pixels) -> dict[str, NDArray[Any]]:
    """Answer with the export, in batches; the last one is smaller."""
    given = {name: pixels[side] for name, side in inputs.items()}
    count = len(next(iter(given.values())))
    parts = [
        run({name: some[start : start + BATCH] for name, some in given.items()}) for start in range(0, count, BATCH)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def samples(inputs: Mapping[str, int], pixels: Pixels) -> list[Inputs]:
    """Split images for a calibration that takes one after another."""
    count = len(next(iter(pixels.values())))
    return [{name: pixels[side][place : place + 1] for name, side in inputs.items()} for place in range(count)]


def read_images(source: Source, given: str | None, sides: Sequence[int], count: int) -> Pixels:
    """Read images to ask about, up to `count`, evenly spread over what there is.

    Args:
        source: the member whose validation images are taken.
        given: a folder or anything else that predict takes, instead.
        sides: of the squares, in pixels.
        count: how many.

    Raises:
        InputError: the validation images are not available, or none of the images can be read.
    """
    chosen = _spread(_validation(source) if given is None else open_input(given), count)
    pixels: dict[int, list[np.ndarray]] = {side: [] for side in sides}
    for chunk in read_chunks(iter(chosen), list(sides)):
        for side in sides:
            pixels[side].append(chunk.pixels[side][chunk.readable])
    read = {side: np.concatenate(some) for side, some in pixels.items()}
    if not len(read[sides[0]]):
        raise InputError(
            f"images: none of {len(chosen)} can be read; give images=FOLDER to check the export with others"
        )
    return read


def _spread(images: InputImages, count: int) -> list[Item]:
    """Choose so many, evenly spread; the first ones if the total is unknown."""
    total = images.count()
    if total is None:
        return list(islice(images.items(), count))
    wanted = set(np.linspace(0, total - 1, min(count, total)).astype(int).tolist())
    return [item for place, item in enumerate(images.items()) if place in wanted]


def _validation(source: Source) -> InputImages:
    files = source.judged()[0] if source.judged else []
    here = [file for file in files if file.is_file()]
    if not here:
        why = f"not at {files[0].parent} any more" if files else "not known"
        raise InputError(
            f"images: the validation images of {source.name} are {why}; give images=FOLDER to check the export "
            "with others"
        )
    return InputImages(source.name, lambda: (Item(str(file), file.read_bytes) for file in here), lambda: len(here))
