"""Write audit.html, one file that needs nothing else, and audit.json."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from facemask_ensemble.auditing import examples, shortcut_findings
from facemask_ensemble.report import audit_charts
from facemask_ensemble.report.encoding import encode
from facemask_ensemble.report.environment import environment
from facemask_ensemble.versions import versions

PACKAGES = ("facemask-ensemble", "pillow", "numpy", "pandas", "scipy", "scikit-learn")
LISTED = 60  # paths of one kind of finding
LEVELS = {
    "stop": ("✗", "cannot train"),
    "fix": ("!", "fix first"),
    "look": ("?", "look at it"),
    "note": ("✓", "good to know"),
}


def write_audit(report: Mapping[str, Any], images: Mapping[str, np.ndarray], command: str, folder: Path) -> Path:
    """Write `audit.html` and `audit.json` into the folder and give the page's path.

    Args:
        report: what `auditing.report.report_on` gives.
        images: pixels, uint8 (h, w, 3), by path; one that is missing is shown by its name.
        command: the command line that made the report.
        folder: created if it is not there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(report, indent=1, ensure_ascii=False, allow_nan=False)
    (folder / "audit.json").write_text(text, encoding="utf-8")
    page = folder / "audit.html"
    page.write_text(_render(report, images, command), encoding="utf-8")
    return page


def _render(report: Mapping[str, Any], images: Mapping[str, np.ndarray], command: str) -> str:
    made = environment()
    made.filters |= {"shares": audit_charts.shares, "mix": shortcut_findings.mix, "bytes": file_size}
    histograms = report["sizes"]["histograms"]
    return made.get_template("audit.html.j2").render(
        report=report,
        images={path: encode(pixels) for path, pixels in images.items()},
        levels=LEVELS,
        colours=audit_charts.COLOURS,
        cues=audit_charts.cue_plot(report["shortcuts"], shortcut_findings.CUES),
        sees=shortcut_findings.SEES,
        advice=shortcut_findings.ADVICE,
        charts=[
            ("Exact sizes, px", audit_charts.bubbles(report["sizes"]["drawn"]), "width", "height"),
            ("Shorter side", audit_charts.histogram(histograms["shorter_side"], audit_charts.SIDE_TICKS), "pixels", ""),
            ("Shape", audit_charts.histogram(histograms["aspect"], audit_charts.ASPECT_TICKS), "width : height", ""),
            ("File size", audit_charts.histogram(histograms["bytes"], audit_charts.BYTE_TICKS), "", ""),
        ],
        limits={"listed": LISTED, "pairs": examples.PAIRS, "inside": examples.INSIDE},
        command=command,
        versions=versions(PACKAGES),
        written=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )


def file_size(count: float) -> str:
    """Write a number of bytes as a person reads it."""
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if count >= 10 or unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"
