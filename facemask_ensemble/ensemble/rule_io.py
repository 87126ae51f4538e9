"""Restore an ensemble's rule from JSON: the rule is looked up by its name, and no code in a file is run.

Rules and what breaks ties come from the groups `voting` and `ties`, the user's own folders included; from the file come
names and numbers.
"""

import inspect
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import hydra
import numpy as np

from facemask_ensemble.config import options, read_choice
from facemask_ensemble.ensemble import voting
from facemask_ensemble.ensemble.learning import Learned
from facemask_ensemble.ensemble.rule_settings import settings_of
from facemask_ensemble.ensemble.rules import FittedRule, function_of, make_rule
from facemask_ensemble.errors import InputError
from facemask_ensemble.search_path import ENVIRONMENT
from facemask_ensemble.settings.answering import Ties, Voting

T = TypeVar("T")


def restored(about: Mapping[str, Any]) -> FittedRule:
    """Make the voting rule that `rule_settings.described` has described.

    Args:
        about: `rule`, `rule_settings`, `learned`, `ties` and `tie_arguments`, and `class_names` and `members`, which it
            has to fit.

    Raises:
        InputError: a name is unknown, or numbers are missing or do not fit.
    """
    name, members = about["rule"], len(about["members"])
    rule = make_rule(name, _rule(name, about.get("rule_settings", {})), _tie(about, members))
    learned = {key: _numbers(value) for key, value in about["learned"].items()}
    wanted = _learned_arguments(rule.vote) if rule.learn else set()
    if set(learned) != wanted or not all(np.isfinite(value).all() for value in learned.values()):
        raise InputError(
            f"rule={name}: its learned values must be {', '.join(sorted(wanted)) or 'none'}, all finite, but the "
            f"description has {', '.join(sorted(learned)) or 'nothing'} or other numbers; evaluate and ship again"
        )
    fitted = FittedRule(rule, Learned(learned, np.full(members, 1 / members)) if learned else None)
    fitted(np.full((members, 1, len(about["class_names"])), 1 / len(about["class_names"])))  # refuses other shapes
    return fitted


def _rule(name: str, kept: Mapping[str, Any]) -> Any:
    """Make a rule with the settings that it was shipped with, which have to be those that its config knows."""
    chosen = _choice(Voting, "voting", name)
    known = settings_of(chosen)
    if set(kept) != set(known) or not all(map(_is_plain, kept.values())):
        raise InputError(
            f"voting={name}: its config sets {', '.join(sorted(known)) or 'nothing'}, but the description has "
            f"{', '.join(sorted(kept)) or 'nothing'} or other values; evaluate and ship again"
        )
    return hydra.utils.instantiate(replace(chosen, rule=chosen.rule.changed(**kept)).call)


def _tie(about: Mapping[str, Any], members: int) -> voting.Tie:
    """Make what breaks ties, with the arguments that were kept."""
    name, given = about["ties"], about["tie_arguments"]
    ties = _choice(Ties, "ties", name)
    call: voting.Tie = hydra.utils.instantiate(ties.break_tie.call)
    own = [key for key in ("order", "weights") if getattr(ties, key) is not None]
    wanted = {*function_of(call)[1], *own}
    if set(given) != wanted or not all(map(_is_plain, given.values())):
        raise InputError(
            f"ties={name}: it needs {', '.join(sorted(wanted)) or 'no argument'}, but the description has "
            f"{', '.join(sorted(given)) or 'none'}; evaluate and ship again"
        )
    return partial(call, **given | {key: _fitting(about, key, members) for key in own}) if wanted else call


def _fitting(about: Mapping[str, Any], key: str, members: int) -> np.ndarray:
    """Read the order of all classes, or a weight for each member."""
    given = about["tie_arguments"][key]
    values = _numbers(given)
    if key == "order":
        fits = sorted(values.ravel().tolist()) == list(range(len(about["class_names"])))
    else:
        fits = values.shape == (members,) and bool(np.isfinite(values).all())
    if not fits:
        raise InputError(f"ties={about['ties']}: {key}={given} does not fit the ensemble; evaluate and ship again")
    return values.astype(int) if key == "order" else values


def _choice(kind: type[T], group: str, name: str) -> T:
    """Read a choice of a config group, of those that there are here."""
    if name not in options(group):
        raise InputError(
            f"{group}={name}: there is no such {group} here, only {', '.join(options(group))}; one of your own needs "
            f"the folder that has {group}/{name}.yaml: give --config-dir FOLDER, or set {ENVIRONMENT}=FOLDER"
        )
    return read_choice(kind, group, name)


def _is_plain(value: object) -> bool:
    """Tell whether a value is data alone: Hydra makes objects of mappings, and looks up what a text refers to."""
    if isinstance(value, list):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, int | float) or (isinstance(value, str) and "${" not in value)


def _numbers(value: object) -> np.ndarray:
    """Make an array of nested lists of numbers; anything else becomes nan, which is refused later."""
    try:
        return np.asarray(value, float)
    except (ValueError, TypeError):
        return np.array(np.nan)


def _learned_arguments(vote: Any) -> set[str]:
    function, given = function_of(vote)
    return set(inspect.signature(function).parameters) - {"probs", "break_tie", *given}
