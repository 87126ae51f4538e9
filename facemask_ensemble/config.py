"""Where the configuration lies, what can be chosen in it, and how it is read."""

from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from facemask_ensemble.models.weights import is_path
from facemask_ensemble.search_path import CONF_DIR, compose_choice, options

__all__ = [
    "CONF_DIR",
    "absolute_paths",
    "block_ends",
    "chosen_groups",
    "compose_choice",
    "heatmap_method",
    "options",
    "plain",
]

OmegaConf.register_new_resolver("largest", max, replace=True)
OmegaConf.register_new_resolver("options", lambda group: " | ".join(options(group)), replace=True)


def heatmap_method(name: str) -> dict[str, Any]:
    """Give the `method` of a config of the group `heatmap`."""
    return dict(plain(compose_choice("heatmap", name))["method"])


def block_ends(backbone: str) -> str | None:
    """Give the regular expression of the layers that end a block of a backbone, where its own file names one."""
    if backbone not in options("backbone"):
        return None
    known = compose_choice("backbone", backbone).get("block_ends")
    return None if known is None else str(known)


def absolute_paths(cfg: DictConfig) -> DictConfig:
    """Make the paths that a user gives absolute, so that any process finds them from any folder."""
    for key in ("output_dir", "output", "dataset.root", "dataset.table", "backbone.weights"):
        value = OmegaConf.select(cfg, key)
        if isinstance(value, str) and is_path(value):
            OmegaConf.update(cfg, key, str(Path(value).expanduser().resolve()))
    return cfg


def chosen_groups() -> dict[str, str]:
    """Name what the running command chose in the groups `voting` and `ties`."""
    choices = HydraConfig.get().runtime.choices
    return {group: str(choices[group]) for group in ("voting", "ties")}


def plain(cfg: DictConfig) -> dict[str, Any]:
    """Resolve a config into plain dicts, lists and values."""
    resolved = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)
    assert isinstance(resolved, dict)
    return {str(key): value for key, value in resolved.items()}
