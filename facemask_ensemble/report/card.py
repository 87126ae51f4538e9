"""Write card.html, the one page that goes with a shipped ensemble, and card.json."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from facemask_ensemble.evaluation.verdict import plain
from facemask_ensemble.report.environment import environment
from facemask_ensemble.report.numbers import MISSING, thousands

LISTED = 9  # classes whose recall is drawn; of more the lowest, so that the page stays one
LISTS = ("class_names", "members", "left_out", "warnings", "must_not")
KEYS = (
    ("name", "study", "rule", "ties", "accuracy", "accuracy_interval", "images", "sentence", "best_member")
    + ("difference", "difference_interval", "p_value", "milliseconds", "megabytes", "measured", "tie_rate")
    + ("abstention_rate", "coverage", "send", "log_loss", "expected_calibration_error", "temperature")
    + ("fingerprint", "dataset", "dataset_images", "per_class_recall", "command", "written")
)


def write_card(card: Mapping[str, Any], folder: Path) -> Path:
    """Write `card.html`, one A4 page that needs nothing else, and `card.json` into the folder; give the page's path.

    Args:
        card: what is known of the ensemble, by the names in `KEYS` and `LISTS`. `accuracy`, `difference`, `tie_rate`,
            `abstention_rate`, `expected_calibration_error` and the values of `per_class_recall` are shares; an
            interval is a pair of shares; `milliseconds` are for one image, `megabytes` for all members. `members`
            have name, weight and init, `left_out` name and reason. What is missing, None or nan is shown as a dash.
        folder: created if it is not there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    known = plain(card)
    text = json.dumps(known, indent=2, ensure_ascii=False, allow_nan=False)
    (folder / "card.json").write_text(text, encoding="utf-8")
    made = environment()
    made.filters |= {function.__name__: function for function in (figure, significance, said)}
    page = folder / "card.html"
    shown = dict.fromkeys(KEYS) | known | {key: known.get(key) or [] for key in LISTS}
    html = made.get_template("card.html.j2").render(
        card=shown, recalls=_recalls(shown["per_class_recall"] or {}), heaviest=_heaviest(shown["members"])
    )
    page.write_text(html, encoding="utf-8")
    return page


def figure(value: float | None, digits: int = 3) -> str:
    """Write a number with so many significant digits, and at least all digits before the point."""
    if value is None:
        return MISSING
    return thousands(round(value)) if abs(value) >= 10 ** (digits - 1) else f"{value:.{digits}g}"


def significance(p_value: float | None) -> str:
    """Write a p-value for a sentence."""
    if p_value is None:
        return MISSING
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.2g}" if p_value < 0.1 else f"p = {p_value:.2f}"


def said(text: object) -> str:
    """Show a text, or a dash where there is none."""
    return MISSING if text is None or text == "" else str(text)


def _recalls(shares: Mapping[str, float | None]) -> dict[str, float | None]:
    """Take every class in its order, or the lowest where there are too many for the page."""
    if len(shares) <= LISTED:
        return dict(shares)
    lowest = sorted(shares, key=lambda name: -1.0 if shares[name] is None else float(shares[name] or 0))
    return {name: shares[name] for name in lowest[:LISTED]}


def _heaviest(members: list[Mapping[str, Any]]) -> float:
    """Give the largest weight, to which the bars are drawn; 1 where members have none."""
    return max((member.get("weight") or 0 for member in members), default=0) or 1
