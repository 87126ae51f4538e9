"""Every key of a config has a field, every field a key and a reader, and nobody reads a config by a string key."""

import ast
import importlib
from dataclasses import MISSING, fields, is_dataclass
from typing import get_type_hints

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from settings_readers import ROOT, all_fields, fields_read, fields_shown, inner_groups, modules, own_field

from facemask_ensemble.config import CONF_DIR, FOR_OTHER_KEYS, options, read_settings, referred_keys
from facemask_ensemble.settings import dump, read

NEEDED = {"predict": ["input=here"], "export": ["output=there"], "upload": ["folder=there"]}
COMMANDS = ("train", "tune", "evaluate", "predict", "app", "webcam", "export", "ship", "audit", "upload")
OPTIONAL = {("Mixup", "alpha"), ("Mixup", "classes")}  # a mixup of one's own may leave them out
OF_KERAS = ("models/copying.py", "models/transfer.py", "weights.py")  # whose `config` is a layer's or a network's
SERVED = "ServeSettings"  # of MLflow's model, which has no config


def kind_of(command):
    module = importlib.import_module(f"facemask_ensemble.settings.{command}")
    return getattr(module, f"{command.capitalize()}Settings")


def groups_of(command):
    """Name the config groups that a command chooses from."""
    defaults = OmegaConf.to_container(OmegaConf.load(CONF_DIR / f"{command}.yaml")).get("defaults", [])
    own = [key for part in defaults if isinstance(part, dict) for key in part if not key.startswith("override ")]
    return own + (groups_of("train") if "train" in defaults else [])


def choices():
    """Name every choice of every group of every command."""
    found = [(command, group, leaf) for command in COMMANDS for group in groups_of(command) for leaf in options(group)]
    return [one for one in found if one[0] != "tune" or one[1] not in groups_of("train")] + [("upload", None, None)]


def composed(command, group, leaf):
    chosen = [] if group is None else [f"{group}={leaf}"]
    chosen += ["tracking.uri=http://127.0.0.1:5000"] if leaf == "server" else []
    chosen += ["detector.masked=[mask]"] if (command, group) == ("webcam", "task") else []
    chosen += ["detector=haar"] if (command, group) == ("webcam", "runtime") else []
    return compose(command, [*NEEDED.get(command, []), *chosen])


@pytest.fixture(scope="module")
def configs():
    """Every choice of every command, composed."""
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        return {choice: composed(*choice) for choice in choices() if choice != ("webcam", "detector", "none")}


def walk(kind, values, above=""):
    """Give every group of a config with its keys, as (dataclass, its full key, its values)."""
    yield kind, above, values
    hints = get_type_hints(kind, include_extras=True)
    for key, value in values.items():
        inner = inner_groups(hints[key]) if key in hints else []
        if inner and isinstance(value, dict):
            call_alone = inner[0].__name__ == "Voting" and "_target_" in value
            yield from walk(inner[0], {"rule": value} if call_alone else value, f"{above}{key}.")


@pytest.mark.heavy
def test_every_choice_of_every_command_is_read_and_written_and_read_again(configs):
    for (command, *_), cfg in configs.items():
        settings = read_settings(kind_of(command), cfg)
        assert read(kind_of(command), dump(settings)) == settings


@pytest.mark.heavy
def test_every_key_has_a_field_or_is_referred_to(configs):
    for choice, cfg in configs.items():
        referred = referred_keys(cfg)
        values = OmegaConf.to_container(cfg, resolve=True)
        known = {key: value for key, value in values.items() if key not in FOR_OTHER_KEYS}
        for kind, above, group in walk(kind_of(choice[0]), known):
            extra = set(group) - {field.name for field in fields(kind)}
            assert {f"{above}{key}" for key in extra} <= referred, choice


@pytest.mark.heavy
def test_every_field_has_a_key(configs):
    found = set()
    for (command, *_), cfg in configs.items():
        for kind, _, group in walk(kind_of(command), OmegaConf.to_container(cfg, resolve=True)):
            for field in fields(kind):
                if field.name in group:
                    found.add(own_field(kind, field.name))
                else:
                    assert field.default is not MISSING, (command, kind, field.name)
    assert {field for field in all_fields() - found - OPTIONAL if field[0] != SERVED} == set()


@pytest.mark.heavy
def test_every_field_has_a_reader(configs):
    """In the package, or in the config itself, as `${engine.cores}` is an argument of the engine's function."""
    interpolated = set()
    for (command, *_), cfg in configs.items():
        referred = referred_keys(cfg)
        for kind, above, group in walk(kind_of(command), OmegaConf.to_container(cfg, resolve=True)):
            interpolated |= {own_field(kind, key) for key in group if f"{above}{key}" in referred}
    assert all_fields() - fields_read() - fields_shown() - interpolated == set()


def test_a_field_that_nobody_reads_is_found():
    """The search itself: a field of a name that others have too counts by its own class alone."""
    read_here = fields_read()
    assert ("Dataset", "limit") in read_here
    assert ("Engine", "cores") not in read_here  # an argument of Ray's function, read by nobody here
    assert ("Official", "file") in read_here


def test_nobody_below_the_commands_reads_a_config_by_a_string_key():
    found = {}
    for path, tree in modules().items():
        if keys := [key for node in ast.walk(tree) if (key := string_key(node)) is not None]:
            found[path.relative_to(ROOT).as_posix()] = keys
    assert {path: keys for path, keys in found.items() if path not in OF_KERAS} == {}


def string_key(node):
    """Give `config["key"]`, `config["a"]["key"]` or `config.get("key")` as text, of anything called a config."""
    called = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get"
    whole = node.func.value if called else node.value if isinstance(node, ast.Subscript) else None
    key = node.args[0] if called and node.args else getattr(node, "slice", None)
    while isinstance(whole, ast.Subscript):
        whole = whole.value
    if isinstance(whole, ast.Name) and whole.id in ("config", "cfg", "settings") and isinstance(key, ast.Constant):
        return ast.unparse(node)
    return None


def test_nothing_below_the_commands_takes_a_config_of_plain_dicts():
    found = []
    for path, tree in modules().items():
        for node in ast.walk(tree):
            named = isinstance(node, ast.arg) and node.arg in ("config", "cfg") and node.annotation is not None
            if named and ast.unparse(node.annotation).startswith(("dict", "Mapping")):
                found.append(f"{path.relative_to(ROOT)}:{node.lineno}: {ast.unparse(node)}")
    assert found == []


def test_settings_import_nothing_of_the_package_but_the_errors():
    for path in sorted((ROOT / "settings").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("facemask_ensemble"):
                assert node.module.startswith(("facemask_ensemble.settings", "facemask_ensemble.errors")), path


@pytest.mark.heavy
def test_all_settings_are_frozen(configs):
    settings = read_settings(kind_of("train"), configs["train", "backbone", "deep_cnn"])
    for group in (settings, settings.backbone, settings.dataset):
        assert is_dataclass(group)
        with pytest.raises(AttributeError, match="cannot assign"):
            group.name = "other"
