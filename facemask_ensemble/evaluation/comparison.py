"""The vote against its best single member, and the sentence that says it plainly."""

from typing import Any

import numpy as np

from facemask_ensemble.evaluation.statistics import bootstrap_difference, mcnemar

SIGNIFICANCE = 0.05
NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def compare(vote_right: np.ndarray, member_right: np.ndarray, member: str, rule: str, members: int) -> dict[str, Any]:
    """Compare the vote with one member on the same pictures.

    Args:
        vote_right: Whether the vote answered each picture rightly, bool (n,).
        member_right: The same of the member.
        member: Its name; it must have been chosen on other pictures than these.
        rule: The voting rule's name.
        members: How many voted.
    """
    only_vote = int((vote_right & ~member_right).sum())
    only_member = int((member_right & ~vote_right).sum())
    result = {
        "best_member": member,
        "difference": (only_vote - only_member) / len(vote_right),
        "interval": list(bootstrap_difference(vote_right, member_right)),
        "only_vote_right": only_vote,
        "only_member_right": only_member,
        "p_value": mcnemar(only_vote, only_member),
    }
    return result | {"sentence": _sentence(result, rule, members)}


def _sentence(result: dict[str, Any], rule: str, members: int) -> str:
    member, difference = result["best_member"], 100 * result["difference"]
    if members == 1:
        return f"There is one member only: the vote is the answer of {member}, and nothing can be said for an ensemble."
    low, high = (100 * edge for edge in result["interval"])
    how_many = NUMBERS[members] if members < len(NUMBERS) else str(members)
    if result["p_value"] < SIGNIFICANCE:
        side = "better" if difference > 0 else "worse"
        lowest, highest = (low, high) if difference > 0 else (-high, -low)
        evidence = f"95 % interval {_number(lowest)} to {_number(highest)}, {_p(result['p_value'])}"
        return (
            f"The {rule} vote of {how_many} members is {side} than {member} alone, "
            f"by {_number(abs(difference))} points ({evidence})."
        )
    evidence = f"95 % interval {_number(low)} to {_number(high)}, {_p(result['p_value'])}"
    return (
        f"No evidence that {how_many} members are better than {member} alone: "
        f"the {rule} vote differs by {_number(difference, '+')} points ({evidence})."
    )


def _number(points: float, sign: str = "-") -> str:
    return f"{points + 0.0 if round(points, 1) else 0.0:{sign}.1f}".replace("-", "−")


def _p(value: float) -> str:
    return "p < 0.001" if value < 0.001 else f"p = {value:.2g}" if value < 0.1 else f"p = {value:.2f}"
