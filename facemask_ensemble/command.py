"""Start a command: compose its config, and print known errors in one line."""

import os
import sys
from collections.abc import Callable

import hydra
from omegaconf import DictConfig

from facemask_ensemble.config import CONF_DIR
from facemask_ensemble.error_lines import one_line_errors
from facemask_ensemble.search_path import config_dir_first, open_own_folders
from facemask_ensemble.signals import stop_on_signals


def run_command(config_name: str, work: Callable[[DictConfig], None]) -> None:
    """Compose a config and run the command; print a known error as one line on stderr and exit with 2.

    Anything else is a bug and keeps its traceback.
    """
    stop_on_signals()
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra would otherwise print its own report and exit with 1
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # hides the messages of TensorFlow at its start
    raised: list[BaseException] = []

    @hydra.main(version_base="1.3", config_path=str(CONF_DIR), config_name=config_name)
    def task(cfg: DictConfig) -> None:
        try:
            work(cfg)
        except Exception as error:  # raised again after Hydra, which would print its own lines
            raised.append(error)

    with one_line_errors():
        sys.argv[1:] = config_dir_first(sys.argv[1:])
        open_own_folders(sys.argv[1:])
        task()
        if raised:
            raise raised[0]
