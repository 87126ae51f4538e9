"""How a program ends: what a user can fix is one line and exit code 2, anything else is a bug with its traceback."""

import errno
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from facemask_ensemble.errors import InputError
from facemask_ensemble.settings.messages import unknown_key
from facemask_ensemble.signals import exit_code

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def one_line_errors() -> Iterator[None]:
    """End the program as a command ends: with one line and 2 after a known error, with 128 + N after signal N."""
    try:
        yield
    except KeyboardInterrupt as stop:
        sys.exit(exit_code(stop))
    except Exception as error:
        if (message := explain(error)) is None:
            raise
        print(f"error: {message}", file=sys.stderr)
        sys.exit(2)


def explain(error: BaseException) -> str | None:
    """Put an error that the user can fix into one line; None for any other."""
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
                f"the disk is full{f' for {where}' if where else ''} ({text[:160]}); "
                "free some space, or give another output_dir. Finished work is kept"
            )
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def _explain_config(error: BaseException) -> str:
    """Turn Hydra's and OmegaConf's many-line errors into one line with the next step."""
    from facemask_ensemble.config import options  # whoever raised such an error has imported Hydra

    text = str(error)
    if base := re.match(r"In '((?!hydra/)[^']+/[^']+)': Could not (?:load|find) '([^']+)'", text):
        return f"{base[1]}.yaml: its `defaults` name {base[2]}, which does not exist; fix them"
    if missing := re.search(r"Could not find '([^']+)/([^'/]+)'", text):
        group, value = missing.groups()
        return f"{group}={value}: there is no such {group}; choose one of {', '.join(options(group))}"
    extra = re.search(r"hydra/launcher[=/](submitit|slurm|ray)", text)
    if extra and "Could not" in text:
        name = {"submitit": "slurm"}.get(extra[1], extra[1])
        return f'hydra/launcher: this launcher needs a plugin; pip install "facemask-ensemble[{name}]"'
    if place := re.search(r'in "([^"]+\.yaml)", line (\d+)', text):
        why = " ".join(text[: place.start()].split())
        return f"{place[1]}, line {place[2]}: not valid YAML ({why}); fix that line"
    if located := re.search(r"Error locating target '([^']+)'", text):
        reason = " ".join(str(error.__cause__ or "").partition(":")[2].partition("Are you sure")[0].split())
        return (
            f"_target_={located[1]}: cannot be imported ({reason}); put its module into the current "
            "folder or the folder "
            "of --config-dir, or install it"
        )
    if "Missing mandatory value" in text and (unset := re.search(r"full_key: (\S+)", text)):
        return f"{unset.group(1)} needs a value; give {unset.group(1)}=…"
    key = re.search(r"Could not override '([^']+)'", text) or re.search(r"full_key: (\S+)", text)
    if key and ("not in struct" in text + str(error.__cause__) or "Could not override" in text):
        return unknown_key(key.group(1).lstrip("+~"), _siblings(error))
    return f"{' '.join(text.partition('See https')[0].split())[:300]}; see --help"


def _siblings(error: BaseException) -> list[str]:
    """Name the keys beside the one that OmegaConf did not find."""
    groups = (getattr(cause, "parent_node", None) for cause in _causes(error))
    return next(([str(key) for key in group] for group in groups if isinstance(group, Mapping)), [])
