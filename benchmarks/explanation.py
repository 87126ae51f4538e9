"""Measure heatmaps beside their alternative, and print a table: `python -m benchmarks.explanation`.

Members of random weights explain random pixels; progress is printed to stderr. Give KEY=VALUE, such as
parts=[speed] methods=[gradcam] backbones=[xception] image_size=224 images=64.
"""

import sys
from collections.abc import Sequence

from benchmarks.explanation_parts import METHODS, PARTS, PRECISIONS, Settings
from benchmarks.harness import measure_parts, refuse_unknown, run_bench, settings_of, usage
from facemask_ensemble.config import options

NUMBERS = {
    "image_size": 32, "images": 1, "scorecam": 1, "alone": 1, "batch_size": 1, "rounds": 1, "many": 17
}  # fmt: skip  # and the least of each


def read_settings(arguments: Sequence[str]) -> Settings:
    """Read KEY=VALUE arguments.

    Raises:
        InputError: an unknown part, method, backbone or precision, or a number that is too small.
        omegaconf.errors.OmegaConfBaseException: an unknown key, or a value of another type.
    """
    settings = settings_of(Settings, arguments, NUMBERS)
    refuse_unknown("parts", settings.parts, PARTS)
    refuse_unknown("methods", settings.methods, METHODS)
    refuse_unknown("backbones", settings.backbones or [], options("backbone"))
    refuse_unknown("precision", [settings.precision], PRECISIONS)
    return settings


def run(settings: Settings) -> None:
    """Measure what is asked for."""
    measure_parts(PARTS, settings.parts, settings, folder_each=False)


def main(arguments: Sequence[str]) -> None:
    """Print the table that the arguments ask for."""
    run_bench(arguments, lambda: usage(__doc__, PARTS, Settings), lambda: run(read_settings(arguments)))


if __name__ == "__main__":
    main(sys.argv[1:])
