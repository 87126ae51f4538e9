"""How pages are rendered, and by what."""

import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files

from jinja2 import Environment, FunctionLoader, StrictUndefined

from facemask_ensemble.report import charts, numbers


def environment() -> Environment:
    """Make the environment that every page is rendered in: what is put into a page is escaped."""
    made = Environment(
        loader=FunctionLoader(lambda name: files("facemask_ensemble.report").joinpath(name).read_text("utf-8")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    named = (
        numbers.percent,
        numbers.interval,
        numbers.thousands,
        charts.row_shares,
        charts.by_answer,
        charts.shades,
        charts.filled,
        numbers.points,
        numbers.correlation,
        numbers.pvalue,
    )
    made.filters |= {function.__name__: function for function in named}
    return made


def versions(packages: Sequence[str]) -> dict[str, str]:
    """Name the versions of Python and of the packages that are installed."""
    found = {"Python": platform.python_version()}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
