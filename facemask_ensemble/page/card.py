"""The ship card beside an ensemble, if it has one."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from facemask_ensemble.settings.answering import EnsembleSettings


@dataclass(frozen=True)
class Card:
    """What was found out about an ensemble: `facts` by their names in card.json, and the page; or `advice` without."""

    facts: Mapping[str, Any] = field(default_factory=dict)
    page: str = ""
    advice: str = ""


def read_card(folder: Path) -> Card:
    """Read card.json and card.html of a shipped ensemble."""
    facts = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    return Card({"sentence": "", "warnings": ()} | facts, (folder / "card.html").read_text(encoding="utf-8"))


def no_card(study: str | None) -> Card:
    """Say how members without a card get one."""
    return Card(advice=f"python -m facemask_ensemble.evaluate study={study or 'STUDY'}")


def find_card(settings: EnsembleSettings) -> Card:
    """Find the card of the ensemble that was chosen: a shipped one has it."""
    if settings.ensemble is None:
        return no_card(settings.study)
    from facemask_ensemble.packaging.package import package_folder

    return read_card(package_folder(settings.ensemble, settings.tracking.uri, settings.output_dir))
