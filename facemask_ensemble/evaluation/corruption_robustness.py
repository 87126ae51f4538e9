"""Robustness of the vote and of each member to corrupted images."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from facemask_ensemble.errors import InputError
from facemask_ensemble.evaluation.comparison import SIGNIFICANCE
from facemask_ensemble.evaluation.statistics import mcnemar, wilson_interval


def shift_report(
    clean: np.ndarray,
    shifted: Mapping[tuple[str, int], np.ndarray],
    labels: np.ndarray,
    names: Sequence[str],
    vote: Callable[[np.ndarray], np.ndarray],
) -> dict[str, Any]:
    """Score the vote and the members on clean images and on the same images with corruptions.

    The best member of a row is the best on these very images, in hindsight: the vote is held against a choice that
    nobody could make beforehand. Of equal ones the first in `names` is told.

    Args:
        clean: probabilities for the images as they are, float (members, n, classes).
        shifted: by kind and strength, probabilities of the same shape.
        labels: int (n,).
        names: the members', in the order of `clean`.
        vote: maps probabilities (members, n, classes) to answers (n,); one that is no class is not right.

    Returns:
        `images`; `clean` with `vote`, `vote_interval` (95 %, Wilson), `members`, `best_member`, `vote_minus_best`;
        `rows` of the same with `kind` and `strength`, in the order given; `worst` with the `kind` and `strength` that
        cost the vote most (the first of equal ones), its `vote`, `cost` (share of right answers lost) and `p_value`
        of that difference (McNemar's, times the number of rows as Bonferroni would, since the worst is
        picked from them); and a `sentence`.

    Raises:
        InputError: nothing was shifted, or the arrays do not belong to the same images and members.
    """
    clean, labels = np.asarray(clean), np.asarray(labels)
    _check(clean, shifted, labels, names)
    before = vote(clean) == labels
    right = {case: vote(probs) == labels for case, probs in shifted.items()}
    rows = [
        {"kind": case[0], "strength": int(case[1])} | _scored(probs, right[case], labels, names)
        for case, probs in shifted.items()
    ]
    result = {
        "images": len(labels),
        "rows": rows,
        "clean": _scored(clean, before, labels, names),
        "worst": _worst(before, right),
    }
    return result | {"sentence": _sentence(result)}


def _scored(probs: np.ndarray, right: np.ndarray, labels: np.ndarray, names: Sequence[str]) -> dict[str, Any]:
    counts = (np.asarray(probs).argmax(axis=2) == labels).sum(axis=1).tolist()
    best, voted, total = int(np.argmax(counts)), int(right.sum()), len(labels)
    return {
        "vote": voted / total,
        "vote_interval": list(wilson_interval(voted, total)),
        "members": {name: count / total for name, count in zip(names, counts, strict=True)},
        "best_member": names[best],
        "vote_minus_best": (voted - counts[best]) / total,
    }


def _worst(before: np.ndarray, right: Mapping[tuple[str, int], np.ndarray]) -> dict[str, Any]:
    kind, strength = min(right, key=lambda case: int(right[case].sum()))
    after = right[kind, strength]
    lost, won = int((before & ~after).sum()), int((after & ~before).sum())
    return {
        "kind": kind,
        "strength": int(strength),
        "vote": int(after.sum()) / len(after),
        "cost": (lost - won) / len(after),
        "p_value": min(1.0, len(right) * mcnemar(lost, won)),
    }


def _sentence(report: Mapping[str, Any]) -> str:
    worst, count = report["worst"], len(report["rows"])
    ways = f"{count} corruption{'s' if count > 1 else ''}"
    images = f"{report['images']} image{'s' if report['images'] > 1 else ''}"
    clean, least = (f"{100 * share:.1f} %" for share in (report["clean"]["vote"], worst["vote"]))
    if worst["cost"] > 0:
        p = "p < 0.001" if worst["p_value"] < 0.001 else f"p = {worst['p_value']:.2g}"
        chance = "" if worst["p_value"] < SIGNIFICANCE else "not significant: "
        told = (
            f"Of {ways} of {images}, {worst['kind']} at strength {worst['strength']} costs the vote most: its accuracy "
            f"is {least} instead of {clean} ({chance}{p}, corrected for {ways})."
        )
    else:
        told = f"None of {ways} of {images} costs the vote accuracy: it is {clean} without them."
    if len(report["clean"]["members"]) == 1:
        return told
    behind = sum(row["vote_minus_best"] < 0 for row in report["rows"])
    which = f"With {behind} of them" if behind else "With none of them"
    return f"{told} {which} a single member is more accurate than the vote."


def _check(
    clean: np.ndarray, shifted: Mapping[tuple[str, int], np.ndarray], labels: np.ndarray, names: Sequence[str]
) -> None:
    if not shifted:
        raise InputError(
            "A robustness report needs corrupted images, received none: corrupt and answer the images first."
        )
    known = {"clean": clean} | {f"{kind} {strength}": probs for (kind, strength), probs in shifted.items()}
    for what, probs in known.items():
        shape = np.shape(probs)
        if len(shape) != 3 or 0 in shape or shape != clean.shape or shape[:2] != (len(names), *labels.shape):
            raise InputError(
                f"Probabilities ({what}) must have the shape (members, images, classes) of {len(names)} members and "
                f"{len(labels)} images, the same for clean and shifted ones, received {shape}: ask "
                "these members about the images of these labels."
            )
