"""Measure training beside its alternatives, and print a table: `python -m facemask_ensemble.training.bench`.

All is done in a temporary folder; what is under way is told on stderr. Give KEY=VALUE, such as parts=[bare,frozen]
backbones=[xception] image_size=224 pictures=2000; null is a part's own choice.
"""

import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from omegaconf import OmegaConf

from facemask_ensemble.command import one_line_errors
from facemask_ensemble.errors import InputError
from facemask_ensemble.training.bench_parts import PARTS, Row, Settings

NUMBERS = {"image_size": 1, "pictures": 3, "batch_size": 1, "epochs": 2, "rounds": 1}  # and the least of each


def read_settings(arguments: Sequence[str]) -> Settings:
    """Read KEY=VALUE arguments.

    Raises:
        InputError: a part that there is not, or a number that is too small.
        omegaconf.errors.OmegaConfBaseException: a key that there is not, or a value of another type.
    """
    asked = OmegaConf.structured(Settings)
    asked.merge_with_dotlist(list(arguments))
    settings = OmegaConf.to_object(asked)
    assert isinstance(settings, Settings)
    if unknown := [part for part in settings.parts if part not in PARTS]:
        raise InputError(f"parts={unknown[0]}: there is no such part; choose among {', '.join(PARTS)}")
    if settings.peaks is not None and not (len(settings.peaks) == 2 and min(settings.peaks) > 0):
        raise InputError(f"peaks={settings.peaks}: must be two numbers above 0, of float32 and of mixed_float16")
    for key, least in NUMBERS.items():
        value = getattr(settings, key)
        if value is not None and value < least:
            raise InputError(f"{key}={value}: must be a whole number of at least {least}")
    return settings


def line(row: Row) -> str:
    """Write a row of the table as Markdown."""
    met = {None: "", True: "yes", False: "no"}[row.met]
    return f"| {row.what} | {row.figure} | {row.bound} | {met} |"


def run(settings: Settings) -> None:
    """Measure the parts one after the other, and print each row as soon as it is known."""
    with tempfile.TemporaryDirectory(prefix="bench-train-") as place:
        print("| what | measured | bound | met |\n| --- | --- | --- | --- |", flush=True)
        for part in settings.parts:
            print(f"{part}: {PARTS[part].__doc__}", file=sys.stderr)
            for row in PARTS[part](settings, Path(place).resolve() / part):
                print(line(row), flush=True)


def usage() -> str:
    """Explain the parts and the keys."""
    parts = "\n".join(f"  {name:<10} {part.__doc__}" for name, part in PARTS.items())
    keys = OmegaConf.to_yaml(OmegaConf.structured(Settings))
    return f"{__doc__}\nParts:\n{parts}\n\nKeys, with their values now:\n{keys}"


def main(arguments: Sequence[str]) -> None:
    """Print the table that the arguments ask for; a bound that is missed is no error."""
    if {"-h", "--help"} & {*arguments}:
        return print(usage())
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with one_line_errors():
        run(read_settings(arguments))


if __name__ == "__main__":
    main(sys.argv[1:])
