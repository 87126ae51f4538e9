"""Export members, or the ensemble with its vote: `python -m facemask_ensemble.export format=onnx output=FOLDER`."""

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from facemask_ensemble.checks import refuse_other_rule
from facemask_ensemble.command import run_command
from facemask_ensemble.config import absolute_paths, chosen_groups, plain
from facemask_ensemble.errors import InputError

GRAPHS = ("members", "ensemble", "both")


def task(cfg: DictConfig) -> None:
    """Compose the config and export."""
    from facemask_ensemble.exporting.folder import refuse_taken

    check_export(cfg)
    refuse_other_rule(cfg)
    config = plain(absolute_paths(cfg))
    refuse_taken(Path(config["output"]), config["again"])
    export(config, chosen_groups())


def check_export(cfg: DictConfig) -> None:
    """Refuse an export to nowhere, of nothing, in a precision that the format has not, or without its packages."""
    if OmegaConf.is_missing(cfg, "output"):
        raise InputError("output: no folder named; give output=FOLDER, which is made")
    if cfg.graph not in GRAPHS:
        raise InputError(f"graph={cfg.graph}: must be one of {', '.join(GRAPHS)}")
    if not isinstance(cfg.again, bool):
        raise InputError(f"again={cfg.again}: must be true or false")
    if not isinstance(cfg.count, int) or isinstance(cfg.count, bool) or cfg.count < 1:
        raise InputError(f"count={cfg.count}: must be a whole number of at least 1")
    bound = cfg.tolerance
    if bound is not None and (not isinstance(bound, int | float) or isinstance(bound, bool) or not 0 <= bound <= 1):
        raise InputError(f"tolerance={bound}: must be a difference of probabilities from 0 to 1, such as 0.001")
    name, precision = cfg.format.name, cfg.format.precision
    if precision not in cfg.format.bounds:
        raise InputError(f"format.precision={precision}: {name} is written in {', '.join(cfg.format.bounds)}")
    if any(importlib.util.find_spec(module) is None for module in cfg.format.modules):
        raise InputError(f'format={name} needs the extra: pip install "facemask-ensemble[{cfg.format.extra}]"')


def export(config: dict[str, Any], choices: Mapping[str, str]) -> Path:
    """Write each member's graph, the ensemble's, or both, each checked beside Keras on real images.

    Args:
        config: the resolved export config.
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

    choice = choose_ensemble(config | {"runtime": {"name": None}}, choices)  # none: no price has to be known
    print(choice.introduction)
    output = Path(config["output"])
    with new_folder(output, config["again"]) as folder:
        refused = Exporter(choice, config, folder).write(config["graph"], choices)
    print(f"exported: {output}")
    if refused:
        raise InputError(f"{'; '.join(refused)}. The others are in {output}")
    return output


def main() -> None:
    """Run the command."""
    run_command("export", task)


if __name__ == "__main__":
    main()
