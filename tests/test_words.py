"""One word for a thing: retired words and sentences appear in no text that a user or a developer can meet."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
RETIRED = {  # what a reader had to read twice, and what stands there now
    r"pictur": "image (or figure, for what is drawn on a page)",
    r"\bdata[ _-]sets?\b": "dataset",
    r"\bsaliency(?! maps\")": "heatmap",
    r"\bmends?\b|\bmended\b|\bmending\b": "fix",
    r"\blest\b": "so that … not",
    r"cannot be had": "cannot be downloaded, is not installed",
    r"answers? no more": "stopped responding",
    r"no whole (?!number)": "not a valid, not a complete",
    r"votes? otherwise": "disagrees with",
    r"promises? nothing": "unpromising",
    r"in want of": "has too few",
    r"\bas ever\b": "(say what happens)",
    r"\bsurely\b": "significant at p < 0.05",
    r"not rehearsed|\brehears": "robustness not measured",
    r"goes on from where|gone on with": "resumes",
    r"\bat hand\b": "available",
    r"\bballots?\b": "rule predictions",
    r"tell-?tales?\b": "shortcuts",
    r"\bnought\b|\baught\b|\bwhence\b|\bhence\b|\bthither\b": "(plain English)",
}
TEXTS = (".py", ".yaml", ".md", ".j2", ".toml", ".js", ".css")


def texts():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    own = Path(__file__).relative_to(ROOT).as_posix()
    return [name for name in listed.splitlines() if name.endswith(TEXTS) and name != own]


@pytest.mark.parametrize("retired", RETIRED)
def test_no_text_has_a_retired_word(retired):
    found = [
        f"{name}: …{text[max(0, hit.start() - 40) : hit.end() + 40]}…"
        for name in texts()
        for text in [(ROOT / name).read_text(encoding="utf-8")]
        for hit in re.finditer(retired, text, re.IGNORECASE)
    ]
    assert not found, f"write {RETIRED[retired]} instead"
