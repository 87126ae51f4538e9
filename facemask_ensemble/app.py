"""Show an ensemble on a web page of this machine: `python -m facemask_ensemble.app`."""

import sys
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

import hydra
from omegaconf import DictConfig

from facemask_ensemble.checks import check_page
from facemask_ensemble.command import run_command
from facemask_ensemble.config import absolute_paths, chosen_groups, plain
from facemask_ensemble.errors import InputError


def task(cfg: DictConfig) -> None:
    """Compose the config and open the page."""
    check_page(cfg)
    if find_spec("gradio") is None:
        raise InputError('the page needs the extra: pip install "facemask-ensemble[app]"')
    app(plain(absolute_paths(cfg)), chosen_groups())


def app(config: dict[str, Any], choices: Mapping[str, str]) -> None:
    """Load the ensemble and serve its page until Ctrl-C.

    Args:
        config: the resolved app config.
        choices: the names of the `voting` rule and of what breaks `ties`.

    Raises:
        InputError: the port is taken, there is no such ensemble, or no member.
    """
    import numpy as np

    from facemask_ensemble.data.chunks import chunk_of
    from facemask_ensemble.page.card import find_card
    from facemask_ensemble.page.server import bind, serve
    from facemask_ensemble.page.service import Desk
    from facemask_ensemble.prediction.loading import choose_ensemble
    from facemask_ensemble.serving.uploads import Limits
    from facemask_ensemble.task import chosen_task

    with bind(config["host"], config["port"]) as listener:
        choice = choose_ensemble(config, choices)
        print(choice.introduction)
        ensemble = choice.load(config["runtime"], config["batch_size"], config["votes"])
        ensemble.ask(chunk_of([np.zeros((1, 1, 3), np.uint8)], [""], ensemble.sizes))  # the first one takes seconds
        method = config["heatmap"]["method"]
        desk = Desk(
            ensemble,
            choice.introduction,
            find_card(config),
            Limits(**config["limits"]),
            hydra.utils.instantiate(method) if method else None,
            chosen_task(config.get("task"), choice.task),
        )
        serve(desk, listener, config["keep_minutes"] * 60, config["open_browser"])


def main() -> None:
    """Run the command."""
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # whoever started it waits for the address
    run_command("app", task)


if __name__ == "__main__":
    main()
