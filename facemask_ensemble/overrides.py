"""Overrides of the command line, read by Hydra's own grammar."""

from collections.abc import Iterable

from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override


def parse(texts: Iterable[str]) -> list[Override]:
    """Read overrides as given; where Hydra runs, a sweep by `glob` knows the options of its group."""
    running = GlobalHydra.instance()
    loader = running.config_loader() if running.is_initialized() else None
    return OverridesParser.create(loader).parse_overrides(list(texts))


def root_of(override: Override) -> str:
    """Give the first part of an override's key: `dataset` of `dataset=scenes`, `+dataset.limit=9` and `~dataset@x`."""
    return override.key_or_group.partition(".")[0]


def value_of(override: Override) -> str:
    """Give the value as written; "" for a deletion without a value."""
    return override.get_value_string() if "=" in str(override.input_line) else ""
