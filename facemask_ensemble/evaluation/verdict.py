"""The verdict: the scores of every member and vote on the test images, as the contents of report.json."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from facemask_ensemble.data.manifest import Manifest
from facemask_ensemble.ensemble import voting
from facemask_ensemble.ensemble.predictions import MemberPredictions
from facemask_ensemble.ensemble.rules import Rule
from facemask_ensemble.errors import InputError
from facemask_ensemble.evaluation.analysis import analyse
from facemask_ensemble.evaluation.baseline_comparison import as_comparison, worth
from facemask_ensemble.evaluation.metrics import classification_metrics
from facemask_ensemble.evaluation.rule_predictions import Judged, answer_by, describe, list_ties
from facemask_ensemble.evaluation.statistics import wilson_interval

RULES = (Rule("majority", voting.majority), Rule("soft", voting.soft))
ADD_UP = 0.02  # by which probabilities may miss 1; half precision brings 0.005


def judge(
    members: Sequence[MemberPredictions],
    manifest: Manifest,
    rules: Sequence[Rule] = RULES,
    shipped: str = "majority",
    *,
    learn: str = "validation",
    analysis: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Score the members and their votes on the test split, and compare the vote with the best single member.

    The best member is chosen on the validation split, and rules learn there, so that the test split chooses nothing.

    Args:
        members: At least one, each with a name of its own.
        manifest: The images that the probabilities belong to, row by row.
        rules: Voting rules, each with a name of its own.
        shipped: The rule that the verdict is about.
        learn: From the `validation` split, or across `folds` of the test split.
        analysis: What `analyse` needs beside the probabilities; None leaves its sections out.

    Raises:
        InputError: No members, two of one name, probabilities that do not fit the manifest, or an unknown rule.
    """
    names, members_named = list(manifest.class_names), [member.name for member in members]
    test, validation = (judged_split(members, manifest, split) for split in ("test", "validation"))
    if shipped not in [rule.name for rule in rules]:
        raise InputError(
            f"There is no voting rule {shipped!r}: choose one of {', '.join(rule.name for rule in rules)}."
        )
    answers_of_rules = [answer_by(rule, validation, test, learn) for rule in rules]
    [ship] = [rule_answers for rule_answers in answers_of_rules if rule_answers.name == shipped]
    votes = voting.votes(test.probs)
    compared = worth(ship, validation, test, members_named)
    missed = (votes != test.labels).sum(axis=0)
    right = ship.answers == test.labels
    sizes = range(len(members) + 1)
    report = {
        "dataset": _dataset(manifest, test.labels),
        "members": [_score_member(member, test.labels, validation.labels, names) for member in members],
        "ensemble": {
            rule_answers.name: _score(test.labels, rule_answers.answers, names)
            | {"validation_accuracy": _accuracy(rule_answers.validation_answers, validation.labels)}
            | list_ties(rule_answers, test, members_named, names)
            for rule_answers in answers_of_rules
        },
        "rules": {rule_answers.name: describe(rule_answers, members_named) for rule_answers in answers_of_rules},
        "shipped": shipped,
        "comparison": as_comparison(compared["comparisons"][0]),
        "worth": compared,
        "agreement": (votes[:, None] == votes[None]).mean(axis=2).tolist(),
        "errors": [int((missed == size).sum()) for size in sizes],
        "errors_vote_right": [int(((missed == size) & right).sum()) for size in sizes],
    }
    if analysis is not None:
        best = compared["comparisons"][0]["rival"]
        report |= analyse(
            answers_of_rules, ship, validation, test, members_named, names, learn=learn, reference=best, **analysis
        )
    finished: dict[str, Any] = plain(report)
    return finished


def judged_split(members: Sequence[MemberPredictions], manifest: Manifest, split: str) -> Judged:
    """Lay the members' probabilities of one split beside its labels, checked."""
    rows = manifest.split(split)
    probs = _stacked(members, f"{split}_probs", len(rows), len(manifest.class_names))
    return Judged(probs, rows["label"].to_numpy(int), rows["group"].tolist(), rows["path"].tolist())


def _stacked(members: Sequence[MemberPredictions], split: str, images: int, classes: int) -> np.ndarray:
    what = split.removesuffix("_probs")
    if not members:
        raise InputError("There are 0 members to judge: train some first.")
    if not images:
        raise InputError(f"The {what} split has 0 images: give the dataset more images or raise dataset.limit.")
    taken = [member.name for member in members]
    twice = sorted({name for name in taken if taken.count(name) > 1})
    if twice:
        raise InputError(f"Two members are named {', '.join(twice)}: give each a name of its own, or leave one out.")
    for member in members:
        shape = np.shape(getattr(member, split))
        if shape != (images, classes):
            raise InputError(
                f"Member {member.name} has {what} probabilities of shape {shape}, the dataset wants "
                f"{(images, classes)}: train it on this dataset or leave it out."
            )
        _check_probabilities(member.name, np.asarray(getattr(member, split)), what)
    return np.stack([np.asarray(getattr(member, split)) for member in members])


def _check_probabilities(name: str, probs: np.ndarray, what: str) -> None:
    if not np.isfinite(probs).all():
        raise InputError(
            f"Member {name} has {what} probabilities that are nan or infinite: train it again or leave it out."
        )
    sums = probs.sum(axis=1)
    if probs.min() < 0 or np.abs(sums - 1).max() > ADD_UP:
        worst = sums[np.abs(sums - 1).argmax()]
        raise InputError(
            f"Member {name} has {what} probabilities that are not valid (one row adds up to {worst:.3g}, the "
            f"lowest value is {probs.min():.3g}): they must be at least 0 and add up to 1; train it again."
        )


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


def _dataset(manifest: Manifest, labels: np.ndarray) -> dict[str, Any]:
    return {
        "name": manifest.name,
        "fingerprint": manifest.fingerprint,
        "class_names": list(manifest.class_names),
        "counts": manifest.counts(),
        "quarantine": manifest.quarantine[["path", "reason"]].to_dict("records"),
        "judged_on": "test",
        "images": len(labels),
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
