"""The rules of the groups `voting` and `ties`, ready to be fitted, and an ensemble's description for JSON."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import hydra
import numpy as np

from facemask_ensemble.config import options, read_choice
from facemask_ensemble.ensemble import voting
from facemask_ensemble.ensemble.rules import FittedRule, Rule, make_rule, make_tie
from facemask_ensemble.errors import InputError
from facemask_ensemble.settings.answering import Ties, Voting
from facemask_ensemble.settings.task import Task


def chosen_rule(
    name: str,
    chosen: Voting,
    ties: Ties,
    class_names: Sequence[str],
    accuracy: np.ndarray | None,
) -> Rule:
    """Make the chosen rule with its tie breaker.

    Args:
        name: of the rule.
        chosen: the rule.
        ties: what breaks its ties.
        class_names: in label order.
        accuracy: of every member on validation, (members,); None where there is none.
    """
    break_tie = make_tie(hydra.utils.instantiate(ties.call), class_names, accuracy)
    rule = make_rule(name, hydra.utils.instantiate(chosen.call), break_tie)
    return replace(rule, settings=settings_of(chosen))


def settings_of(chosen: Voting) -> dict[str, Any]:
    """Give what a `voting` group passes on to the rule's function."""
    return {key: value for key, value in chosen.rule.call.items() if not key.startswith("_")}


def with_order(ties: Ties, task: Task) -> Ties:
    """Fill in the order of classes that `ties` leaves to the task.

    Raises:
        InputError: the task has none.
    """
    if ties.order != "task":
        return ties
    if task.safest is None:
        raise InputError(
            f"ties.order: task {task.name} does not say which class is the safest; give ties.order=[CLASS,…], the "
            "safest first"
        )
    return replace(ties, order=task.safest)


def every_rule(chosen: Rule) -> list[Rule]:
    """Make every rule that can be chosen, the chosen one as it was chosen, all with its tie's breaker."""
    return [
        chosen if name == chosen.name else make_rule(name, _built(name), chosen.break_tie)
        for name in sorted({*options("voting"), chosen.name})
    ]


def _built(name: str) -> Any:
    return hydra.utils.instantiate(read_choice(Voting, "voting", name).call)


def validation_accuracy(probs: np.ndarray, labels: np.ndarray) -> np.ndarray | None:
    """Give every member's share of right answers, (members,); None without an image."""
    return (voting.votes(probs) == labels).mean(axis=1) if len(labels) else None


def described(
    fitted: FittedRule, ties: str, members: Sequence[tuple[str, str]], class_names: Sequence[str]
) -> dict[str, Any]:
    """Describe an ensemble so that it can be kept and asked again, as `restored` does: rule, what it learned, members.

    Args:
        fitted: the rule.
        ties: the name of its tie's breaker, whose arguments come from the rule.
        members: name and run id of each.
        class_names: in label order.
    """
    learned, break_tie = fitted.learned, fitted.rule.break_tie
    known = break_tie.keywords if isinstance(break_tie, partial) else {}
    weights = [None] * len(members) if learned is None else learned.weights.tolist()
    return {
        "rule": fitted.name,
        "rule_settings": dict(fitted.rule.settings),
        "ties": ties,
        "tie_arguments": {key: np.asarray(value).tolist() for key, value in known.items()},
        "learned": {key: np.asarray(value).tolist() for key, value in learned.arguments.items()} if learned else {},
        "class_names": list(class_names),
        "members": [
            {"name": name, "run_id": run_id, "weight": weight}
            for (name, run_id), weight in zip(members, weights, strict=True)
        ],
    }
