"""Choose the ensemble that answers: members of the store with a fitted rule, or a shipped ensemble."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from facemask_ensemble.ensemble.rules import FittedRule
from facemask_ensemble.ensemble.sources import Source
from facemask_ensemble.models.initialization import summed_up
from facemask_ensemble.prediction.choice import Choice
from facemask_ensemble.settings.answering import EnsembleSettings, Ties, Voting
from facemask_ensemble.task import chosen_task

if TYPE_CHECKING:
    from facemask_ensemble.tracking import LoggedMember, Store


def choose_ensemble(settings: EnsembleSettings, choices: Mapping[str, str], runtime: str | None) -> Choice:
    """Choose the ensemble that a command asks for.

    Args:
        settings: what the command was asked for.
        choices: the names of the `voting` rule and of what breaks `ties`.
        runtime: the name of what carries the members out, by whose prices a majority asks; None needs none.

    Raises:
        InputError: there is no such ensemble, no member, or members of different classes.
    """
    if settings.ensemble is not None:
        from facemask_ensemble.prediction.shipped import shipped_choice

        return shipped_choice(settings.ensemble, settings.tracking.uri, settings.output_dir)
    from facemask_ensemble import tracking
    from facemask_ensemble.ensemble.members import latest_members, model_file, training_images, validation_answers
    from facemask_ensemble.ensemble.rule_settings import with_order

    output_dir = settings.output_dir
    cache = output_dir / "data" / "artifacts"
    store = tracking.open_store(settings.tracking.uri, output_dir)
    members = latest_members(store, settings.study, settings.members)
    task = members[0].task
    ties = with_order(settings.ties, chosen_task(settings.task, task))
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
        _fitted(settings.voting, ties, choices["voting"], store, members, cache),
        _price(members, models, output_dir / "data" / "costs", runtime),
        members[0].tags["dataset"],
        {
            "members": [member.run_id for member in members],
            "rule": {"name": choices["voting"], **settings.voting.call},
            "ties": ties.call,
        },
        _introduce(members),
        task,
    )


def _fitted(
    voting: Voting, ties: Ties, name: str, store: "Store", members: Sequence["LoggedMember"], cache: Path
) -> FittedRule:
    """Make the voting rule; what it learns, it learns from the members' validation images."""
    from facemask_ensemble.ensemble.members import shared_validation
    from facemask_ensemble.ensemble.rule_settings import chosen_rule, validation_accuracy

    learns = voting.learn is not None or ties.weights is not None
    probs, labels = shared_validation(store, members, cache) if learns else (np.empty((0, 0, 0)), np.empty(0, int))
    accuracy = validation_accuracy(probs, labels)
    rule = chosen_rule(name, voting, ties, members[0].class_names, accuracy)
    return rule.fit(probs, labels)


def _price(
    members: Sequence["LoggedMember"], models: Mapping[str, Path], costs: Path, runtime: str | None
) -> list[float]:
    """Tell what members cost: milliseconds where all were measured in Keras on this machine, else their parameters."""
    from facemask_ensemble.prediction.costs import measured_costs

    known = measured_costs(models, costs) if runtime == "keras" else None  # it reads all models and starts TensorFlow
    return [known[member.name]["milliseconds"] if known else int(member.tags["parameters"]) for member in members]


def _introduce(members: Sequence["LoggedMember"]) -> str:
    """Describe the members and their training."""
    first = members[0]
    starts = summed_up(member.tags["init"] for member in members)
    names = ", ".join(member.name for member in members)
    return f"{len(members)} members trained on {first.tags['dataset']} ({starts}): {names}"
