"""Compare the vote with a rival, and say in a sentence which is better."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from facemask_ensemble.evaluation.statistics import bootstrap_difference, mcnemar

SIGNIFICANCE = 0.05
NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def paired(first_right: np.ndarray, second_right: np.ndarray) -> dict[str, Any]:
    """Compare the vote with a rival on the same images.

    Args:
        first_right: Whether the vote is right on each image, bool (n,).
        second_right: The same of the rival.

    Returns:
        `difference` in accuracy, its bootstrap `interval`, `only_vote_right`, `only_member_right`, McNemar's `p_value`.
    """
    only_vote = int((first_right & ~second_right).sum())
    only_member = int((second_right & ~first_right).sum())
    return {
        "difference": (only_vote - only_member) / len(first_right),
        "interval": list(bootstrap_difference(first_right, second_right)),
        "only_vote_right": only_vote,
        "only_member_right": only_member,
        "p_value": mcnemar(only_vote, only_member),
    }


def sentence(found: Mapping[str, Any], rule: str, members: int) -> str:
    """Say plainly whether the vote is better than its rival; where `found` has `p_adjusted`, that one decides."""
    member, difference = found["rival"], 100 * found["difference"]
    if members == 1:
        return f"There is only one member, {member}: the vote is its answer, and there is no ensemble to compare."
    low, high = (100 * edge for edge in found["interval"])
    how_many = NUMBERS[members] if members < len(NUMBERS) else str(members)
    p_value = found.get("p_adjusted", found["p_value"])
    alone = "" if " + " in member else " alone"
    if p_value < SIGNIFICANCE:
        side = "better" if difference > 0 else "worse"
        lowest, highest = (low, high) if difference > 0 else (-high, -low)
        evidence = f"95 % interval {_number(lowest)} to {_number(highest)}, {_p(p_value)}"
        return (
            f"The {rule} vote of {how_many} members is {side} than {member}{alone}, "
            f"by {_number(abs(difference))} points ({evidence})."
        )
    evidence = f"95 % interval {_number(low)} to {_number(high)}, {_p(p_value)}"
    return (
        f"No evidence that {how_many} members are better than {member}{alone}: "
        f"the {rule} vote differs by {_number(difference, '+')} points ({evidence})."
    )


def _number(points: float, sign: str = "-") -> str:
    return f"{points + 0.0 if round(points, 1) else 0.0:{sign}.1f}".replace("-", "−")


def _p(value: float) -> str:
    return "p < 0.001" if value < 0.001 else f"p = {value:.2g}" if value < 0.1 else f"p = {value:.2f}"
