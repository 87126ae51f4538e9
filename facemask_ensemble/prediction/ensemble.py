"""An ensemble that answers: members in memory, and the rule by which they vote."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from facemask_ensemble.data.chunks import Chunk
from facemask_ensemble.ensemble.rules import FittedRule
from facemask_ensemble.errors import InputError
from facemask_ensemble.prediction.answers import answers
from facemask_ensemble.prediction.early_stopping_vote import ask_until_decided
from facemask_ensemble.prediction.runtimes import Network

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Member:
    """A member by its name, and its network."""

    name: str
    network: Network

    @property
    def size(self) -> int:
        """Give the side of its images in pixels."""
        return self.network.size

    def ask(self, pixels: np.ndarray) -> np.ndarray:
        """Answer images, uint8 (n, size, size, 3), with probabilities, float32 (n, classes).

        Raises:
            InputError: the network gives numbers that are not finite.
        """
        probs = self.network(pixels)
        if not np.isfinite(probs).all():
            raise InputError(f"members: {self.name} gives probabilities that are nan or infinite; train it again")
        return probs


@dataclass(frozen=True)
class Ensemble:
    """Members that stay in memory, and the rule by which they vote.

    `order` has the members' places in the order in which a majority asks them until it is decided, the cheapest first;
    None to ask all.
    """

    class_names: Sequence[str]
    members: Sequence[Member]
    vote: FittedRule
    order: Sequence[int] | None = None

    @property
    def names(self) -> list[str]:
        """Name the members."""
        return [member.name for member in self.members]

    @property
    def sizes(self) -> list[int]:
        """List the sides in pixels that the members take, each once."""
        return sorted({member.size for member in self.members})

    def ask(self, chunk: Chunk) -> np.ndarray:
        """Ask the members about the images of a chunk that can be read.

        Returns:
            Probabilities, float32 (members, n, classes); nan where a member was not asked.
        """
        classes, readable = len(self.class_names), chunk.readable
        probs = np.full((len(self.members), len(chunk.names), classes), np.nan, np.float32)
        if not len(readable):
            return probs
        ask = partial(self._ask, chunk, readable)
        if self.order is not None:
            probs[:, readable] = ask_until_decided(ask, self.order, len(readable), classes)
        else:
            everyone = np.arange(len(readable))
            probs[:, readable] = np.stack([ask(place, everyone) for place in range(len(self.members))])
        return probs

    def answers(self, chunk: Chunk, probs: np.ndarray) -> "pd.DataFrame":
        """Lay out the vote on what the members answered, a row an image, as `prediction.answers` does."""
        return answers(probs, self.names, chunk.names, self.class_names, self.vote, chunk.reasons)

    def _ask(self, chunk: Chunk, readable: np.ndarray, member: int, places: np.ndarray) -> np.ndarray:
        own = self.members[member]
        return own.ask(chunk.pixels[own.size][readable[places]])
