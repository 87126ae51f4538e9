"""Open a web page that predicts images with an ensemble: `python -m facemask_ensemble.app`."""

import sys
from collections.abc import Mapping
from importlib.util import find_spec

import hydra
from omegaconf import DictConfig

from facemask_ensemble.command import run_command
from facemask_ensemble.config import chosen_groups, read_settings, refuse_other_rule
from facemask_ensemble.errors import InputError
from facemask_ensemble.settings.app import AppSettings


def task(cfg: DictConfig) -> None:
    """Compose the config and open the page."""
    from facemask_ensemble.prediction.runtimes.settings import check_runtime

    settings = read_settings(AppSettings, cfg)
    refuse_other_rule(settings.ensemble)
    check_runtime(settings.runtime)
    if find_spec("gradio") is None:
        raise InputError('the page needs the extra: pip install "facemask-ensemble[app]"')
    app(settings, chosen_groups())


def app(settings: AppSettings, choices: Mapping[str, str]) -> None:
    """Load the ensemble and serve its page until Ctrl-C.

    Args:
        settings: of the page.
        choices: the names of the `voting` rule and of what breaks `ties`.

    Raises:
        InputError: the port is in use, the ensemble does not exist, or there is no member.
    """
    import numpy as np

    from facemask_ensemble.data.chunks import chunk_of
    from facemask_ensemble.page.card import find_card
    from facemask_ensemble.page.server import bind, serve
    from facemask_ensemble.page.service import Desk
    from facemask_ensemble.prediction.loading import choose_ensemble
    from facemask_ensemble.serving.uploads import Limits
    from facemask_ensemble.task import chosen_task

    with bind(settings.host, settings.port) as listener:
        choice = choose_ensemble(settings, choices, settings.runtime.name)
        print(choice.introduction)
        ensemble = choice.load(settings.runtime, settings.batch_size, settings.votes)
        ensemble.ask(chunk_of([np.zeros((1, 1, 3), np.uint8)], [""], ensemble.sizes))  # the first one takes seconds
        method, limits = settings.heatmap.method, settings.limits
        desk = Desk(
            ensemble,
            choice.introduction,
            find_card(settings),
            Limits(limits.megabytes, limits.megapixels, limits.images),
            hydra.utils.instantiate(method.call) if method else None,
            chosen_task(settings.task, choice.task),
        )
        serve(desk, listener, settings.keep_minutes * 60, settings.open_browser)


def main() -> None:
    """Run the command."""
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # whoever started it waits for the address
    run_command("app", task)


if __name__ == "__main__":
    main()
