"""The engine of one machine: this process holds the members, and all cores run one network after another."""

from collections.abc import Iterator

from facemask_ensemble.data import chunks
from facemask_ensemble.data.chunks import Show
from facemask_ensemble.data.input_images import Item
from facemask_ensemble.prediction.choice import Choice
from facemask_ensemble.prediction.engines import Answer, Load


def answer(choice: Choice, load: Load, items: Iterator[Item], show: Show | None) -> Iterator[Answer]:
    """Answer images chunk by chunk, while the next is decoded."""
    ensemble = load(choice)
    for chunk in chunks.read_chunks(items, ensemble.sizes, show):
        yield Answer(chunk, ensemble.ask(chunk), ensemble.members)
