"""The audit in a terminal: what to fix, then the counts."""

from collections.abc import Mapping
from typing import Any

from rich.console import Group
from rich.padding import Padding
from rich.text import Text

from facemask_ensemble.report.numbers import percent

STYLES = {"stop": "bold red", "fix": "bold red", "look": "bold yellow", "note": "dim"}
WORDS = {"stop": "cannot train", "fix": "fix first", "look": "look at it", "note": "good to know"}


def summary(report: Mapping[str, Any]) -> Group:
    """Lay the verdict, the findings and the counts out for a terminal of 80 columns."""
    lines: list[Any] = [Text(f"{report['name']}: {report['verdict']}", style="bold"), Text("")]
    for found in report["findings"]:
        head = Text.assemble((f"{WORDS[found['level']]}: ", STYLES[found["level"]]), (found["title"], "bold"))
        lines += [head, Padding(Text(found["text"]), (0, 0, 0, 2))]
    return Group(*lines, Text(""), *(Text(line) for line in _counts(report)))


def _counts(report: Mapping[str, Any]) -> list[str]:
    images, copies = report["images"], report["copies"]
    classes = ", ".join(f"{name} {count:,}" for name, count in list(report["balance"]["counts"].items())[:12])
    out = sum(kind["files"] for kind in report["files"]["left_out"])
    leak = copies["random_split"]
    return [
        f"files      {images['labelled']:,} labelled, {images['used']:,} used, {out:,} left out, "
        f"{report['files']['odd_files']:,} odd but read",
        f"classes    {classes}{' and more' if len(report['balance']['counts']) > 12 else ''}",
        f"copies     {copies['images']:,} images in {copies['groups']:,} groups, "
        f"pairs of differing classes: {len(copies['conflicts']):,}",
        f"leaks      a random split would leak {percent(leak)} %",
    ]
