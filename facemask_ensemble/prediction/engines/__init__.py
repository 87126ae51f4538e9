"""Engines: where the members of a prediction work. `conf/engine` names them, a function each.

Called as `answer(choice, load, items, show)`, it yields an `Answer` for each chunk of images, in their order.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from facemask_ensemble.data.chunks import Chunk, Show
from facemask_ensemble.data.input_images import Item
from facemask_ensemble.prediction.choice import Choice
from facemask_ensemble.prediction.ensemble import Ensemble, Member
from facemask_ensemble.settings.answering import Runtime


@dataclass(frozen=True)
class Load:
    """How a chosen ensemble is brought into memory: the arguments of `Choice.load`."""

    runtime: Runtime
    batch_size: int
    votes: str

    def __call__(self, choice: Choice) -> Ensemble:
        """Bring it into memory here."""
        return choice.load(self.runtime, self.batch_size, self.votes)


class Answer(NamedTuple):
    """A chunk, the members' probabilities, float32 (members, n, classes), and the members where they are available.

    The chunk of images that were answered elsewhere has names and reasons alone.
    """

    chunk: Chunk
    probs: np.ndarray
    members: Sequence[Member]


Engine = Callable[[Choice, Load, Iterator[Item], Show | None], Iterator[Answer]]
