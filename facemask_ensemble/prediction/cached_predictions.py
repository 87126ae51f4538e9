"""The members' answers on a dataset's images: read from their runs, or predicted once and saved."""

import io
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from facemask_ensemble import tracking
from facemask_ensemble.data.manifest import Manifest
from facemask_ensemble.ensemble.members import answers_by_content, model_file, training_manifest
from facemask_ensemble.ensemble.predictions import MemberPredictions
from facemask_ensemble.files import write_atomically
from facemask_ensemble.prediction.answers import predict_all
from facemask_ensemble.training.run_files import HISTORY, PROBABILITIES

JUDGED = ("validation", "test")
BATCH = 32


def load_predictions(
    store: tracking.Store, members: Sequence[tracking.LoggedMember], manifest: Manifest, cache: Path
) -> list[MemberPredictions]:
    """Read the cached probabilities of members in the manifest's order."""
    return [_predictions(store, member, manifest, cache) for member in members]


def _predictions(
    store: tracking.Store, member: tracking.LoggedMember, manifest: Manifest, cache: Path
) -> MemberPredictions:
    columns = [f"p_{name}" for name in manifest.class_names]
    wanted = {split: manifest.split(split)["sha256"] for split in JUDGED}
    answers = answers_by_content(tracking.artifact(store, member.run_id, PROBABILITIES, cache), columns)
    if not pd.concat(wanted.values()).isin(answers.index).all():
        answers = answers_by_content(_ask(store, member, manifest, cache), columns)
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


def _other_images(store: tracking.Store, member: tracking.LoggedMember, manifest: Manifest, cache: Path) -> str | None:
    """Say where a member learned, if not from this dataset's training split."""
    learned = training_manifest(store, member, cache).split("train")["sha256"]
    if set(learned) == set(manifest.split("train")["sha256"]):
        return None
    return f"other images of {member.tags['dataset']}"


def _ask(store: tracking.Store, member: tracking.LoggedMember, manifest: Manifest, cache: Path) -> Path:
    """Predict a dataset that a member was not trained on, once, and save its probabilities."""
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
