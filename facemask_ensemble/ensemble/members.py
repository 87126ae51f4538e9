"""Members: finished trainings found in MLflow, and what they answered."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from facemask_ensemble import tracking
from facemask_ensemble.data.manifest import Manifest
from facemask_ensemble.errors import InputError
from facemask_ensemble.evaluation.verdict import MemberPredictions
from facemask_ensemble.training.record import HISTORY, MODEL, PROBABILITIES


def members_of(
    store: tracking.Store, manifest: Manifest, study: str | None, run_ids: Sequence[str]
) -> list[tracking.LoggedMember]:
    """Find the members that were trained on a manifest's training split.

    Raises:
        InputError: there is none, or a run named by the user belongs to other data.
    """
    found = tracking.finished_members(store, fingerprint=manifest.fingerprint, study=study, run_ids=run_ids)
    where = f"data set {manifest.name} (fingerprint {manifest.fingerprint[:12]})"
    if not found:
        raise InputError(
            f"no finished members for {where}{f' in study {study}' if study else ''} in {store.uri}; train some: "
            f"python -m facemask_ensemble.train --multirun experiment=seven_backbones dataset={manifest.name}"
        )
    for member in found:
        _refuse_other_classes(member, manifest.class_names, "the data set")
        if member.tags["fingerprint"] != manifest.fingerprint:
            raise InputError(
                f"members={member.run_id} ({member.name}) learned from another data set or split (fingerprint "
                f"{member.tags['fingerprint'][:12]}) than {where}, and may have seen what it would be judged on; "
                "leave it out, or name its data set"
            )
    return found


def latest_members(store: tracking.Store, study: str | None, run_ids: Sequence[str]) -> list[tracking.LoggedMember]:
    """Find the members of the data set trained on last, of one study or of any.

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
) -> list[MemberPredictions]:
    """Read the cached probabilities of members in the manifest's order."""
    return [_predictions(store, member, manifest, cache) for member in members]


def model_file(store: tracking.Store, member: tracking.LoggedMember, cache: Path) -> Path:
    """Return a local file of the member's model."""
    return tracking.artifact(store, member.run_id, MODEL, cache)


def _predictions(
    store: tracking.Store, member: tracking.LoggedMember, manifest: Manifest, cache: Path
) -> MemberPredictions:
    table = pd.read_parquet(tracking.artifact(store, member.run_id, PROBABILITIES, cache))
    history = pd.read_csv(tracking.artifact(store, member.run_id, HISTORY, cache))
    columns = [f"p_{name}" for name in manifest.class_names]
    answers = table.drop_duplicates("sha256").set_index("sha256")[columns]
    probs = {split: answers.loc[manifest.split(split)["sha256"]].to_numpy() for split in ("validation", "test")}
    about = {
        "init": member.tags["init"],
        "precision": member.tags["precision"],
        "image_size": int(member.tags["image_size"]),
        "parameters": int(member.tags["parameters"]),
        "epochs": len(history),
        "seconds": member.metrics["seconds"],
        "history": history.to_dict("list"),
    }
    return MemberPredictions(member.name, member.run_id, probs["test"], probs["validation"], about)


def _refuse_other_classes(member: tracking.LoggedMember, expected: Sequence[str], whose: str) -> None:
    if tuple(member.class_names) != tuple(expected):
        raise InputError(
            f"members={member.run_id} ({member.name}) answers {', '.join(member.class_names)}, {whose} has "
            f"{', '.join(expected)}; only members of the same classes can vote together: choose with "
            "study=… or members=[…]"
        )
