"""How pages are rendered."""

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
