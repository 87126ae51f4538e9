"""A dataset from its settings: labelled, checked and split."""

import hashlib
import json
from pathlib import Path

import hydra
import pandas as pd

from facemask_ensemble.data.listing import Listing
from facemask_ensemble.data.manifest import Manifest
from facemask_ensemble.data.preparation import prepare
from facemask_ensemble.settings import dump
from facemask_ensemble.settings.groups import Dataset


def open_dataset(
    dataset: Dataset, output_dir: Path, listing: Listing | None = None, checked: pd.DataFrame | None = None
) -> Manifest:
    """List, check and split the images of a dataset.

    Args:
        dataset: its `source` calls a function of `data.sources`.
        output_dir: the manifest is kept below `data/`, in one folder for each setting.
        listing: what `list_source` gave, where that was asked before.
        checked: what `prepare.examine` found in the listing, where that was asked before.
    """
    return prepare(
        dataset.name,
        listing or list_source(dataset),
        folder_of(dataset, output_dir),
        limit=dataset.limit,
        validation=dataset.validation,
        test=dataset.test,
        seed=dataset.split_seed,
        near_duplicates=dataset.near_duplicates,
        folds=dataset.folds,
        fold=dataset.fold,
        checked=checked,
    )


def list_source(dataset: Dataset) -> Listing:
    """Name the labelled images of a dataset, without opening them."""
    listing: Listing = hydra.utils.instantiate(dataset.source.call)
    return listing


def folder_of(dataset: Dataset, output_dir: Path) -> Path:
    """Give the folder that keeps the manifest and the findings of a dataset."""
    key = hashlib.sha256(json.dumps(dump(dataset), sort_keys=True, default=str).encode()).hexdigest()[:12]
    return output_dir / "data" / f"{dataset.name}-{key}"
