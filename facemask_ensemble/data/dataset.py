"""A dataset from its config: labelled, checked and split."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import hydra
import pandas as pd

from facemask_ensemble.data.listing import Listing
from facemask_ensemble.data.manifest import Manifest
from facemask_ensemble.data.preparation import prepare


def open_dataset(
    config: Mapping[str, Any], output_dir: Path, listing: Listing | None = None, checked: pd.DataFrame | None = None
) -> Manifest:
    """List, check and split the images that a resolved dataset config names.

    Args:
        config: the `dataset` group: `source` is Hydra's call of a function of `data.sources`.
        output_dir: the manifest is kept below `data/`, in a folder of its own for every setting.
        listing: what `list_source` gave, where that was asked before.
        checked: what `prepare.examine` found in the listing, where that was asked before.
    """
    return prepare(
        config["name"],
        listing or list_source(config),
        folder_of(config, output_dir),
        limit=config["limit"],
        validation=config["validation"],
        test=config["test"],
        seed=config["split_seed"],
        near_duplicates=config["near_duplicates"],
        folds=config["folds"],
        fold=config["fold"],
        checked=checked,
    )


def list_source(config: Mapping[str, Any]) -> Listing:
    """Name the labelled images of a resolved dataset config, without opening them."""
    listing: Listing = hydra.utils.instantiate(config["source"])
    return listing


def folder_of(config: Mapping[str, Any], output_dir: Path) -> Path:
    """Give the folder that keeps the manifest and the findings of a resolved dataset config."""
    key = hashlib.sha256(json.dumps(config, sort_keys=True, default=str).encode()).hexdigest()[:12]
    return output_dir / "data" / f"{config['name']}-{key}"
