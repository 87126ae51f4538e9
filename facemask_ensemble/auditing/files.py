"""Odd and unreadable files, gathered by what was found and what was done with them."""

from typing import Any

import pandas as pd

CONTRADICTION = "the same image is also in another class"
LEAK = "a copy, or the same group, of an image in the given validation or test split"
KINDS = {  # reasons that name another file, by how they begin
    "same image as": CONTRADICTION,
    "near ": LEAK,
    "damaged": "damaged",
    "cannot be opened": "cannot be opened",
    "suffix ": "its suffix is not a supported image type",
}


def odd_files(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Gather the readable but odd files by finding, the commonest first; one with two findings is in both."""
    odd = rows.loc[rows["odd"] != "", ["path", "odd"]]
    each = odd.assign(finding=odd["odd"].str.split("; ")).explode("finding")
    return _gathered(each, "finding")


def left_out(quarantine: pd.DataFrame) -> list[dict[str, Any]]:
    """Gather the files that were left out by kind of reason, the commonest first."""
    return _gathered(quarantine.assign(finding=quarantine["reason"].map(kind_of)), "finding", "reason")


def kind_of(reason: str) -> str:
    """Name the kind of a reason: what it says, without the file it says it of."""
    return next((kind for start, kind in KINDS.items() if reason.startswith(start)), reason)


def _gathered(each: pd.DataFrame, by: str, detail: str | None = None) -> list[dict[str, Any]]:
    columns = ["path", *([detail] if detail else [])]
    found = [
        {"finding": str(name), "files": len(part), "paths": part[columns].to_dict("records")}
        for name, part in each.groupby(by, sort=False)
    ]
    return sorted(found, key=lambda item: (-item["files"], item["finding"]))
