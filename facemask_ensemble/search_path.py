"""Find the choices of a config group: in the package's `conf`, then in the user's own folders.

The user gives a folder by `--config-dir`, by `hydra.searchpath` or by the environment variable. A command puts all
three into the variable, so that the processes that it starts see the same choices and modules.
"""

import copy
import functools
import importlib.util
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import ConfigRepository
from hydra._internal.utils import create_config_search_path, get_args_parser
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.plugins.search_path_plugin import SearchPathPlugin
from hydra.types import RunMode
from hydra.utils import get_method

from facemask_ensemble.errors import InputError

_PACKAGED = Path(__file__).parent / "conf"
CONF_DIR = _PACKAGED if _PACKAGED.is_dir() else Path(__file__).parents[1] / "conf"
ENVIRONMENT = "FACEMASK_ENSEMBLE_CONFIG_DIR"  # folders, separated as in PATH
SEARCH_PATH = "hydra.searchpath"


class OwnFolders(SearchPathPlugin):
    """Hydra's plugin that puts the folders of the environment behind the package's."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Append each folder."""
        for folder in own_folders():
            search_path.append("own", f"file://{folder}")


def own_folders() -> list[str]:
    """List the folders that the environment names."""
    return [folder for folder in os.environ.get(ENVIRONMENT, "").split(os.pathsep) if folder]


def naming_own_folders() -> list[str]:
    """Give the arguments with which another command is told of these folders."""
    folders = own_folders()
    if len(folders) > 1:
        return [f"{SEARCH_PATH}=[{','.join(f'file://{folder}' for folder in folders)}]"]
    return [text for folder in folders for text in ("--config-dir", folder)]


def open_own_folders(arguments: Sequence[str]) -> None:
    """Find the folders that a command line or the environment names, and let this process and its children use them.

    Modules in such a folder, and in the current folder, can be imported, so that a YAML can name them as `_target_`.

    Args:
        arguments: the command line, without the program.

    Raises:
        InputError: a folder does not exist, or has a config of the same name as the package.
    """
    here = [] if sys.flags.safe_path else [os.getcwd()]
    _let_import(here)
    folders = list(dict.fromkeys(os.path.abspath(folder) for folder in [*own_folders(), *_named(arguments)]))
    for folder in map(Path, folders):
        _refuse_unusable(folder)
    if folders:
        os.environ[ENVIRONMENT] = os.pathsep.join(folders)
        known = os.environ.get("PYTHONPATH", "").split(os.pathsep)
        os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(filter(None, [*known, *here, *folders])))
    _use_own_folders()


def config_dir_first(arguments: Sequence[str]) -> list[str]:
    """Move `--config-dir FOLDER` to the front: between two overrides Hydra does not understand it."""
    for place, text in enumerate(arguments):
        if text in ("--config-dir", "-cd") or text.startswith("--config-dir="):
            end = place + 1 if "=" in text else place + 2
            return [*arguments[place:end], *arguments[:place], *arguments[end:]]
    return list(arguments)


def _use_own_folders() -> None:
    """Let Hydra see the folders of the environment, and let their modules be imported."""
    Plugins.instance().register(OwnFolders)
    _let_import(own_folders())


def _let_import(folders: Sequence[str]) -> None:
    sys.path += [folder for folder in folders if folder not in sys.path]  # last, so that it hides no other module


def _named(arguments: Sequence[str]) -> Iterator[str]:
    """Yield the folders of a command line."""
    given, _ = get_args_parser().parse_known_args(list(arguments))
    if given.config_dir is not None:
        yield given.config_dir
    texts = [text for text in given.overrides if text.lstrip("+").startswith(f"{SEARCH_PATH}=")]
    for override in OverridesParser.create().parse_overrides(texts):
        value: Any = override.value()
        yield from filter(None, map(_folder_of, value if isinstance(value, list) else [value]))


def _folder_of(source: object) -> str | None:
    """Give the folder of an address as Hydra writes it, `file://FOLDER` or `pkg://PACKAGE`; None for others."""
    scheme, found, rest = str(source).rpartition("://")
    if scheme == "pkg":
        with suppress(ModuleNotFoundError):  # Hydra says so itself
            package = importlib.util.find_spec(rest)
            return next(iter(package.submodule_search_locations or ()), None) if package else None
        return None
    return rest if not found or scheme == "file" else None


def _refuse_unusable(folder: Path) -> None:
    if not folder.is_dir():
        raise InputError(f"--config-dir={folder}: no such folder; give the one that holds backbone/, voting/ or others")
    for packaged in sorted(CONF_DIR.rglob("*.yaml")):
        file = folder / packaged.relative_to(CONF_DIR)
        if file.is_file() and not file.samefile(packaged):
            name = packaged.relative_to(CONF_DIR).with_suffix("")
            raise InputError(f"{file}: the package has its own {name}, which comes first; rename this file")


def options(group: str) -> list[str]:
    """List the choices of a config group."""
    names = ConfigRepository(_search_path()).get_group_options(group, ObjectType.CONFIG)
    return sorted(name for name in names if not name.startswith("_"))


def is_group(name: str) -> bool:
    """Tell a config group from a key."""
    return bool(ConfigRepository(_search_path()).group_exists(name))


def compose_choice(group: str, name: str) -> Any:
    """Compose one choice of a config group, with the defaults that it builds on, as a command does."""
    return copy.deepcopy(_composed(group, name, tuple(own_folders())))


@functools.cache
def _composed(group: str, name: str, folders: tuple[str, ...]) -> Any:
    """Compose a choice once in a process: Hydra takes a tenth of a second, and a report asks for many."""
    loader = ConfigLoaderImpl(_search_path())
    return loader.load_configuration(None, [f"+{group}={name}"], RunMode.RUN, from_shell=False)[group]


def import_own_backbones() -> None:
    """Import the functions of the backbones in the user's own folders, and with them the layers that they register."""
    for file in sorted(file for folder in own_folders() for file in Path(folder, "backbone").glob("[!_]*.yaml")):
        get_method(compose_choice("backbone", file.stem).features["_target_"])


def _search_path() -> ConfigSearchPath:
    _use_own_folders()
    return create_config_search_path(str(CONF_DIR))
