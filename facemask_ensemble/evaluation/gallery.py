"""Choose the images for the gallery."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from facemask_ensemble.ensemble import voting
from facemask_ensemble.evaluation.rule_predictions import answer_name

KINDS = ("disputed", "wrong", "tied", "right")


def choose(
    probs: np.ndarray,
    labels: np.ndarray,
    winners: np.ndarray,
    paths: Sequence[str],
    members: Sequence[str],
    class_names: Sequence[str],
    per_kind: int = 3,
) -> list[dict[str, Any]]:
    """Pick at most `per_kind` images of each kind, spread over the true classes, the most telling first.

    An image is `tied` if classes share the highest number of votes or it has no answer, else `wrong` if the vote is,
    `disputed` if the vote is right and a member wrong, and `right` if all are. Disputed: the fewest members behind the
    vote first. Wrong: the most. Tied: the closest call. Right: the most confident.

    Args:
        probs: Float (members, n, classes).
        labels: True classes, int (n,).
        winners: The vote's answers, int (n,), `ABSTAIN` for none.
        paths: One an image.
        members: Names in the order of `probs`.
        class_names: Names in label order.
        per_kind: The most images of one kind.
    """
    labels, winners = np.asarray(labels), np.asarray(winners)
    votes, tie = voting.votes(probs), voting.ties(probs) | (winners == voting.ABSTAIN)
    agreement, confidence = voting.agreement(probs, winners), voting.confidence(probs, winners)
    right = winners == labels
    unanimous = (votes == labels).all(axis=0)
    groups = {
        "disputed": (right & ~tie & ~unanimous, (agreement, confidence)),
        "wrong": (~right & ~tie, (-agreement, -confidence)),
        "tied": (tie, (confidence,)),
        "right": (right & ~tie & unanimous, (-confidence,)),
    }
    return [
        {"kind": kind, **described(int(index), probs, labels, winners, paths, members, class_names)}
        for kind in KINDS
        for index in _spread(*groups[kind], labels, per_kind)
    ]


def described(
    index: int,
    probs: np.ndarray,
    labels: np.ndarray,
    winners: np.ndarray,
    paths: Sequence[str],
    members: Sequence[str],
    class_names: Sequence[str],
) -> dict[str, Any]:
    """Tell the truth of one image, the vote and every member's answer; the arguments are those of `choose`."""
    one, winner = np.asarray(probs)[:, [index]], np.asarray(winners)[[index]]
    tie = bool(voting.ties(one)[0]) or int(winner[0]) == voting.ABSTAIN
    known = {"agreement": voting.agreement(one, winner)[0], "confidence": voting.confidence(one, winner)[0]}
    return {
        "index": index,
        "path": paths[index],
        "truth": class_names[labels[index]],
        "prediction": answer_name(winner[0], class_names),
        **{key: None if np.isnan(value) else float(value) for key, value in known.items()},
        "tie": tie,
        "votes": {name: class_names[vote] for name, vote in zip(members, voting.votes(one)[:, 0], strict=True)},
        "probabilities": {
            name: {label: float(value) for label, value in zip(class_names, row, strict=True)}
            for name, row in zip(members, one[:, 0], strict=True)
        },
    }


def _spread(mask: np.ndarray, keys: tuple[np.ndarray, ...], labels: np.ndarray, most: int) -> list[int]:
    """Take turns between the classes, each giving its first image by `keys`, then by its place in the split."""
    order = [index for index in np.lexsort((np.arange(len(mask)), *keys[::-1])) if mask[index]]
    seen: dict[int, int] = {}
    turns = []
    for place, index in enumerate(order):
        turn = seen.get(labels[index], 0)
        seen[labels[index]] = turn + 1
        turns.append((turn, place, int(index)))
    return [index for _, _, index in sorted(turns)[:most]]
