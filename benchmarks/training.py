"""Measure training beside its alternatives, and print a table: `python -m benchmarks.training`.

All is done in a temporary folder; progress is printed to stderr. Give KEY=VALUE, such as parts=[bare,frozen]
backbones=[xception] image_size=224 images=2000; null is a part's own choice.
"""

import sys
from collections.abc import Sequence

from benchmarks.harness import measure_parts, refuse_unknown, run_bench, settings_of, usage
from benchmarks.training_parts import PARTS, Settings
from facemask_ensemble.errors import InputError

NUMBERS = {"image_size": 1, "images": 3, "batch_size": 1, "epochs": 2, "rounds": 1}  # and the least of each


def read_settings(arguments: Sequence[str]) -> Settings:
    """Read KEY=VALUE arguments.

    Raises:
        InputError: an unknown part, or a number that is too small.
        omegaconf.errors.OmegaConfBaseException: an unknown key, or a value of another type.
    """
    settings = settings_of(Settings, arguments, NUMBERS)
    refuse_unknown("parts", settings.parts, PARTS)
    if settings.peaks is not None and not (len(settings.peaks) == 2 and min(settings.peaks) > 0):
        raise InputError(f"peaks={settings.peaks}: must be two numbers above 0, of float32 and of mixed_float16")
    return settings


def run(settings: Settings) -> None:
    """Measure what is asked for."""
    measure_parts(PARTS, settings.parts, settings, folder_each=True)


def main(arguments: Sequence[str]) -> None:
    """Print the table that the arguments ask for."""
    run_bench(arguments, lambda: usage(__doc__, PARTS, Settings), lambda: run(read_settings(arguments)))


if __name__ == "__main__":
    main(sys.argv[1:])
