"""An ensemble that was chosen and is not in memory yet."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import hydra
import numpy as np

from facemask_ensemble.ensemble import voting
from facemask_ensemble.ensemble.rules import FittedRule
from facemask_ensemble.ensemble.sources import Source
from facemask_ensemble.prediction.ensemble import Ensemble, Member
from facemask_ensemble.settings.answering import Runtime
from facemask_ensemble.settings.task import GENERIC


@dataclass(frozen=True)
class Choice:
    """An ensemble that is not in memory yet.

    `about` tells one from another, as JSON can hold it; `introduction` says who answers, in a line; `price` is what
    each member costs, in any unit; `dataset` is what the members were trained on, and `task` the name of their task.
    """

    class_names: Sequence[str]
    sources: Sequence[Source]
    vote: FittedRule
    price: Sequence[float]
    dataset: str
    about: Mapping[str, Any]
    introduction: str
    task: str = GENERIC

    def load(self, runtime: Runtime, batch_size: int, votes: str) -> Ensemble:
        """Bring it into memory.

        Args:
            runtime: what carries the networks out.
            batch_size: images that a network answers at once.
            votes: `decided` lets a majority ask members until it is decided, `all` everyone.
        """
        networks = hydra.utils.instantiate(runtime.load.call)(self.sources, batch_size)
        members = [Member(source.name, network) for source, network in zip(self.sources, networks, strict=True)]
        ensemble = Ensemble(self.class_names, members, self.vote)
        if votes == "all" or not _is_majority(self.vote):
            return ensemble
        measured = [network.milliseconds for network in networks]
        price = self.price if None in measured else measured
        return replace(ensemble, order=np.argsort(price, kind="stable").tolist())


def _is_majority(vote: FittedRule) -> bool:
    call: Callable[..., Any] = vote.rule.vote
    return getattr(call, "func", call) is voting.majority  # Hydra gives a partial
