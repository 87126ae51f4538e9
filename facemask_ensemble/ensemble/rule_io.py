"""An ensemble's rule as it was kept in JSON, made ready to answer again: found by its name, never by what a file says.

Rules and what breaks ties come from this project's `conf/voting` and `conf/ties`; from the file come names and numbers.
"""

import inspect
from collections.abc import Mapping
from functools import partial
from typing import Any

import hydra
import numpy as np
from omegaconf import OmegaConf

from facemask_ensemble.config import CONF_DIR, options
from facemask_ensemble.ensemble import voting
from facemask_ensemble.ensemble.learning import Learned
from facemask_ensemble.ensemble.rules import FittedRule, make_rule
from facemask_ensemble.errors import InputError

TIE_ARGUMENTS = {"safest_class": "order", "validation_weight": "weights"}


def restored(about: Mapping[str, Any]) -> FittedRule:
    """Make the voting rule that `rule_settings.described` has described.

    Args:
        about: `rule`, `learned`, `ties` and `tie_arguments`, and `class_names` and `members`, which it has to fit.

    Raises:
        InputError: a name is unknown, or numbers are missing or do not fit.
    """
    name, members = about["rule"], len(about["members"])
    built = _built("voting", name)
    rule = make_rule(name, built, _tie(about, members))
    learned = {key: _numbers(value) for key, value in about["learned"].items()}
    wanted = _learned_arguments(rule.vote) if rule.learn else set()
    if set(learned) != wanted or not all(np.isfinite(value).all() for value in learned.values()):
        raise InputError(
            f"rule={name}: it has learned {', '.join(sorted(wanted)) or 'nothing'}, as finite numbers, and the "
            f"description has {', '.join(sorted(learned)) or 'nothing'} or other numbers; evaluate and ship again"
        )
    fitted = FittedRule(rule, Learned(learned, np.full(members, 1 / members)) if learned else None)
    fitted(np.full((members, 1, len(about["class_names"])), 1 / len(about["class_names"])))  # refuses other shapes
    return fitted


def _tie(about: Mapping[str, Any], members: int) -> voting.Tie:
    """Make what breaks ties, with the arguments that were kept."""
    name, given = about["ties"], about["tie_arguments"]
    call: voting.Tie = _built("ties", name)["break_tie"]
    wanted = TIE_ARGUMENTS.get(name)
    if set(given) != ({wanted} if wanted else set()):
        raise InputError(
            f"ties={name}: it needs {wanted or 'no argument'}, and the description has "
            f"{', '.join(sorted(given)) or 'none'}; evaluate and ship again"
        )
    if wanted is None:
        return call
    values = _numbers(given[wanted])
    fits = sorted(values.ravel().tolist()) == list(range(len(about["class_names"])))
    if not (fits if wanted == "order" else values.shape == (members,) and np.isfinite(values).all()):
        raise InputError(f"ties={name}: {wanted}={given[wanted]} does not fit the ensemble; evaluate and ship again")
    return partial(call, **{wanted: values.astype(int) if wanted == "order" else values})


def _built(group: str, name: object) -> Any:
    """Make a leaf of a config group, of those that this installation has."""
    if name not in options(group):
        raise InputError(f"{group}={name}: this installation has {', '.join(options(group))}; evaluate and ship again")
    return hydra.utils.instantiate(OmegaConf.load(CONF_DIR / group / f"{name}.yaml"))


def _numbers(value: object) -> np.ndarray:
    """Make an array of nested lists of numbers; what is none becomes nan, which nothing accepts."""
    try:
        return np.asarray(value, float)
    except (ValueError, TypeError):
        return np.array(np.nan)


def _learned_arguments(vote: Any) -> set[str]:
    return set(inspect.signature(vote).parameters) - {"probs", "break_tie"}
