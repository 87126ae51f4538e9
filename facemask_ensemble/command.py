"""How every command starts and ends: errors a user can mend are one line and exit code 2."""

import errno
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import hydra
from omegaconf import DictConfig

from facemask_ensemble.config import CONF_DIR, options
from facemask_ensemble.errors import InputError
from facemask_ensemble.search_path import config_dir_first, open_own_folders

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def run_command(config_name: str, work: Callable[[DictConfig], None]) -> None:
    """Compose a config and work on it; print a known error as one line on stderr and exit with 2.

    Anything else is a bug and keeps its traceback.
    """
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra would otherwise print its own report and exit with 1
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # what TensorFlow says at its start is of no use to a user
    raised: list[BaseException] = []

    @hydra.main(version_base="1.3", config_path=str(CONF_DIR), config_name=config_name)
    def task(cfg: DictConfig) -> None:
        try:
            work(cfg)
        except Exception as error:  # carried past Hydra, which would print lines of its own
            raised.append(error)

    with one_line_errors():
        sys.argv[1:] = config_dir_first(sys.argv[1:])
        open_own_folders(sys.argv[1:])
        task()
        if raised:
            raise raised[0]


@contextmanager
def one_line_errors() -> Iterator[None]:
    """End the program as a command ends: with 130 after Ctrl-C, with one line and 2 after a known error."""
    try:
        yield
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        if (message := explain(error)) is None:
            raise
        print(f"error: {message}", file=sys.stderr)
        sys.exit(2)


def explain(error: BaseException) -> str | None:
    """Put an error that the user can mend into one line; None for any other."""
    for cause in _causes(error):
        if isinstance(cause, InputError):
            return " ".join(str(cause).split())
    full = full_disk(error)
    if full:
        return full
    if type(error).__module__.partition(".")[0] in ("hydra", "omegaconf", "yaml"):
        return _explain_config(error)
    return None


def full_disk(error: BaseException) -> str | None:
    """Recognise a disk without room in an error or in what caused it."""
    for cause in _causes(error):
        text = " ".join(str(cause).split())
        said = re.search(r"no space left|disk is full|disk quota exceeded|file too large", text, re.I)
        if said or (isinstance(cause, OSError) and cause.errno in NO_ROOM):
            where = getattr(cause, "filename", None)
            return (
                f"no room left on the disk{f' for {where}' if where else ''} ({text[:160]}); "
                "free some, or choose another output_dir. What was finished is kept"
            )
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def _explain_config(error: BaseException) -> str:
    """Turn Hydra's and OmegaConf's many-line errors into one line with the next step."""
    text = str(error)
    if base := re.match(r"In '((?!hydra/)[^']+/[^']+)': Could not (?:load|find) '([^']+)'", text):
        return f"{base[1]}.yaml: builds on {base[2]}, and there is no such file; mend its `defaults`"
    if missing := re.search(r"Could not find '([^']+)/([^'/]+)'", text):
        group, value = missing.groups()
        return f"{group}={value}: there is no such {group}; choose one of {', '.join(options(group))}"
    extra = re.search(r"hydra/launcher[=/](submitit|slurm|ray)", text)
    if extra and "Could not" in text:
        name = {"submitit": "slurm"}.get(extra[1], extra[1])
        return f'hydra/launcher: this one needs a plugin; pip install "facemask-ensemble[{name}]"'
    if place := re.search(r'in "([^"]+\.yaml)", line (\d+)', text):
        return (
            f"{place[1]}, line {place[2]}: not valid YAML ({' '.join(text[: place.start()].split())}); mend that line"
        )
    if located := re.search(r"Error locating target '([^']+)'", text):
        reason = " ".join(str(error.__cause__ or "").partition(":")[2].partition("Are you sure")[0].split())
        return (
            f"_target_={located[1]}: cannot be imported ({reason}); put its module into the current folder or the one "
            "of --config-dir, or install it"
        )
    if "Missing mandatory value" in text and (unset := re.search(r"full_key: (\S+)", text)):
        return f"{unset.group(1)} needs a value; give {unset.group(1)}=…"
    key = re.search(r"Could not override '([^']+)'", text) or re.search(r"full_key: (\S+)", text)
    if key and ("not in struct" in text + str(error.__cause__) or "Could not override" in text):
        return f"{key.group(1)}: there is no such key; --help shows them all"
    return f"{' '.join(text.partition('See https')[0].split())[:300]}; see --help"
