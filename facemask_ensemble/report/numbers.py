"""Numbers as a person reads them."""

from collections.abc import Mapping
from typing import Any

MISSING = "–"


def percent(share: float | None) -> str:
    """Write a share as percent with one decimal, without the sign."""
    return MISSING if share is None else f"{100 * share:.1f}"


def interval(edges: tuple[float, float] | list[float] | None, between: str = " to ") -> str:
    """Write an interval of shares in percent."""
    return MISSING if not edges else f"{percent(edges[0])}{between}{percent(edges[1])}"


def duration(seconds: float | None) -> str:
    """Write seconds as s, min or h."""
    if seconds is None:
        return MISSING
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def millions(count: float | None) -> str:
    """Write a parameter count in millions, or in thousands where that says more."""
    if count is None:
        return MISSING
    return f"{count / 1e6:.1f} M" if count >= 1e5 else f"{count / 1e3:.1f} k"


def thousands(count: int | None) -> str:
    """Write a count with thin spaces between thousands."""
    return MISSING if count is None else f"{count:,}".replace(",", "\u202f")


def points(share: float | None) -> str:
    """Write a difference of shares in percentage points, with its sign."""
    if share is None:
        return MISSING
    rounded = round(100 * share, 1)
    return f"{rounded:+.1f}".replace("-", "−") if rounded else "0.0"


def correlation(value: float | None) -> str:
    """Write a correlation with two decimals."""
    return MISSING if value is None else f"{value:.2f}".replace("-", "−")


def pvalue(value: float | None) -> str:
    """Write a p-value: a power of ten above it where it is small."""
    if value is None:
        return MISSING
    if value >= 0.001:
        return f"{value:.3f}"
    return "below 10⁻³" if value >= 1e-6 else "below 10⁻⁶" if value >= 1e-12 else "below 10⁻¹²"


def epochs(member: Mapping[str, Any]) -> int | None:
    """Count the epochs a member ran."""
    history = member.get("history") or {}
    return member.get("epochs") or max((len(values) for values in history.values() if values), default=None)
