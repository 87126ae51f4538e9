"""Export members, or the ensemble with its vote: `python -m facemask_ensemble.export format=onnx output=FOLDER`."""

import importlib.util
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from omegaconf import DictConfig

from facemask_ensemble.command import run_command
from facemask_ensemble.config import chosen_groups, read_settings, refuse_other_rule
from facemask_ensemble.errors import InputError
from facemask_ensemble.settings.export import ExportSettings, Format


def task(cfg: DictConfig) -> None:
    """Compose the config and export."""
    from facemask_ensemble.exporting.folder import refuse_taken

    settings = read_settings(ExportSettings, cfg)
    refuse_other_rule(settings.ensemble)
    check_packages(settings.format)
    settings = replace(settings, output=settings.output.expanduser().resolve())
    refuse_taken(settings.output, settings.again)
    export(settings, chosen_groups())


def check_packages(file_format: Format) -> None:
    """Refuse a format whose packages are not installed."""
    if any(importlib.util.find_spec(module) is None for module in file_format.modules):
        raise InputError(
            f'format={file_format.name} needs the extra: pip install "facemask-ensemble[{file_format.extra}]"'
        )


def export(settings: ExportSettings, choices: Mapping[str, str]) -> Path:
    """Write each member's graph, the ensemble's, or both, each checked beside Keras on real images.

    Args:
        settings: of the export.
        choices: the names of the `voting` rule and of what breaks `ties`.

    Returns:
        The folder. `export.json` in it has what a program needs to know to use the graphs, and what the checks found.

    Raises:
        InputError: no member, no image to check with, a rule that cannot be a graph, or an export that differs from
            Keras by more than the tolerance; that one is not left behind, the others are.
    """
    from facemask_ensemble.exporting.exporter import Exporter
    from facemask_ensemble.exporting.folder import new_folder
    from facemask_ensemble.prediction.loading import choose_ensemble

    choice = choose_ensemble(settings, choices, runtime=None)
    print(choice.introduction)
    output = settings.output
    with new_folder(output, settings.again) as folder:
        refused = Exporter(choice, settings, folder).write(settings.graph, choices)
    print(f"exported: {output}")
    if refused:
        raise InputError(f"{'; '.join(refused)}. The others are in {output}")
    return output


def main() -> None:
    """Run the command."""
    run_command("export", task)


if __name__ == "__main__":
    main()
