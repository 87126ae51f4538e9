"""Members: finished trainings found in MLflow, and what they answered."""

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from facemask_ensemble import tracking
from facemask_ensemble.data.manifest import MANIFEST_FILES, Manifest
from facemask_ensemble.ensemble.leaks import Overlap, overlaps, refuse_seen, without_seen
from facemask_ensemble.errors import InputError
from facemask_ensemble.files import write_atomically
from facemask_ensemble.prediction.answers import predict_all
from facemask_ensemble.prediction.runtimes import Judged
from facemask_ensemble.training.run_files import HISTORY, MODEL, PROBABILITIES

if TYPE_CHECKING:
    from facemask_ensemble.evaluation.verdict import MemberPredictions

JUDGED = ("validation", "test")
BATCH = 32


def members_of(
    store: tracking.Store,
    manifest: Manifest,
    study: str | None,
    run_ids: Sequence[str],
    cache: Path,
    *,
    seen: str = "refuse",
) -> tuple[list[tracking.LoggedMember], Manifest]:
    """Find the members that a dataset may judge: those trained on its training split, or the runs named.

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
        learned = Manifest.load(_manifest_folder(store, member, cache))
        bits = [rule for rule in (manifest.near_duplicates, learned.near_duplicates) if rule is not None]
        overlap = overlaps(learned.rows, manifest, max(bits, default=None))
        if seen == "refuse":
            refuse_seen(f"members={member.run_id} ({member.name})", overlap, manifest)
        known += overlap
    return found, without_seen(manifest, known)


def latest_members(store: tracking.Store, study: str | None, run_ids: Sequence[str]) -> list[tracking.LoggedMember]:
    """Find the members of the dataset trained on last, of one study or of any.

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


def load_predictions(
    store: tracking.Store, members: Sequence[tracking.LoggedMember], manifest: Manifest, cache: Path
) -> list["MemberPredictions"]:
    """Read the cached probabilities of members in the manifest's order."""
    return [_predictions(store, member, manifest, cache) for member in members]


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
    """Give a way to a member's validation images, n files, and its answers to them, float32 (n, classes).

    Calling it raises InputError where its run's files are lost; where images have been moved, their files are not
    there.
    """

    def judged() -> tuple[list[Path], np.ndarray]:
        manifest = Manifest.load(_manifest_folder(store, member, cache))
        rows = manifest.split("validation")
        columns = [f"p_{name}" for name in member.class_names]
        answers = _by_content(tracking.artifact(store, member.run_id, PROBABILITIES, cache), columns)
        return [manifest.root / path for path in rows["path"]], answers.loc[rows["sha256"]].to_numpy(np.float32)

    return judged


def training_images(store: tracking.Store, member: tracking.LoggedMember, cache: Path) -> Callable[[], list[Path]]:
    """Give a way to the files of the images that a member was trained on, as `validation_answers` does."""

    def learned() -> list[Path]:
        manifest = Manifest.load(_manifest_folder(store, member, cache))
        return [manifest.root / path for path in manifest.split("train")["path"]]

    return learned


def model_file(store: tracking.Store, member: tracking.LoggedMember, cache: Path) -> Path:
    """Return a local file of the member's model."""
    return tracking.artifact(store, member.run_id, MODEL, cache)


def _predictions(
    store: tracking.Store, member: tracking.LoggedMember, manifest: Manifest, cache: Path
) -> "MemberPredictions":
    from facemask_ensemble.evaluation.verdict import MemberPredictions  # which takes a second that `predict` has not

    columns = [f"p_{name}" for name in manifest.class_names]
    wanted = {split: manifest.split(split)["sha256"] for split in JUDGED}
    answers = _by_content(tracking.artifact(store, member.run_id, PROBABILITIES, cache), columns)
    if not pd.concat(wanted.values()).isin(answers.index).all():
        answers = _by_content(_ask(store, member, manifest, cache), columns)
    history = pd.read_csv(tracking.artifact(store, member.run_id, HISTORY, cache))
    probs = {split: answers.loc[shas].to_numpy() for split, shas in wanted.items()}
    about = {
        "init": member.tags["init"],
        "precision": member.tags["precision"],
        "image_size": int(member.tags["image_size"]),
        "parameters": int(member.tags["parameters"]),
        "epochs": len(history),
        "seconds": member.metrics["seconds"],
        "history": history.astype(object).where(history.notna(), None).to_dict("list"),
        "trained_on": _other_images(store, member, manifest, cache),
    }
    return MemberPredictions(member.name, member.run_id, probs["test"], probs["validation"], about)


def _by_content(file: Path, columns: Sequence[str]) -> pd.DataFrame:
    return pd.read_parquet(file).drop_duplicates("sha256").set_index("sha256")[list(columns)]


def _other_images(store: tracking.Store, member: tracking.LoggedMember, manifest: Manifest, cache: Path) -> str | None:
    """Say where a member learned, if not from this dataset's training split."""
    learned = Manifest.load(_manifest_folder(store, member, cache)).split("train")["sha256"]
    if set(learned) == set(manifest.split("train")["sha256"]):
        return None
    return f"other images of {member.tags['dataset']}"


def _ask(store: tracking.Store, member: tracking.LoggedMember, manifest: Manifest, cache: Path) -> Path:
    """Ask a member about a dataset it was not trained on, once, and keep its probabilities."""
    kept = cache / member.run_id / f"on-{manifest.fingerprint[:20]}.parquet"
    if not kept.exists():
        rows = manifest.rows[manifest.rows["split"].isin(JUDGED)]
        files = [manifest.root / path for path in rows["path"]]
        [probs] = predict_all({member.name: model_file(store, member, cache)}, files, BATCH)
        answers = {f"p_{name}": probs[:, label] for label, name in enumerate(manifest.class_names)}
        content = io.BytesIO()
        rows[["sha256"]].assign(**answers).to_parquet(content, index=False)
        write_atomically(content.getvalue(), kept)
    return kept


def _manifest_folder(store: tracking.Store, member: tracking.LoggedMember, cache: Path) -> Path:
    """Return a local folder of the manifest that the member was trained with."""
    files = [tracking.artifact(store, member.run_id, f"manifest/{name}", cache) for name in MANIFEST_FILES]
    return files[0].parent


def _refuse_other_classes(member: tracking.LoggedMember, expected: Sequence[str], whose: str) -> None:
    if tuple(member.class_names) != tuple(expected):
        raise InputError(
            f"members={member.run_id} ({member.name}) answers {', '.join(member.class_names)}, {whose} has "
            f"{', '.join(expected)}; only members of the same classes can vote together: choose with "
            "study=… or members=[…]"
        )
