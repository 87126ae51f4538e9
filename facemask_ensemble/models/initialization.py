"""Describe what a member started from, for the tag `init` of its run."""

import re
from collections.abc import Iterable
from typing import NamedTuple

RANDOM = "random initialisation"
_OF_MEMBER = re.compile(r"(.+?) member (\w{8}) \((.*)\)")


class Origin(NamedTuple):
    """The earlier members in a chain of trainings (dataset and run, latest first), and the weights of the first."""

    members: list[tuple[str, str]]
    root: str


def of_member(dataset: str, run_id: str, init: str) -> str:
    """Describe a training that starts from a member; the member was trained on `dataset` and started from `init`."""
    return f"{dataset} member {run_id[:8]} ({init})"


def origin(init: str) -> Origin:
    """Follow the chain back to the weights of the first training."""
    members = []
    while found := _OF_MEMBER.fullmatch(init):
        members.append((found[1], found[2]))
        init = found[3]
    return Origin(members, init)


def brief(init: str) -> str:
    """Describe the chain in one line, however long it is."""
    members, root = origin(init)
    if len(members) < 2:
        return init
    dataset, run = members[0]
    return of_member(dataset, run, f"{root}, {len(members)} trainings earlier")


def summed_up(inits: Iterable[str]) -> str:
    """Say what several members started from, everything once."""
    return ", ".join(sorted({_of_several(*origin(init)) for init in inits}))


def _of_several(members: list[tuple[str, str]], root: str) -> str:
    return f"{members[0][0]} members ({root})" if members else root
