"""An image of an input that is not opened yet, and the input itself."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO

from facemask_ensemble.data.decoding import ImageError
from facemask_ensemble.data.listing import no_text

MOST_BYTES = 200_000_000  # of one file: what is larger is no photograph, or unfolds without end


@dataclass(frozen=True)
class Item:
    """An image that may be one: its name, as tables give it, and the way to its bytes, which may raise ImageError.

    `held` is how many bytes it holds in memory until it is let go.
    """

    name: str
    read: Callable[[], bytes]
    held: int = 0


@dataclass(frozen=True)
class InputImages:
    """What an input names: `key` tells it from others, `count` says how many there are, None if only the end shows it.

    `items` goes through it from the beginning, in an order that is the same every time.
    """

    key: str
    items: Callable[[], Iterator[Item]]
    count: Callable[[], int | None]


def written(name: str) -> str:
    """Write a name so that a line of a table can hold it."""
    return ascii(name)[1:-1] if no_text(name) else name


def limited(file: IO[bytes]) -> bytes:
    """Read a file to its end, within a size limit."""
    data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise ImageError(f"larger than {MOST_BYTES / 1e6:.0f} MB")
    return data
