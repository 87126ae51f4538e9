"""Measure prediction beside its alternatives, and print a table: `python -m facemask_ensemble.ensemble.bench`.

Seven members of random weights are made for it, in a temporary folder, or give trained ones: output_dir=outputs
study=NAME. What is under way is told on stderr. Give KEY=VALUE, such as parts=[speed,cold] count=100
pictures=PHOTOS precisions=[bfloat16].
"""

import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from omegaconf import OmegaConf

from facemask_ensemble.command import one_line_errors
from facemask_ensemble.ensemble.bench_parts import PARTS, Settings
from facemask_ensemble.errors import InputError
from facemask_ensemble.training.bench import line

NUMBERS = {"image_size": 32, "count": 1, "alone": 1, "many": 4, "batch_size": 1}  # and the least of each
WAYS = ("float32", "bfloat16", "int8")


def read_settings(arguments: Sequence[str]) -> Settings:
    """Read KEY=VALUE arguments.

    Raises:
        InputError: a part, a precision or a folder that there is not, or a number that is too small.
        omegaconf.errors.OmegaConfBaseException: a key that there is not, or a value of another type.
    """
    asked = OmegaConf.structured(Settings)
    asked.merge_with_dotlist(list(arguments))
    settings = OmegaConf.to_object(asked)
    assert isinstance(settings, Settings)
    for key, known in (("parts", tuple(PARTS)), ("precisions", WAYS)):
        if unknown := [one for one in getattr(settings, key) if one not in known]:
            raise InputError(f"{key}={unknown[0]}: there is no such one; choose among {', '.join(known)}")
    for key, least in NUMBERS.items():
        if (value := getattr(settings, key)) < least:
            raise InputError(f"{key}={value}: must be a whole number of at least {least}")
    if (settings.study is None) != (settings.output_dir is None):
        raise InputError("study and output_dir: trained members need both; give output_dir=outputs study=NAME")
    for key in ("pictures", "output_dir"):
        if (folder := getattr(settings, key)) and not Path(folder).expanduser().is_dir():
            raise InputError(f"{key}={folder}: no such folder")
    return settings


def run(settings: Settings) -> None:
    """Measure the parts one after the other, and print each row as soon as it is known."""
    with tempfile.TemporaryDirectory(prefix="bench-predict-") as place:
        print("| what | measured | bound | met |\n| --- | --- | --- | --- |", flush=True)
        for part in settings.parts:
            print(f"{part}: {PARTS[part].__doc__}", file=sys.stderr)
            for row in PARTS[part](settings, Path(place).resolve()):
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
