"""Members: finished trainings found in MLflow, and the files of their runs."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from facemask_ensemble import tracking
from facemask_ensemble.data.manifest import MANIFEST_FILES, Manifest
from facemask_ensemble.ensemble.leaks import Overlap, overlaps, refuse_seen, without_seen
from facemask_ensemble.ensemble.sources import Judged
from facemask_ensemble.errors import InputError
from facemask_ensemble.training.run_files import MODEL, PROBABILITIES


def members_of(
    store: tracking.Store,
    manifest: Manifest,
    study: str | None,
    run_ids: Sequence[str],
    cache: Path,
    *,
    seen: str = "refuse",
) -> tuple[list[tracking.LoggedMember], Manifest]:
    """Find the members that can be judged on a dataset: those trained on its training split, or the runs named.

    Returns:
        The members, and the manifest of what judges them: with `seen=leave_out` without what any has learned from.

    Raises:
        InputError: there is none, or one has other classes, or has seen an image that it would be judged on.
    """
    found = tracking.finished_members(store, fingerprint=manifest.fingerprint, study=study, run_ids=run_ids)
    if not found:
        raise InputError(
            f"no finished members for dataset {manifest.name} (fingerprint {manifest.fingerprint[:12]})"
            f"{f' in study {study}' if study else ''} in {store.uri}; train some: "
            f"python -m facemask_ensemble.train --multirun experiment=seven_backbones dataset={manifest.name}"
        )
    known: list[Overlap] = []
    for member in found:
        _refuse_other_classes(member, manifest.class_names, "the dataset")
        learned = training_manifest(store, member, cache)
        bits = [rule for rule in (manifest.near_duplicates, learned.near_duplicates) if rule is not None]
        overlap = overlaps(learned.rows, manifest, max(bits, default=None))
        if seen == "refuse":
            refuse_seen(f"members={member.run_id} ({member.name})", overlap, manifest)
        known += overlap
    return found, without_seen(manifest, known)


def latest_members(store: tracking.Store, study: str | None, run_ids: Sequence[str]) -> list[tracking.LoggedMember]:
    """Find the members of the last trained dataset, of one study or of any.

    Raises:
        InputError: there is none, or they answer with different classes.
    """
    found = tracking.finished_members(store, study=study, run_ids=run_ids)
    if not found:
        where = f"study={study}: it has no finished members" if study else "no finished members"
        raise InputError(
            f"{where} in {store.uri}; studies there: {', '.join(tracking.studies(store)) or 'none'}. "
            "Train some: python -m facemask_ensemble.train --multirun experiment=seven_backbones"
        )
    for member in found[1:]:
        _refuse_other_classes(member, found[0].class_names, found[0].name)
    return found


def shared_validation(
    store: tracking.Store, members: Sequence[tracking.LoggedMember], cache: Path
) -> tuple[np.ndarray, np.ndarray]:
    """Read what members answered to the validation images that all of them have.

    Returns:
        Probabilities, float (members, n, classes), and labels, int (n,); n is 0 where they share no image.
    """
    columns = [f"p_{name}" for name in members[0].class_names]
    tables = []
    for member in members:
        table = pd.read_parquet(tracking.artifact(store, member.run_id, PROBABILITIES, cache))
        tables.append(table[table["split"] == "validation"].drop_duplicates("sha256").set_index("sha256"))
    shared = [sha for sha in tables[0].index if all(sha in table.index for table in tables)]
    probs = np.stack([table.loc[shared, columns].to_numpy() for table in tables])
    return probs, tables[0].loc[shared, "label"].to_numpy(int)


def validation_answers(store: tracking.Store, member: tracking.LoggedMember, cache: Path) -> Judged:
    """Return a function that gives a member's validation images, n files, and its answers, float32 (n, classes).

    Calling it raises InputError where its run's files are lost; where images have been moved, their files are not
    there.
    """

    def judged() -> tuple[list[Path], np.ndarray]:
        manifest = training_manifest(store, member, cache)
        rows = manifest.split("validation")
        columns = [f"p_{name}" for name in member.class_names]
        answers = answers_by_content(tracking.artifact(store, member.run_id, PROBABILITIES, cache), columns)
        return [manifest.root / path for path in rows["path"]], answers.loc[rows["sha256"]].to_numpy(np.float32)

    return judged


def training_images(store: tracking.Store, member: tracking.LoggedMember, cache: Path) -> Callable[[], list[Path]]:
    """Return a function that gives the files of a member's training images, as `validation_answers` does."""

    def learned() -> list[Path]:
        manifest = training_manifest(store, member, cache)
        return [manifest.root / path for path in manifest.split("train")["path"]]

    return learned


def model_file(store: tracking.Store, member: tracking.LoggedMember, cache: Path) -> Path:
    """Return a local file of the member's model."""
    return tracking.artifact(store, member.run_id, MODEL, cache)


def answers_by_content(file: Path, columns: Sequence[str]) -> pd.DataFrame:
    """Read columns of a table of answers, an image once, by the sha256 of its file."""
    return pd.read_parquet(file).drop_duplicates("sha256").set_index("sha256")[list(columns)]


def training_manifest(store: tracking.Store, member: tracking.LoggedMember, cache: Path) -> Manifest:
    """Read the manifest that a member was trained with."""
    files = [tracking.artifact(store, member.run_id, f"manifest/{name}", cache) for name in MANIFEST_FILES]
    return Manifest.load(files[0].parent)


def _refuse_other_classes(member: tracking.LoggedMember, expected: Sequence[str], whose: str) -> None:
    if tuple(member.class_names) != tuple(expected):
        raise InputError(
            f"members={member.run_id} ({member.name}) answers {', '.join(member.class_names)}, {whose} has "
            f"{', '.join(expected)}; only members of the same classes can vote together: choose with "
            "study=… or members=[…]"
        )
