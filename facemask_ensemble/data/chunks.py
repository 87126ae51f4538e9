"""Read images in chunks: each image is decoded once for all sizes, and at most two chunks are in memory."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from facemask_ensemble.data.decoding import ImageError
from facemask_ensemble.data.input_images import Item
from facemask_ensemble.data.resizing import read_content, squeeze
from facemask_ensemble.errors import InputError
from facemask_ensemble.resources import usable_cores

Show = Callable[[bytes], np.ndarray]
CHUNK = 256  # images that are decoded before they are answered
MOST_HELD = 256_000_000  # bytes of files that a chunk holds in memory, those of a tar
UNSEEN = np.zeros((0, 0, 3), np.uint8)  # an image that is not shown


@dataclass(frozen=True)
class Chunk:
    """Images that are answered together.

    `names` and `reasons` have one entry an image, a reason being "" where it could be read; `pixels` has uint8
    (n, size, size, 3) by size; `shown` has the images as a person sees them, where that was asked for.
    """

    names: list[str]
    reasons: list[str]
    pixels: dict[int, np.ndarray]
    shown: list[np.ndarray]

    @property
    def readable(self) -> np.ndarray:
        """Give the places of the images that could be read, int (m,)."""
        return np.flatnonzero([not reason for reason in self.reasons])


def chunk_of(images: Sequence[np.ndarray], names: Sequence[str], sizes: Sequence[int]) -> Chunk:
    """Make a chunk of images that are decoded already, uint8 (h, w, 3), RGB."""
    pixels = {size: np.zeros((len(images), size, size, 3), np.uint8) for size in sizes}
    for size, squares in pixels.items():
        for place, image in enumerate(images):
            squares[place] = squeeze(image, size)
    return Chunk(list(names), [""] * len(images), pixels, list(images))


def read_chunks(
    items: Iterator[Item], sizes: Sequence[int], show: Show | None = None, most: int = CHUNK
) -> Iterator[Chunk]:
    """Read images in chunks; while one is answered, all cores decode the next.

    Args:
        items: the images.
        sizes: sides of the squares, in pixels.
        show: makes of a file's content the image as a person sees it; None if images are not shown.
        most: images a chunk.

    Raises:
        InputError: the input is damaged; the images before the damage are yielded first.
    """
    pool = ThreadPoolExecutor(usable_cores())
    try:
        ahead: tuple[Chunk, list[Future]] | None = None
        while True:
            gathered, damage = _gather(items, most)
            following = _begin(pool, gathered, sizes, show)
            if ahead:
                yield _ready(*ahead)
            ahead = following
            if damage or not gathered:
                break
        if gathered:
            yield _ready(*ahead)
        if damage:
            raise damage
    finally:
        pool.shutdown(cancel_futures=True)


def _gather(items: Iterator[Item], most: int) -> tuple[list[Item], InputError | None]:
    gathered: list[Item] = []
    held = 0
    try:
        while len(gathered) < most and held < MOST_HELD and (item := next(items, None)):
            gathered.append(item)
            held += item.held
    except InputError as damage:
        return gathered, damage
    return gathered, None


def _begin(
    pool: ThreadPoolExecutor, items: list[Item], sizes: Sequence[int], show: Show | None
) -> tuple[Chunk, list[Future]]:
    """Let the pool fill a chunk."""
    pixels = {size: np.zeros((len(items), size, size, 3), np.uint8) for size in sizes}
    chunk = Chunk([item.name for item in items], [""] * len(items), pixels, [UNSEEN] * len(items))
    return chunk, [pool.submit(_read, chunk, place, item, show) for place, item in enumerate(items)]


def _ready(chunk: Chunk, reading: list[Future]) -> Chunk:
    for one in reading:
        one.result()
    return chunk


def _read(chunk: Chunk, place: int, item: Item, show: Show | None) -> None:
    """Fill one image's place in a chunk, or note why it cannot be read."""
    try:
        data = item.read()
        for size, square in zip(chunk.pixels, read_content(data, list(chunk.pixels)), strict=True):
            chunk.pixels[size][place] = square
        if show:
            chunk.shown[place] = show(data)
    except ImageError as error:
        chunk.reasons[place] = " ".join(str(error).split())
