"""Check a dataset before training: `python -m facemask_ensemble.audit dataset=folders dataset.root=…`."""

import shlex
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from omegaconf import DictConfig

from facemask_ensemble.command import run_command
from facemask_ensemble.config import read_settings
from facemask_ensemble.errors import InputError
from facemask_ensemble.settings.audit import AuditSettings
from facemask_ensemble.settings.groups import Dataset

if TYPE_CHECKING:
    from facemask_ensemble.auditing.report import Subject

SHOWN = 128  # longest side of an image on the page, pixels


def task(cfg: DictConfig) -> None:
    """Compose the config and audit."""
    settings = read_settings(AuditSettings, cfg)
    settings.dataset.check_root()
    audit(settings, command=shlex.join(["python", "-m", "facemask_ensemble.audit", *sys.argv[1:]]))


def audit(settings: AuditSettings, command: str) -> Path:
    """Check every image of a dataset; write the findings as a page, log it, and print a summary.

    Args:
        settings: of the audit.
        command: shown on the page.

    Returns:
        The folder that holds `audit.html`, `audit.json`, `copies.csv` and `quarantine.csv`.
    """
    from rich.console import Console

    from facemask_ensemble.auditing.examples import shown_paths
    from facemask_ensemble.auditing.report import metrics, report_on
    from facemask_ensemble.files import write_atomically
    from facemask_ensemble.report.audit_page import write_audit
    from facemask_ensemble.report.audit_summary import summary

    output_dir, name = settings.output_dir, settings.dataset.name
    subject = examined(settings.dataset, output_dir)
    report, copies = report_on(subject)
    folder = output_dir / f"audit-{name}"
    write_atomically(subject.quarantine.to_csv(index=False), folder / "quarantine.csv")
    write_atomically(copies.to_csv(index=False), folder / "copies.csv")
    page = write_audit(report, _images(subject.root, shown_paths(report)), command, folder)
    unlogged = _log(settings, folder, metrics(report))
    Console().print(summary(report))
    if unlogged:
        print(f"the audit could not be logged to MLflow ({unlogged}); its files are in {folder}")
    print(f"page: {page}")
    return folder


def examined(dataset: Dataset, output_dir: Path) -> "Subject":
    """Check every file of a dataset and try to split it; a dataset that cannot be split is audited too.

    Args:
        dataset: the same settings as for training.
        output_dir: the findings and the manifest are kept below it.
    """
    import pandas as pd

    from facemask_ensemble.auditing.report import Subject
    from facemask_ensemble.data.dataset import folder_of, list_source, open_dataset
    from facemask_ensemble.data.duplicates import contradictions
    from facemask_ensemble.data.preparation import examine

    listing = list_source(dataset)
    rows = examine(listing, folder_of(dataset, output_dir), dataset.limit, dataset.split_seed)
    try:
        manifest = open_dataset(dataset, output_dir, listing, rows)
        used, quarantine, refusal = manifest.rows[["path", "split"]], manifest.quarantine, ""
    except InputError as error:
        unreadable = rows.loc[rows["reason"] != "", ["path", "reason"]]
        torn = contradictions(rows[rows["reason"] == ""])
        quarantine = pd.concat([listing.quarantine, unreadable, torn], ignore_index=True)
        used, refusal = pd.DataFrame({"path": [], "split": []}, dtype=str), " ".join(str(error).split())
    return Subject(
        name=dataset.name,
        root=listing.root,
        class_names=tuple(listing.class_names),
        rows=rows,
        used=used,
        quarantine=quarantine,
        refusal=refusal,
        distance=dataset.near_duplicates,
        held_out=dataset.validation + (1 / dataset.folds if dataset.folds else dataset.test),
    )


def _images(root: Path, paths: Iterable[str]) -> dict[str, np.ndarray]:
    """Read the images to show; skip those that can no longer be read."""
    from facemask_ensemble.data.decoding import ImageError
    from facemask_ensemble.data.display_images import read_shown
    from facemask_ensemble.data.parallel import in_threads

    def read(path: str) -> np.ndarray | None:
        try:
            return read_shown(root / path, SHOWN)
        except (ImageError, OSError):
            return None

    shown = list(paths)
    found = zip(shown, in_threads(read, shown, "Reading the images shown"), strict=True)
    return {path: pixels for path, pixels in found if pixels is not None}


def _log(settings: AuditSettings, folder: Path, metrics: Mapping[str, float]) -> str | None:
    """Log the folder to MLflow; return the reason if that fails."""
    from facemask_ensemble import tracking

    def log() -> None:
        store = tracking.open_store(settings.tracking.uri, settings.output_dir)
        tracking.log_audit(store, settings.dataset.name, settings.task.name, folder, metrics)

    return tracking.protect(log)


def main() -> None:
    """Run the command."""
    run_command("audit", task)


if __name__ == "__main__":
    main()
