"""Measure prediction beside its alternatives, and print a table: `python -m benchmarks.prediction`.

Seven members of random weights are made for it, in a temporary folder, or give trained ones: output_dir=outputs
study=NAME. Progress is printed to stderr. Give KEY=VALUE, such as parts=[speed,cold] count=100
images=photos.txt precisions=[bfloat16].
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.harness import measure_parts, refuse_unknown, run_bench, settings_of, usage
from benchmarks.prediction_parts import PARTS, Settings
from facemask_ensemble.errors import InputError
from facemask_ensemble.prediction.runtimes.openvino import QUICKEST

NUMBERS = {"image_size": 32, "count": 1, "alone": 1, "many": 4, "batch_size": 1}  # and the least of each
WAYS = ("float32", "bfloat16", "int8", QUICKEST)


def read_settings(arguments: Sequence[str]) -> Settings:
    """Read KEY=VALUE arguments.

    Raises:
        InputError: an unknown part or precision, a missing folder, or a number that is too small.
        omegaconf.errors.OmegaConfBaseException: an unknown key, or a value of another type.
    """
    settings = settings_of(Settings, arguments, NUMBERS)
    refuse_unknown("parts", settings.parts, PARTS)
    refuse_unknown("precisions", settings.precisions, WAYS)
    if (settings.study is None) != (settings.output_dir is None):
        raise InputError("study and output_dir: trained members need both; give output_dir=outputs study=NAME")
    if QUICKEST in settings.precisions and settings.study is None:
        raise InputError(
            f"precisions={QUICKEST}: works with trained members only; give output_dir=outputs study=NAME too"
        )
    if settings.output_dir and not Path(settings.output_dir).expanduser().is_dir():
        raise InputError(f"output_dir={settings.output_dir}: no such folder")
    if settings.images and not Path(settings.images).expanduser().exists():
        raise InputError(f"images={settings.images}: no such folder, list or archive")
    return settings


def run(settings: Settings) -> None:
    """Measure what is asked for."""
    measure_parts(PARTS, settings.parts, settings, folder_each=False)


def main(arguments: Sequence[str]) -> None:
    """Print the table that the arguments ask for."""
    run_bench(arguments, lambda: usage(__doc__, PARTS, Settings), lambda: run(read_settings(arguments)))


if __name__ == "__main__":
    main(sys.argv[1:])
