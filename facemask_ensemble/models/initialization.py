"""What a member started from, in words, as the tag `init` of its run has it."""

import re
from collections.abc import Iterable
from typing import NamedTuple

RANDOM = "random initialisation"
_OF_MEMBER = re.compile(r"(.+?) member (\w{8}) \((.*)\)")


class Origin(NamedTuple):
    """The members that were gone on from, dataset and run of each, the latest first; and what the first began with."""

    members: list[tuple[str, str]]
    root: str


def of_member(dataset: str, run_id: str, init: str) -> str:
    """Say that a training goes on from a member, which was trained on a dataset and started from `init` itself."""
    return f"{dataset} member {run_id[:8]} ({init})"


def origin(init: str) -> Origin:
    """Follow a start back to what the first of all trainings began with."""
    members = []
    while found := _OF_MEMBER.fullmatch(init):
        members.append((found[1], found[2]))
        init = found[3]
    return Origin(members, init)


def brief(init: str) -> str:
    """Say it in one line, however many members were gone on from."""
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
