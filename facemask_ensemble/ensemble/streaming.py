"""Answers a chunk at a time, by members that all stay in memory."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import psutil

from facemask_ensemble.data.chunks import Chunk
from facemask_ensemble.ensemble.deciding import ask_until_decided
from facemask_ensemble.errors import InputError

if TYPE_CHECKING:
    import keras

ROOM = 3  # times a model's file: what a network takes in memory, with its batch


@dataclass(frozen=True)
class Member:
    """A member's network, called with batches of one size, so that it is compiled once.

    `size` is its side in pixels; `kept` is the network where it stays in memory.
    """

    name: str
    file: Path
    size: int
    batch_size: int
    kept: "keras.Model | None"

    def model(self) -> "keras.Model":
        """Give the network: the one that is kept in memory, or else loaded for this once."""
        from facemask_ensemble.models.classifier import load_classifier

        return load_classifier(self.file) if self.kept is None else self.kept

    def ask(self, chunk: Chunk, places: np.ndarray) -> np.ndarray:
        """Answer pictures of a chunk, float32 (m, classes).

        Raises:
            InputError: the network gives numbers that are not finite.
        """
        model, pixels = self.model(), chunk.pixels[self.size]
        batch = np.zeros((self.batch_size, *pixels.shape[1:]), np.uint8)
        answers = []
        for start in range(0, len(places), self.batch_size):
            own = places[start : start + self.batch_size]
            batch[: len(own)] = pixels[own]
            answers.append(np.asarray(model.predict_on_batch(batch), np.float32)[: len(own)])
        probs = np.concatenate(answers)
        if not np.isfinite(probs).all():
            raise InputError(f"members: {self.name} gives probabilities that are nan or infinite; train it again")
        return probs


def load_members(models: Mapping[str, Path], batch_size: int) -> list[Member]:
    """Load members by their `.keras` files; those that no longer fit into memory are loaded anew for every chunk."""
    from facemask_ensemble.models.quiet import start_tensorflow

    start_tensorflow()
    from facemask_ensemble.models.classifier import load_classifier

    members, room = [], psutil.virtual_memory().available
    for name, file in models.items():
        model = load_classifier(file)
        room -= ROOM * file.stat().st_size
        members.append(Member(name, file, int(model.input_shape[1]), batch_size, model if room > 0 else None))
    return members


def ask_members(chunk: Chunk, members: Sequence[Member], classes: int, order: Sequence[int] | None) -> np.ndarray:
    """Ask members about the pictures of a chunk that can be read.

    Args:
        chunk: of n pictures.
        members: all of them.
        classes: how many they know.
        order: places of the members, for a majority that is asked until it is decided; None to ask all.

    Returns:
        Probabilities, float32 (members, n, classes); nan where a member was not asked.
    """
    probs = np.full((len(members), len(chunk.names), classes), np.nan, np.float32)
    readable = chunk.readable
    if not len(readable):
        return probs
    ask = partial(_ask, chunk, members, readable)
    if order is not None:
        probs[:, readable] = ask_until_decided(ask, order, len(readable), classes)
    else:
        everyone = np.arange(len(readable))
        probs[:, readable] = np.stack([ask(place, everyone) for place in range(len(members))])
    return probs


def _ask(chunk: Chunk, members: Sequence[Member], readable: np.ndarray, member: int, places: np.ndarray) -> np.ndarray:
    return members[member].ask(chunk, readable[places])
