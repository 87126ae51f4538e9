"""Is the vote worth it? Against the best member, the best pair, and the best member on the test."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from facemask_ensemble.ensemble import voting
from facemask_ensemble.evaluation.comparison import paired, sentence
from facemask_ensemble.evaluation.rule_predictions import Judged, RuleAnswers
from facemask_ensemble.evaluation.statistics import holm


def worth(rule_answers: RuleAnswers, validation: Judged, test: Judged, members: Sequence[str]) -> dict[str, Any]:
    """Compare the vote with what could be shipped instead, each p-value adjusted for the number of comparisons (Holm).

    The best member and the best pair (by soft vote) are chosen on validation; the best member on the test is chosen on
    the images that it is compared on, which flatters it, and is left out where it is the same member.

    Returns:
        `comparisons`: the best member on validation first; each with `rival`, `chosen_on`, the numbers of `paired`,
        `p_adjusted` and `sentence`.
    """
    right = rule_answers.answers == test.labels
    entries = [
        {"rival": name, "chosen_on": chosen_on, **paired(right, answers == test.labels)}
        for name, chosen_on, answers in _rivals(validation, test, members)
    ]
    for entry, adjusted in zip(entries, holm([entry["p_value"] for entry in entries]), strict=True):
        entry["p_adjusted"] = adjusted
        entry["sentence"] = sentence(entry, rule_answers.name, len(members))
    return {"comparisons": entries, "method": _method(len(entries))}


def _rivals(validation: Judged, test: Judged, members: Sequence[str]) -> list[tuple[str, str, np.ndarray]]:
    votes = voting.votes(test.probs)
    best = best_member(validation)
    rivals = [(members[best], "validation", votes[best])]
    if len(members) > 2:
        pair = list(_best_pair(validation))
        rivals.append((" + ".join(members[member] for member in pair), "validation", voting.soft(test.probs[pair])))
    lucky = int((votes == test.labels).mean(axis=1).argmax())
    if lucky != best:
        rivals.append((members[lucky], "test", votes[lucky]))
    return rivals


def best_member(validation: Judged) -> int:
    """Choose the member that is right most often on validation; of equal ones the first."""
    return int((voting.votes(validation.probs) == validation.labels).mean(axis=1).argmax())


def _best_pair(validation: Judged) -> tuple[int, int]:
    pairs = list(combinations(range(len(validation.probs)), 2))
    right = [(voting.soft(validation.probs[list(pair)]) == validation.labels).mean() for pair in pairs]
    return pairs[int(np.argmax(right))]


def _method(comparisons: int) -> str:
    adjusted = f", p-values adjusted for {comparisons} comparisons by Holm" if comparisons > 1 else ""
    return f"Exact McNemar test on the images that only one of the two gets right{adjusted}; percentile bootstrap."


def as_comparison(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Give the first comparison, with the best member on validation, under the names that the page's head reads."""
    return {"best_member": entry["rival"], **{key: value for key, value in entry.items() if key != "rival"}}
