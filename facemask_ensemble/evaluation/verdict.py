"""The verdict: what every member and every vote is worth on the test pictures, as the contents of report.json."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from facemask_ensemble.data.manifest import Manifest
from facemask_ensemble.ensemble import voting
from facemask_ensemble.errors import InputError
from facemask_ensemble.evaluation.comparison import compare
from facemask_ensemble.evaluation.metrics import classification_metrics
from facemask_ensemble.evaluation.statistics import wilson_interval

Rule = Callable[[np.ndarray], np.ndarray]
RULES: dict[str, Rule] = {"majority": voting.majority, "soft": voting.soft}


@dataclass(frozen=True)
class MemberPredictions:
    """One member's cached probabilities, in the manifest's order, and what is known of its training.

    `test_probs` is (n, classes), `validation_probs` (m, classes). `about` holds init, precision, image_size,
    parameters, epochs, seconds and `history` (lists a metric, one value an epoch); a missing key is shown as unknown.
    """

    name: str
    run_id: str
    test_probs: np.ndarray
    validation_probs: np.ndarray
    about: Mapping[str, Any] = field(default_factory=dict)


def judge(
    members: Sequence[MemberPredictions],
    manifest: Manifest,
    rules: Mapping[str, Rule] | None = None,
    shipped: str = "majority",
) -> dict[str, Any]:
    """Score the members and their votes on the test split, and compare the vote with the best single member.

    The best member is chosen on the validation split, so that the test split chooses nothing.

    Args:
        members: At least one, each with a name of its own.
        manifest: The pictures that the probabilities belong to, row by row.
        rules: Further voting rules by name, beside majority and soft.
        shipped: The voting rule that the verdict is about.

    Raises:
        InputError: No members, two of one name, probabilities that do not fit the manifest, or an unknown rule.
    """
    rules = RULES | dict(rules or {})
    if shipped not in rules:
        raise InputError(f"There is no voting rule {shipped!r}: choose one of {', '.join(rules)}.")
    test, validation = manifest.split("test"), manifest.split("validation")
    labels, names = test["label"].to_numpy(int), list(manifest.class_names)
    test_probs = _stacked(members, "test_probs", len(test), len(names))
    validation_probs = _stacked(members, "validation_probs", len(validation), len(names))
    answers = {name: np.asarray(rule(test_probs)) for name, rule in rules.items()}
    scored = [_score_member(member, labels, validation["label"].to_numpy(int), names) for member in members]
    votes = voting.votes(test_probs)
    ensemble = {
        name: _score(labels, predictions, names)
        | {"validation_accuracy": _accuracy(rules[name](validation_probs), validation["label"])}
        for name, predictions in answers.items()
    }
    ensemble["majority"] |= _ties(test_probs, answers["majority"], labels, test["path"].tolist(), members, names)
    best = max(range(len(members)), key=lambda index: scored[index]["validation_accuracy"])
    missed = (votes != labels).sum(axis=0)
    sizes = range(len(members) + 1)
    return {
        "dataset": _dataset(manifest, labels),
        "members": scored,
        "ensemble": ensemble,
        "shipped": shipped,
        "comparison": compare(
            answers[shipped] == labels, votes[best] == labels, members[best].name, shipped, len(members)
        ),
        "agreement": (votes[:, None] == votes[None]).mean(axis=2).tolist(),
        "errors": [int((missed == size).sum()) for size in sizes],
        "errors_vote_right": [int(((missed == size) & (answers[shipped] == labels)).sum()) for size in sizes],
    }


def _stacked(members: Sequence[MemberPredictions], split: str, pictures: int, classes: int) -> np.ndarray:
    what = split.removesuffix("_probs")
    if not members:
        raise InputError("There are 0 members to judge: train some first.")
    if not pictures:
        raise InputError(f"The {what} split has 0 pictures: give the data set more pictures or raise dataset.limit.")
    taken = [member.name for member in members]
    twice = sorted({name for name in taken if taken.count(name) > 1})
    if twice:
        raise InputError(f"Two members are named {', '.join(twice)}: give each a name of its own, or leave one out.")
    for member in members:
        shape = np.shape(getattr(member, split))
        if shape != (pictures, classes):
            raise InputError(
                f"Member {member.name} has {what} probabilities of shape {shape}, the data set wants "
                f"{(pictures, classes)}: train it on this data set or leave it out."
            )
    return np.stack([np.asarray(getattr(member, split)) for member in members])


def _score(labels: np.ndarray, predictions: np.ndarray, names: list[str]) -> dict[str, Any]:
    metrics = classification_metrics(labels, predictions, names)
    return metrics | {"accuracy_interval": list(wilson_interval(int((labels == predictions).sum()), len(labels)))}


def _score_member(
    member: MemberPredictions, labels: np.ndarray, validation_labels: np.ndarray, names: list[str]
) -> dict[str, Any]:
    return {
        "backbone": member.name,
        "run_id": member.run_id,
        **plain(member.about),
        **_score(labels, np.argmax(member.test_probs, axis=1), names),
        "validation_accuracy": _accuracy(np.argmax(member.validation_probs, axis=1), validation_labels),
    }


def _accuracy(predictions: np.ndarray, labels: Any) -> float:
    return float((np.asarray(predictions) == np.asarray(labels)).mean())


def _ties(
    probs: np.ndarray,
    winners: np.ndarray,
    labels: np.ndarray,
    paths: list[str],
    members: Sequence[MemberPredictions],
    names: list[str],
) -> dict[str, Any]:
    votes = voting.votes(probs)
    tied = [
        {
            "path": paths[index],
            "truth": names[labels[index]],
            "prediction": names[winners[index]],
            "votes": {member.name: names[vote] for member, vote in zip(members, votes[:, index], strict=True)},
        }
        for index in np.flatnonzero(voting.ties(probs))
    ]
    return {"ties": len(tied), "tied": tied}


def _dataset(manifest: Manifest, labels: np.ndarray) -> dict[str, Any]:
    return {
        "name": manifest.name,
        "fingerprint": manifest.fingerprint,
        "class_names": list(manifest.class_names),
        "counts": manifest.counts(),
        "quarantine": manifest.quarantine[["path", "reason"]].to_dict("records"),
        "judged_on": "test",
        "pictures": len(labels),
        "most_frequent_class_accuracy": float(np.bincount(labels).max() / len(labels)),
    }


def plain(value: Any) -> Any:
    """Turn NumPy values into what JSON can hold; nan and infinity become None."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not np.isfinite(value) else value
