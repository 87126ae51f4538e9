"""What the page shows of an answer: fragments filled from the table of answers and the members' probabilities."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from facemask_ensemble import __version__
from facemask_ensemble.models.initialization import RANDOM
from facemask_ensemble.page import wording
from facemask_ensemble.page.fragments import render
from facemask_ensemble.page.service import BEHIND, IMAGE, OTHERS, Answered, Desk
from facemask_ensemble.report.encoding import encode

TOGETHER = {BEHIND: "members behind the answer", OTHERS: "other members"}


def head(desk: Desk) -> str:
    """Show what is asked, and who answers."""
    asked, told = wording.question(desk.ensemble.class_names, desk.task), desk.introduction
    return render("head", question=asked, introduction=told, random=RANDOM in told, all_random=f"({RANDOM})" in told)


def hint(desk: Desk) -> str:
    """Show what can be sent."""
    return render("hint", limits=desk.limits, class_names=desk.ensemble.class_names, members=desk.ensemble.names)


def foot(desk: Desk, keep_seconds: float) -> str:
    """Show what this page is."""
    about = {"rule": desk.ensemble.vote.name, "caution": desk.task.caution}
    return render("foot", version=__version__, minutes=keep_seconds / 60, **about)


def card(desk: Desk) -> str:
    """Show the ship card, or how to get one."""
    return render("card", card=desk.card, facts=desk.card.facts)


def programs(address: str) -> str:
    """Show how programs ask."""
    return render("programs", address=address)


def images(answered: Answered, chosen: int) -> str:
    """Show every image with its answer, to choose from."""
    rows = answered.table[["path", "prediction", "confidence", "tie", "reason"]].to_dict("records")
    shown = [row | {"src": src} for row, src in zip(rows, answered.thumbnails, strict=True)]
    return render("images", rows=shown, chosen=chosen)


def answer(desk: Desk, answered: Answered, place: int) -> str:
    """Show the vote on an image, big."""
    row = answered.table.iloc[place]
    given = [str(row[f"vote_{name}"]) for name in desk.ensemble.names]
    asked, counts = [vote for vote in given if vote], Counter(given)
    classes = desk.ensemble.class_names
    return render(
        "answer",
        row=row.to_dict(),
        meaning=wording.meaning(row["prediction"], classes, desk.task),
        sentence=wording.said(asked, row["prediction"], bool(row["tie"]), len(asked) == len(given)) if asked else "",
        counts=[(name, counts[name]) for name in sorted(classes, key=lambda name: -counts[name])],
        asked=len(asked),
        members=len(given),
    )


def votes(desk: Desk, answered: Answered, place: int) -> str:
    """Show what each member answered to an image, and their mean."""
    own = answered.probs[:, place]
    asked = ~np.isnan(own[:, 0])
    row = answered.table.iloc[place]
    members = [
        {"name": member.name, "size": member.size, "vote": row[f"vote_{member.name}"], "probs": shares}
        for member, shares in zip(desk.ensemble.members, _shares(own), strict=True)
    ]
    return render(
        "votes",
        class_names=desk.ensemble.class_names,
        prediction=row["prediction"],
        members=members,
        mean=_shares(own[asked].mean(axis=0)[None])[0],
        asked=int(asked.sum()),
    )


def figure(desk: Desk, answered: Answered, place: int, member: int = IMAGE) -> str:
    """Show an image, with a heatmap over it if one is named: a member's, or that of several together."""
    shown = desk.look(answered, place, member)
    values: dict[str, Any] = {"image": None, "reason": "", "member": "", "label": "", "share": None, "together": 0}
    values["name"] = answered.table["path"].iloc[place]
    if member in TOGETHER:
        values |= {"member": TOGETHER[member], "together": len(desk.sides(answered, place)[member])}
        values["label"] = answered.table["prediction"].iloc[place]
    elif member != IMAGE:
        label = int(answered.probs[member, place].argmax())
        values |= {"member": desk.ensemble.names[member], "label": desk.ensemble.class_names[label]}
        values["share"] = float(answered.probs[member, place, label])
    if isinstance(shown, str) and member != IMAGE:
        values["reason"], shown = shown, desk.look(answered, place)
    if isinstance(shown, str):
        return render("figure", **values | {"reason": shown, "member": ""})
    return render("figure", **values | {"image": encode(shown)})


def looks(desk: Desk, answered: Answered, place: int) -> list[tuple[str, int]]:
    """Name the heatmaps that there may be of an image: of the members that were asked, and of several together."""
    sides, prediction = desk.sides(answered, place), answered.table["prediction"].iloc[place]
    asked = sorted(member for side in sides.values() for member in side)
    if desk.method is None or not asked:
        return []
    together = [(name, side) for side, name in TOGETHER.items() if prediction and len(sides[side]) > 1]
    return [("the image", IMAGE), *together, *((desk.ensemble.names[member], member) for member in asked)]


def _shares(probs: np.ndarray) -> list[Sequence[float] | None]:
    return [None if np.isnan(own).any() else [float(share) for share in own] for own in probs]
