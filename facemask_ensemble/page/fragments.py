"""The parts of the page that Gradio has no component for: HTML from templates, what is put into them escaped."""

from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined

from facemask_ensemble.report.numbers import interval, percent, thousands


def render(name: str, /, **values: Any) -> str:
    """Render a fragment.

    Gradio takes it for a template once more: what would be one, in the name of a file for example, is escaped.
    """
    text = _environment().get_template(name).render(values)
    return text.replace("{", "&#123;").replace("$", "&#36;")


@cache
def _environment() -> Environment:
    folder = files("facemask_ensemble.page") / "fragments"
    made = Environment(
        loader=FunctionLoader(lambda name: (folder / f"{name}.html.j2").read_text("utf-8")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {function.__name__: function for function in (interval, percent, thousands)}
    return made
