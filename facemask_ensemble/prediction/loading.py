"""Which ensemble answers: members of the store with a rule fitted for them, or one that was shipped."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hydra
import numpy as np

from facemask_ensemble.ensemble import voting
from facemask_ensemble.ensemble.rules import FittedRule
from facemask_ensemble.models.initialization import summed_up
from facemask_ensemble.prediction.ensemble import Ensemble, Member
from facemask_ensemble.prediction.runtimes import Source
from facemask_ensemble.task import GENERIC, chosen_task

if TYPE_CHECKING:
    from facemask_ensemble.tracking import LoggedMember, Store


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

    def load(self, runtime: Mapping[str, Any], batch_size: int, votes: str) -> Ensemble:
        """Bring it into memory.

        Args:
            runtime: the resolved `runtime` group.
            batch_size: images that a network answers at once.
            votes: `decided` lets a majority ask members until it is decided, `all` everyone.
        """
        networks = hydra.utils.instantiate(runtime["load"])(self.sources, batch_size)
        members = [Member(source.name, network) for source, network in zip(self.sources, networks, strict=True)]
        ensemble = Ensemble(self.class_names, members, self.vote)
        if votes == "all" or not _is_majority(self.vote):
            return ensemble
        measured = [network.milliseconds for network in networks]
        price = self.price if None in measured else measured
        return replace(ensemble, order=np.argsort(price, kind="stable").tolist())


def choose_ensemble(config: Mapping[str, Any], choices: Mapping[str, str]) -> Choice:
    """Choose what a command was asked for.

    Args:
        config: the resolved config, with `ensemble`, `study`, `members`, `voting`, `ties`, `tracking`, `output_dir`.
        choices: the names of the `voting` rule and of what breaks `ties`.

    Raises:
        InputError: there is no such ensemble, no member, or members of different classes.
    """
    if config["ensemble"] is not None:
        from facemask_ensemble.packaging.package import shipped_choice

        return shipped_choice(config)
    from facemask_ensemble import tracking
    from facemask_ensemble.ensemble.members import latest_members, model_file, training_images, validation_answers
    from facemask_ensemble.ensemble.rule_settings import with_order

    output_dir = Path(config["output_dir"])
    cache = output_dir / "data" / "artifacts"
    store = tracking.open_store(config["tracking"]["uri"], output_dir)
    members = latest_members(store, config["study"], config["members"])
    task = members[0].task
    ties = with_order(config["ties"], chosen_task(config.get("task"), task))
    models = {member.name: model_file(store, member, cache) for member in members}
    sources = [
        Source(
            member.name,
            models[member.name],
            validation_answers(store, member, cache),
            training_images(store, member, cache),
        )
        for member in members
    ]
    return Choice(
        members[0].class_names,
        sources,
        _fitted({**config, "ties": ties}, choices["voting"], store, members, cache),
        _price(members, models, output_dir / "data" / "costs", config["runtime"]["name"]),
        members[0].tags["dataset"],
        {
            "members": [member.run_id for member in members],
            "rule": {"name": choices["voting"], **config["voting"]},
            "ties": ties,
        },
        _introduce(members),
        task,
    )


def _fitted(
    config: Mapping[str, Any], name: str, store: "Store", members: Sequence["LoggedMember"], cache: Path
) -> FittedRule:
    """Make the voting rule; what it learns, it learns from the members' validation images."""
    from facemask_ensemble.ensemble.members import shared_validation
    from facemask_ensemble.ensemble.rule_settings import chosen_rule, validation_accuracy

    learns = "learn" in config["voting"] or "weights" in config["ties"]
    probs, labels = shared_validation(store, members, cache) if learns else (np.empty((0, 0, 0)), np.empty(0, int))
    accuracy = validation_accuracy(probs, labels)
    rule = chosen_rule(name, config["voting"], config["ties"], members[0].class_names, accuracy)
    return rule.fit(probs, labels)


def _price(members: Sequence["LoggedMember"], models: Mapping[str, Path], costs: Path, runtime: str) -> list[float]:
    """Tell what members cost: milliseconds where all were measured in Keras on this machine, else their parameters."""
    from facemask_ensemble.prediction.costs import measured_costs

    known = measured_costs(models, costs) if runtime == "keras" else None  # it reads all models and starts TensorFlow
    return [known[member.name]["milliseconds"] if known else int(member.tags["parameters"]) for member in members]


def _introduce(members: Sequence["LoggedMember"]) -> str:
    """Say who answers, and what their training was."""
    first = members[0]
    starts = summed_up(member.tags["init"] for member in members)
    names = ", ".join(member.name for member in members)
    return f"{len(members)} members trained on {first.tags['dataset']} ({starts}): {names}"


def _is_majority(vote: FittedRule) -> bool:
    call: Callable[..., Any] = vote.rule.vote
    return getattr(call, "func", call) is voting.majority  # Hydra gives a partial
