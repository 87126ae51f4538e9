"""The rules of `conf/voting` and `conf/ties`, ready to be fitted, and an ensemble's description that can be kept."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import hydra
import numpy as np
from omegaconf import OmegaConf

from facemask_ensemble.config import CONF_DIR, options
from facemask_ensemble.ensemble import voting
from facemask_ensemble.ensemble.rules import FittedRule, Rule, make_rule, make_tie
from facemask_ensemble.errors import InputError
from facemask_ensemble.task import Task


def chosen_rule(
    name: str,
    config: Mapping[str, Any],
    ties: Mapping[str, Any],
    class_names: Sequence[str],
    accuracy: np.ndarray | None,
) -> Rule:
    """Make the rule of a resolved `voting` group with the tie's breaker of a resolved `ties` group.

    Args:
        name: of the rule.
        config: the `voting` group.
        ties: the `ties` group.
        class_names: in label order.
        accuracy: of every member on validation, (members,); None where there is none.
    """
    break_tie = make_tie(hydra.utils.instantiate(ties), class_names, accuracy)
    return make_rule(name, hydra.utils.instantiate(config), break_tie)


def with_order(ties: Mapping[str, Any], task: Task) -> Mapping[str, Any]:
    """Fill in the order of a resolved `ties` group that leaves it to the task.

    Raises:
        InputError: the task has none.
    """
    if ties.get("order", ()) is not None:
        return ties
    if task.safest is None:
        raise InputError(
            f"ties.order: task {task.name} does not say which class is the safest; give ties.order=[CLASS,…], the "
            "safest first"
        )
    return {**ties, "order": list(task.safest)}


def every_rule(chosen: Rule) -> list[Rule]:
    """Make every rule of `conf/voting`, the chosen one as it was chosen, all with its tie's breaker."""
    return [
        chosen if name == chosen.name else make_rule(name, _built(name), chosen.break_tie)
        for name in sorted({*options("voting"), chosen.name})
    ]


def _built(name: str) -> Any:
    config = OmegaConf.load(CONF_DIR / "voting" / f"{name}.yaml")
    return hydra.utils.instantiate(OmegaConf.to_container(config, resolve=True))


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
        "ties": ties,
        "tie_arguments": {key: np.asarray(value).tolist() for key, value in known.items()},
        "learned": {key: np.asarray(value).tolist() for key, value in learned.arguments.items()} if learned else {},
        "class_names": list(class_names),
        "members": [
            {"name": name, "run_id": run_id, "weight": weight}
            for (name, run_id), weight in zip(members, weights, strict=True)
        ],
    }
