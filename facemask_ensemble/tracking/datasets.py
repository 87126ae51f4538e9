"""Record on a run which data it saw."""

import re
import warnings

from mlflow.data.pandas_dataset import from_pandas
from mlflow.entities import Dataset, DatasetInput, InputTag
from mlflow.exceptions import MlflowException

from facemask_ensemble.data.manifest import SPLITS, Manifest
from facemask_ensemble.tracking.interrupts import uninterrupted
from facemask_ensemble.tracking.store import Store

CONTEXTS = {"train": "training", "validation": "validation", "test": "test"}
TWICE = re.compile("unique|duplicate", re.IGNORECASE)  # how sqlite, PostgreSQL and MySQL report that a row exists
DIGITS = 24  # of the fingerprint; MLflow keeps 36 signs of a digest


@uninterrupted()
def log_dataset(store: Store, run_id: str, manifest: Manifest, splits: tuple[str, ...] = SPLITS) -> None:
    """Record a manifest's splits as the run's inputs, each with the beginning of the fingerprint as its digest.

    Args:
        store: of the run.
        run_id: of the run.
        manifest: path, sha256, label and split of every image become the input's columns.
        splits: those that the run read.
    """
    inputs = []
    for split in splits:
        rows = manifest.split(split)[["path", "sha256", "label", "split"]]
        digest = f"{manifest.fingerprint[:DIGITS]}-{split}"  # MLflow treats inputs of the same name and digest as one
        with warnings.catch_warnings():  # that a folder is two kinds of source, and that a label might be missing
            warnings.simplefilter("ignore", UserWarning)
            data = from_pandas(rows, source=str(manifest.root), targets="label", name=manifest.name, digest=digest)
            recorded = Dataset(**data.to_dict())
        inputs.append(DatasetInput(recorded, [InputTag("mlflow.data.context", CONTEXTS[split])]))
    try:
        store.client.log_inputs(run_id, datasets=inputs)
    except MlflowException as error:
        if not TWICE.search(str(error)):
            raise
        store.client.log_inputs(run_id, datasets=inputs)  # another run has just recorded them
