"""The search space: config keys and groups, each with its range or its choices. Does not import Optuna."""

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from omegaconf import DictConfig, OmegaConf

from facemask_ensemble.config import options
from facemask_ensemble.errors import InputError
from facemask_ensemble.search_path import is_group

# Trials that were judged on other images, or logged elsewhere, cannot be compared.
FIXED = ("dataset", "task", "tracking", "output_dir", "study", "parent_run", "tags", "again", "hydra", "experiment")
FORM = "give {low: 1e-4, high: 1e-2, log: true}, {low: 1, high: 8, step: 1} or a list of choices"


class Trial(Protocol):
    """What a draw needs of an Optuna trial."""

    def suggest_float(self, name: str, low: float, high: float, *, step: float | None, log: bool) -> float: ...  # noqa: D102
    def suggest_int(self, name: str, low: int, high: int, *, step: int, log: bool) -> int: ...  # noqa: D102
    def suggest_categorical(self, name: str, choices: Any) -> Any: ...  # noqa: D102


@dataclass(frozen=True)
class Range:
    """A number from `low` to `high`, both included; whole where both are whole."""

    key: str
    low: float
    high: float
    log: bool = False
    step: float | None = None

    def draw(self, trial: Trial) -> str:
        """Let the trial choose; give the value as a Hydra override has it."""
        if isinstance(self.low, int) and isinstance(self.high, int):
            return str(trial.suggest_int(self.key, self.low, self.high, step=int(self.step or 1), log=self.log))
        return repr(trial.suggest_float(self.key, float(self.low), float(self.high), step=self.step, log=self.log))


@dataclass(frozen=True)
class Choice:
    """One of several values or config groups' options, each written as a Hydra override has it."""

    key: str
    texts: tuple[str, ...]

    def draw(self, trial: Trial) -> str:
        """Let the trial choose."""
        return str(trial.suggest_categorical(self.key, self.texts))


Searched = Range | Choice


def read_space(
    space: Mapping[str, Any], cfg: DictConfig, given: Mapping[str, str], own: tuple[str, ...]
) -> list[Searched]:
    """Read the search space, and refuse impossible ones.

    Args:
        space: by keys, nested or joined by dots.
        cfg: the composed config, in which every searched key must be.
        given: the keys set on the command line, with their values.
        own: keys of the command itself.

    Raises:
        InputError: a key is unknown, fixed and searched at a time, or its range or choices are none.
    """
    searched = [_read(key, form) for key, form in _flat(space) if form is not None]
    if not searched:
        raise InputError("space={}: nothing to search; choose search=recipe, or give '+space.batch_size=[16,32]'")
    for item in searched:
        _check_key(item, cfg, given, own)
    return searched


def _flat(space: Any, above: str = "") -> Iterator[tuple[str, Any]]:
    """Name every searched key in full, whether its parts are nested or joined by dots."""
    for key, form in space.items():
        if isinstance(form, Mapping) and not {"low", "high", "log", "step"} & set(form):
            yield from _flat(form, f"{above}{key}.")
        else:
            yield f"{above}{key}", form


def _read(key: str, form: Any) -> Searched:
    if isinstance(form, list):
        if len(form) < 2:
            raise InputError(f"space.{key}={form}: a search needs two choices or more; a single value is {key}=VALUE")
        return Choice(key, tuple(as_override(value) for value in form))
    if not isinstance(form, Mapping) or not {"low", "high"} <= set(form) <= {"low", "high", "log", "step"}:
        raise InputError(f"space.{key}={form}: {FORM}")
    _check_range(key, form)
    return Range(key, **form)


def _check_range(key: str, form: Mapping[str, Any]) -> None:
    low, high, log, step = form["low"], form["high"], form.get("log", False), form.get("step")
    for name, value in (("low", low), ("high", high), *([("step", step)] if step is not None else [])):
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise InputError(f"space.{key}.{name}={value}: must be a number")
    if low >= high:
        raise InputError(f"space.{key}.low={low}: must be below space.{key}.high={high}")
    if not isinstance(log, bool):
        raise InputError(f"space.{key}.log={log}: must be true or false")
    if log and low <= 0:
        raise InputError(f"space.{key}.low={low}: must be above 0 on a logarithmic scale; or give log: false")
    if step is not None and (log or step <= 0):
        raise InputError(f"space.{key}.step={step}: must be above 0, and goes with log: false only")
    if isinstance(low, int) and isinstance(high, int) and isinstance(step, float):
        raise InputError(f"space.{key}.step={step}: between whole numbers must be whole; or write low: {low}.0")


def _check_key(item: Searched, cfg: DictConfig, given: Mapping[str, str], own: tuple[str, ...]) -> None:
    key = item.key
    if key.partition(".")[0] in (*FIXED, *own):
        raise InputError(
            f"space.{key}: cannot be searched, because trials must stay comparable; give it on the command line"
        )
    if key in given:
        raise InputError(
            f"{key}={given[key]}: is set on the command line and searched (space.{key}); leave it out, or add "
            f"'space.{key}=null' to stop searching it"
        )
    if is_group(key):
        _check_options(item)
    elif not _is_known(cfg, key):
        raise InputError(f"space.{key}: there is no such key with these options; `--cfg job` shows them all")


def _check_options(item: Searched) -> None:
    known = options(item.key)
    if isinstance(item, Range):
        raise InputError(f"space.{item.key}: must be a list of options, such as [{', '.join(known[:2])}]")
    for text in item.texts:
        if text not in known:
            raise InputError(f"space.{item.key}: {text}: there is no such {item.key}; choose from {', '.join(known)}")


def _is_known(cfg: DictConfig, key: str) -> bool:
    above, _, name = key.rpartition(".")
    node = OmegaConf.select(cfg, above) if above else cfg
    return isinstance(node, DictConfig) and name in node


def as_override(value: Any) -> str:
    """Write a value so that Hydra's override grammar reads the same value."""
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z_][\w./-]*", value) and value.lower() not in KEYWORDS:
        return value
    return json.dumps(value)


KEYWORDS = ("null", "true", "false", "nan", "inf")
