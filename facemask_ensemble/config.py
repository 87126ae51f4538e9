"""Find the configs and their choices, and turn a config into settings."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from facemask_ensemble.errors import InputError
from facemask_ensemble.overrides import parse, root_of
from facemask_ensemble.search_path import CONF_DIR, compose_choice, options
from facemask_ensemble.settings import read
from facemask_ensemble.settings.answering import Heatmap
from facemask_ensemble.settings.groups import Backbone
from facemask_ensemble.weights import is_path

__all__ = [
    "CONF_DIR",
    "absolute_paths",
    "block_ends",
    "chosen_groups",
    "compose_choice",
    "heatmap_method",
    "options",
    "read_choice",
    "read_settings",
    "refuse_other_rule",
]

T = TypeVar("T")

RULE = ("voting", "ties", "study", "members")  # keys that a shipped ensemble sets itself
FOR_OTHER_KEYS = ("variables", "hydra")  # values that other keys refer to, and Hydra's own
REFERENCE = re.compile(r"\$\{(\.*)([A-Za-z_][\w.]*)(?![\w.:])")

OmegaConf.register_new_resolver("largest", max, replace=True)
OmegaConf.register_new_resolver("options", lambda group: " | ".join(options(group)), replace=True)


def heatmap_method(name: str) -> dict[str, Any]:
    """Give the `method` of a config of the group `heatmap`."""
    method = read_choice(Heatmap, "heatmap", name).method
    assert method is not None
    return method.call


def block_ends(backbone: str) -> str | None:
    """Give the regular expression of the layers that end a block of a backbone, if its config names one."""
    if backbone not in options("backbone"):
        return None
    return read_choice(Backbone, "backbone", backbone).block_ends


def absolute_paths(cfg: DictConfig) -> DictConfig:
    """Make the paths that a user gives absolute, so that any process finds them from any folder."""
    for key in ("output_dir", "dataset.root", "dataset.table", "backbone.weights"):
        value = OmegaConf.select(cfg, key)
        if isinstance(value, str) and is_path(value):
            OmegaConf.update(cfg, key, str(Path(value).expanduser().resolve()))
    return cfg


def chosen_groups() -> dict[str, str]:
    """Name what the running command chose in the groups `voting` and `ties`."""
    choices = HydraConfig.get().runtime.choices
    return {group: str(choices[group]) for group in ("voting", "ties")}


def refuse_other_rule(ensemble: str | None) -> None:
    """Refuse a rule, its members or its ties beside an ensemble that brings its own."""
    if ensemble is None:
        return
    for override in parse(HydraConfig.get().overrides.task):
        if root_of(override) in RULE:
            raise InputError(
                f"{override.input_line}: ensemble={ensemble} has its own members and rule; leave out this key or "
                "ensemble"
            )


def read_settings(kind: type[T], cfg: DictConfig, group: str = "") -> T:
    """Resolve a composed config, or one group of it, and read it as typed settings.

    Raises:
        InputError: naming the first key that is unknown, missing or has an impossible value.
    """
    cfg = absolute_paths(cfg.copy())
    values = OmegaConf.to_container(OmegaConf.select(cfg, group) if group else cfg, resolve=True)
    assert isinstance(values, dict)
    own = {str(key): value for key, value in values.items() if group or key not in FOR_OTHER_KEYS}
    return read(kind, own, above=group, referred=referred_keys(cfg))


def read_choice(kind: type[T], group: str, name: str) -> T:
    """Read one choice of a config group, as a command would that chose it."""
    root = OmegaConf.create({group: compose_choice(group, name)})
    return read_settings(kind, root, group)


def referred_keys(cfg: DictConfig) -> set[str]:
    """Name the keys that a config itself refers to, and those above them."""
    return set(_referred(OmegaConf.to_container(cfg)))


def _referred(node: Any, path: tuple[str, ...] = ()) -> Iterator[str]:
    if isinstance(node, dict | list):
        for key, part in node.items() if isinstance(node, dict) else enumerate(node):
            yield from _referred(part, (*path, str(key)))
    elif isinstance(node, str):
        for dots, key in REFERENCE.findall(node):
            full = [*(path[: -len(dots)] if dots else ()), *filter(None, key.split("."))]
            yield from (".".join(full[:end]) for end in range(1, len(full) + 1))
