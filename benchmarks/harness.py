"""What benches of several parts share: settings by KEY=VALUE, a table that grows row by row, and `--help`."""

import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from omegaconf import OmegaConf

from facemask_ensemble.error_lines import one_line_errors
from facemask_ensemble.errors import InputError


@dataclass(frozen=True)
class Row:
    """A line of the table; `met` is None where nothing was promised."""

    what: str
    figure: str
    bound: str = ""
    met: bool | None = None

    @classmethod
    def at_least(cls, what: str, ratio: float, bound: float) -> "Row":
        """Judge a ratio that should be large."""
        return cls(what, f"{ratio:.2f}", f"at least {bound:g}", ratio >= bound)

    @classmethod
    def at_most(cls, what: str, ratio: float, bound: float) -> "Row":
        """Judge a ratio that should be small."""
        return cls(what, f"{ratio:.2f}", f"at most {bound:g}", ratio <= bound)

    @property
    def line(self) -> str:
        """Write it as Markdown."""
        met = {None: "", True: "yes", False: "no"}[self.met]
        return f"| {self.what} | {self.figure} | {self.bound} | {met} |"


Part = Callable[[Any, Path], Iterator[Row]]
S = TypeVar("S")


def settings_of(kind: type[S], arguments: Sequence[str], least: Mapping[str, int]) -> S:
    """Read KEY=VALUE arguments into settings, a dataclass.

    Args:
        kind: of the settings.
        arguments: as on the command line.
        least: the smallest value of numbers, by their keys; None is not checked.

    Raises:
        InputError: a number that is too small.
        omegaconf.errors.OmegaConfBaseException: an unknown key, or a value of another type.
    """
    asked = OmegaConf.structured(kind)
    asked.merge_with_dotlist(list(arguments))
    settings = OmegaConf.to_object(asked)
    assert isinstance(settings, kind)
    for key, smallest in least.items():
        value = getattr(settings, key)
        if value is not None and value < smallest:
            raise InputError(f"{key}={value}: must be a whole number of at least {smallest}")
    return settings


def refuse_unknown(key: str, given: Sequence[str], known: Iterable[str]) -> None:
    """Refuse unknown choices.

    Raises:
        InputError: naming the key, the first that is unknown, and what can be chosen.
    """
    choices = list(known)
    if unknown := [one for one in given if one not in choices]:
        raise InputError(f"{key}={unknown[0]}: not known; choose from {', '.join(choices)}")


def measure_parts(parts: Mapping[str, Part], asked: Sequence[str], settings: Any, *, folder_each: bool) -> None:
    """Measure parts one after the other in a temporary folder, and print each row as soon as it is known."""
    with tempfile.TemporaryDirectory(prefix="bench-") as place:
        print("| what | measured | bound | met |\n| --- | --- | --- | --- |", flush=True)
        for part in asked:
            print(f"{part}: {parts[part].__doc__}", file=sys.stderr)
            folder = Path(place).resolve()
            for row in parts[part](settings, folder / part if folder_each else folder):
                print(row.line, flush=True)


def usage(about: str | None, parts: Mapping[str, Part], kind: type) -> str:
    """Explain the parts and the keys."""
    explained = "\n".join(f"  {name:<10} {part.__doc__}" for name, part in parts.items())
    return (
        f"{about}\nParts:\n{explained}\n\nKeys, with their values now:\n{OmegaConf.to_yaml(OmegaConf.structured(kind))}"
    )


def run_bench(arguments: Sequence[str], explain: Callable[[], str], run: Callable[[], None]) -> None:
    """Explain, or run: a known error is one line and exit code 2, a bound that is missed is no error."""
    if {"-h", "--help"} & {*arguments}:
        print(explain())
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with one_line_errors():
        run()
