"""Every subset of the members with every rule: accuracy and cost, and a choice made on validation."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from facemask_ensemble.ensemble import voting
from facemask_ensemble.ensemble.rules import Rule, folds_of
from facemask_ensemble.evaluation.rule_predictions import Judged
from facemask_ensemble.evaluation.statistics import wilson_interval

ALL = 10  # members of which every subset is tried
LEARN_ON = 2000  # validation images that a rule learns from, here; its own score elsewhere uses all
ALONE = Rule("alone", voting.majority)


def subsets(members: int) -> list[tuple[int, ...]]:
    """List the subsets of member indices, small ones first; of many members singles, pairs, all but one, and all."""
    sizes = range(1, members + 1) if members <= ALL else sorted({1, 2, members - 1, members})
    return [chosen for size in sizes for chosen in combinations(range(members), size)]


def frontier(
    rules: Sequence[Rule],
    validation: Judged,
    test: Judged,
    names: Sequence[str],
    costs: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """Score every subset by every rule on both splits, and choose one on validation alone.

    A rule that learns is fitted on validation for its test score, and across two folds of validation for its
    validation score; without two folds it has no answer there, which counts as not right. Single members are listed
    once, as rule `alone`.

    Args:
        rules: to try.
        validation: chooses; may hold no image: then nothing is chosen, and rules that learn are left out.
        test: judges.
        names: of the members.
        costs: by member `milliseconds` an image and `megabytes`; if it lacks a member, members are counted instead.

    Returns:
        `points` (members as indices, rule, accuracy, interval, validation_accuracy, milliseconds, megabytes,
        dominated), `chosen` (a point's place, with `sentence`), and `lucky`, the place of the highest test accuracy.
    """
    folds = folds_of(validation.groups or [""] * len(validation.labels), 2)
    sample = np.random.default_rng(0).permutation(len(validation.labels))[:LEARN_ON]
    points: list[dict[str, Any]] = []
    right: list[np.ndarray] = []
    rules = rules if len(validation.labels) else [rule for rule in rules if rule.learn is None]
    costs = costs if all(name in costs for name in names) else {}  # else counts would be held against milliseconds
    for chosen in subsets(len(names)):
        for rule in [ALONE] if len(chosen) == 1 else rules:
            answered, expected = _answers(rule.of(chosen), chosen, validation, test, np.sort(sample), folds)
            points.append(_point(chosen, rule.name, answered == test.labels, names, costs))
            found = expected == validation.labels
            points[-1]["validation_accuracy"] = float(found.mean()) if len(found) else None
            right.append(np.packbits(found))  # a bit an image: there are hundreds of choices
    _mark_dominated(points)
    place = _choose(points, right, len(validation.labels)) if len(validation.labels) else None
    lucky = max(range(len(points)), key=lambda index: (points[index]["accuracy"], -len(points[index]["members"])))
    return {
        "members": list(names),
        "points": points,
        "chosen": place,
        "lucky": lucky,
        "sentence": _sentence(points, place, lucky, names),
    }


def _answers(
    rule: Rule, chosen: tuple[int, ...], validation: Judged, test: Judged, sample: np.ndarray, folds: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Answer the test, and validation with what was learned from other validation images."""
    index = list(chosen)
    if rule.learn is None:
        fitted = rule.fit(test.probs[index], test.labels)
        return fitted(test.probs[index]), fitted(validation.probs[index])
    probs = validation.probs[index]
    fitted = rule.fit(probs[:, sample], validation.labels[sample])
    expected = np.full(len(folds), voting.ABSTAIN)
    for fold in (0, 1):
        other = sample[folds[sample] != fold]
        held = folds == fold
        if len(other):
            expected[held] = rule.fit(probs[:, other], validation.labels[other])(probs[:, held])
    return fitted(test.probs[index]), expected


def _point(
    chosen: tuple[int, ...], rule: str, right: np.ndarray, names: Sequence[str], costs: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    return {
        "members": list(chosen),
        "rule": rule,
        "accuracy": float(right.mean()),
        "interval": list(wilson_interval(int(right.sum()), len(right))),
        **{
            key: sum(float(costs[names[member]][key]) for member in chosen) if costs else None
            for key in ("milliseconds", "megabytes")
        },
    }


def _mark_dominated(points: list[dict[str, Any]]) -> None:
    """Mark the points that another point beats in accuracy at no higher cost; without costs, members are counted."""
    cost = [_cost(point) for point in points]
    best = -1.0
    for index in sorted(range(len(points)), key=lambda index: (cost[index], -points[index]["accuracy"])):
        points[index]["dominated"] = points[index]["accuracy"] <= best
        best = max(best, points[index]["accuracy"])


def _cost(point: Mapping[str, Any]) -> float:
    return float(len(point["members"]) if point["milliseconds"] is None else point["milliseconds"])


def _choose(points: Sequence[Mapping[str, Any]], right: Sequence[np.ndarray], images: int) -> int:
    """Take the cheapest whose validation accuracy lies within a standard error of the best, paired by image.

    Source of the one-standard-error rule: L. Breiman et al., "Classification and Regression Trees" (1984).

    Args:
        points: the choices.
        right: of each, whether it is right on each validation image, packed bits.
        images: how many there are.
    """
    accuracy = [point["validation_accuracy"] for point in points]
    best = min(range(len(points)), key=lambda place: (-accuracy[place], _cost(points[place])))
    near = []
    for place, packed in enumerate(right):
        behind = round((accuracy[best] - accuracy[place]) * images)
        apart = int(np.unpackbits(right[best] ^ packed, count=images).sum())
        if behind**2 <= apart:  # the variance of `behind` where neither is better: one image alone tells nothing
            near.append(place)
    return min(near, key=lambda place: (_cost(points[place]), -accuracy[place]))


def named(point: Mapping[str, Any], names: Sequence[str]) -> str:
    """Name a point as a person would."""
    if len(point["members"]) == 1:
        return f"{names[point['members'][0]]} alone"
    who = "all" if len(point["members"]) == len(names) else " + ".join(names[member] for member in point["members"])
    return f"{who} by {point['rule']}"


def _sentence(points: Sequence[Mapping[str, Any]], place: int | None, lucky: int, names: Sequence[str]) -> str:
    luck = points[lucky]
    if len(names) == 1:
        return f"There is only one member, {names[0]}: there is nothing to choose."
    if place is None:
        return "There are no validation images, so nothing was chosen: the best choice on the test is partly luck."
    chosen = points[place]
    text = (
        f"Of {len(points)} choices, validation picks {named(chosen, names)}: "
        f"{100 * chosen['validation_accuracy']:.1f} % there, {100 * chosen['accuracy']:.1f} % on the test."
    )
    if luck["accuracy"] == chosen["accuracy"]:
        return text + " No other choice is better on the test."
    return (
        text + f" The best on the test is {named(luck, names)} with {100 * luck['accuracy']:.1f} %, but only the test "
        "shows it."
    )
