"""Images that others send: limits, formats, and an ensemble's answers."""

import io
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from facemask_ensemble.data.chunks import Chunk, chunk_of, read_chunks
from facemask_ensemble.data.decoding import DAMAGE, FORMATS, ImageError
from facemask_ensemble.data.input_images import Item

if TYPE_CHECKING:
    import pandas as pd

    from facemask_ensemble.prediction.ensemble import Ensemble

ACCEPTED = sorted({*FORMATS.values(), "DIB"})  # Pillow would start programs for others, such as EPS
LONGEST_NAME = 120  # characters
UNNAMED = "image"
one_at_a_time = threading.Lock()  # members share all cores, and a network of OpenVINO answers one caller at a time


@dataclass(frozen=True)
class Limits:
    """Limits on uploads: bytes per file, pixels per image, and files at once."""

    megabytes: float = 20
    megapixels: float = 40
    images: int = 64


def upload(name: str, data: bytes, limits: Limits) -> Item:
    """Make an item of what somebody sent.

    Args:
        name: as the sender gives it; only its last component is kept, in signs that can be shown.
        data: the file's content.
        limits: a file beyond them is not decoded: reading the item raises ImageError.
    """
    return Item(shown_name(name), partial(within, data, limits), len(data))


def ask(
    ensemble: "Ensemble", items: Sequence[Item], longest: int | None = None
) -> tuple[Chunk, np.ndarray, "pd.DataFrame"]:
    """Read images that were sent, and ask an ensemble about them; one caller at a time is answered.

    Args:
        ensemble: that is asked.
        items: held in memory all at once.
        longest: side in pixels of the images in `chunk.shown`; None for none of them.

    Returns:
        The images as a chunk, the members' probabilities as `Ensemble.ask` gives them, and the table of answers.
    """
    from facemask_ensemble.data.display_images import show

    chunk = chunk_of([], [], ensemble.sizes)
    if items:
        loose = (Item(item.name, item.read) for item in items)  # what they hold is held already
        [chunk] = read_chunks(loose, ensemble.sizes, partial(show, longest=longest) if longest else None, len(items))
    with one_at_a_time:
        probs = ensemble.ask(chunk)
    return chunk, probs, ensemble.answers(chunk, probs)


def shown_name(name: str) -> str:
    """Make a name safe to show: its last component, printable characters, limited length."""
    last = name.replace("\\", "/").rstrip("/").rpartition("/")[2]
    return printable(last) or UNNAMED


def printable(text: str) -> str:
    """Keep the end of a text, in signs that can be shown."""
    return "".join(sign if sign.isprintable() else "?" for sign in text).strip()[-LONGEST_NAME:]


def within(data: bytes, limits: Limits) -> bytes:
    """Give the content back if its size and its header are within the limits.

    Raises:
        ImageError: they are not, or it is no image.
    """
    if len(data) > limits.megabytes * 1e6:
        raise ImageError(f"larger than {limits.megabytes:g} MB")
    if not data:
        raise ImageError("empty file")
    try:
        with Image.open(io.BytesIO(data), formats=ACCEPTED) as image:
            pixels = float(image.width * image.height)
    except Image.DecompressionBombError:
        pixels = float("inf")
    except (Image.UnidentifiedImageError, *DAMAGE):
        raise ImageError("not an image") from None
    if pixels > limits.megapixels * 1e6:
        raise ImageError(f"more than {limits.megapixels:g} million pixels")
    return data
