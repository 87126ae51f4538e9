"""How different the members are, and what the vote loses without each of them."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from facemask_ensemble.ensemble import voting
from facemask_ensemble.errors import InputError
from facemask_ensemble.evaluation.comparison import SIGNIFICANCE
from facemask_ensemble.evaluation.statistics import bootstrap_difference, holm, mcnemar

Vote = Callable[[tuple[int, ...]], np.ndarray]


def pairwise(probs: np.ndarray, labels: np.ndarray) -> dict[str, list[list[float | None]]]:
    """Compare every two members' answers on the same images, in matrices of members x members.

    `agreement` is the share of equal answers, `kappa` the agreement beyond chance (J. Cohen, "A coefficient of
    agreement for nominal scales", Educational and Psychological Measurement 20, 1960). On right and wrong answers,
    `q_statistic` is Yule's Q: 1 where both fail on the same images, 0 where independently, below 0 where on
    different ones; `both_wrong` is the double fault, the share of images that both get wrong (L. Kuncheva and
    C. Whitaker, "Measures of diversity in classifier ensembles and their relationship with the ensemble accuracy",
    Machine Learning 51, 2003). `same_error` is the share with the same wrong answer. A value that is 0/0 is None.

    Args:
        probs: Float (members, n, classes).
        labels: True classes, int (n,).

    Raises:
        InputError: The probabilities are no votes, or the labels belong to other images.
    """
    answers, labels = voting.votes(probs), np.asarray(labels)
    _check(labels, answers.shape[1:], "The members' probabilities")
    total, wrong = len(labels), answers != labels
    marks = [answers == label for label in range(np.shape(probs)[2])]
    agreed = np.sum([_together(mark) for mark in marks], axis=0)
    counts = np.stack([mark.sum(axis=1) for mark in marks], axis=1)
    by_chance = counts @ counts.T
    both_right, both_wrong = _together(~wrong), _together(wrong)
    only_one = (~wrong).sum(axis=1)[:, None] - both_right
    alike, unlike = both_right * both_wrong, only_one * only_one.T
    return {
        "agreement": _ratio(agreed, total),
        "kappa": _ratio(total * agreed - by_chance, total**2 - by_chance),
        "q_statistic": _ratio(alike - unlike, alike + unlike),
        "both_wrong": _ratio(both_wrong, total),
        "same_error": _ratio(np.sum([_together(mark & wrong) for mark in marks], axis=0), total),
    }


def drop_one(vote: Vote, members: Sequence[str], labels: np.ndarray) -> dict[str, Any]:
    """Vote again without each member in turn, and compare with the whole vote on the same images.

    Args:
        vote: Gives the answers, int (n,), of the members kept, by their places; it learns again what it learns. An
            image without an answer (`voting.ABSTAIN`) counts as not right.
        members: Names in the order of their places.
        labels: True classes, int (n,).

    Returns:
        `whole` (accuracy), `rows` (one a member: accuracy without it, difference to the whole with bootstrap interval,
        exact McNemar p-value and the same by Holm over the members, images that still get an answer), `sentence`.

    Raises:
        InputError: There are no members, or the vote answers other images than the labels'.
    """
    if not members:
        raise InputError("A vote needs at least one member, received 0: train one first.")
    places, labels = tuple(range(len(members))), np.asarray(labels)
    whole = _answers(vote, places, labels)
    accuracy = float((whole == labels).mean())
    if len(members) == 1:
        sentence = f"There is only one member: without {members[0]} there is no vote."
        return {"whole": accuracy, "rows": [], "sentence": sentence}
    kept = [_answers(vote, places[:place] + places[place + 1 :], labels) for place in places]
    rows = [_row(name, answers, whole, labels) for name, answers in zip(members, kept, strict=True)]
    for row, adjusted in zip(rows, holm([row["p_value"] for row in rows]), strict=True):
        row["p_adjusted"] = adjusted
    answered = int((whole != voting.ABSTAIN).sum())
    return {"whole": accuracy, "rows": rows, "sentence": f"{_reach(rows, answered, len(labels))}; {_cost(rows)}."}


def _together(marks: np.ndarray) -> np.ndarray:
    """Count the images that both of two members are marked on; counts are exact in float64."""
    counted = marks.astype(np.float64)
    return counted @ counted.T


def _ratio(above: np.ndarray, below: np.ndarray | int) -> list[list[float | None]]:
    with np.errstate(invalid="ignore"):
        shares = np.true_divide(above, below)
    return [[None if np.isnan(share) else share for share in row] for row in shares.tolist()]


def _answers(vote: Vote, kept: tuple[int, ...], labels: np.ndarray) -> np.ndarray:
    answers = np.asarray(vote(kept))
    _check(labels, answers.shape, f"The answers of {len(kept)} members")
    return answers


def _check(labels: np.ndarray, shape: tuple[int, ...], what: str) -> None:
    if labels.ndim != 1 or labels.shape != shape or not len(labels):
        raise InputError(
            f"{what} must be on the images of the labels, one at least, received shape {shape} for labels of shape "
            f"{labels.shape}: take both from the same split."
        )


def _row(member: str, answers: np.ndarray, whole: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    without, right = answers == labels, whole == labels
    better, worse = int((without & ~right).sum()), int((right & ~without).sum())
    return {
        "member": member,
        "accuracy": float(without.mean()),
        "difference": (better - worse) / len(labels),
        "interval": list(bootstrap_difference(without, right)),
        "p_value": mcnemar(better, worse),
        "p_adjusted": None,
        "answers": int((answers != voting.ABSTAIN).sum()),
    }


def _reach(rows: list[dict[str, Any]], answered: int, total: int) -> str:
    fewest = min(rows, key=lambda row: row["answers"])
    if fewest["answers"] == total:
        return "The vote still answers every image without any one member"
    if fewest["answers"] >= answered:
        return f"The vote answers {answered} of {total} images, and no fewer without any one member"
    return f"Without {fewest['member']} the vote answers {fewest['answers']} of {total} images, instead of {answered}"


def _cost(rows: list[dict[str, Any]]) -> str:
    told = [row for row in rows if row["p_adjusted"] < SIGNIFICANCE]
    if not told:
        return "leaving out any one member makes no significant difference"
    worst, best = min(told, key=_difference), max(told, key=_difference)
    if worst["difference"] < 0:
        return f"leaving out {worst['member']} costs most, {_points(worst)}"
    return f"no member is a significant loss; without {best['member']} the vote is better by {_points(best)}"


def _difference(row: dict[str, Any]) -> float:
    return row["difference"]


def _points(row: dict[str, Any]) -> str:
    points, p_value = 100 * abs(row["difference"]), row["p_adjusted"]
    size = f"{points:.1f}" if points >= 0.1 else f"{points:.2g}"
    return f"{size} points of accuracy (p {'< 0.001' if p_value < 0.001 else f'= {p_value:.2g}'} by Holm)"
