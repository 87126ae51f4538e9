"""From a resolved config to typed settings and back; what cannot be is refused in one line."""

import difflib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import fields, is_dataclass
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from facemask_ensemble.errors import InputError
from facemask_ensemble.settings.fields import RULE, Rule

T = TypeVar("T")
MISSING_VALUE = "???"  # of a key that has to be given
UNKNOWN, MISSING = "unexpected_keyword_argument", "missing"
OBVIOUS = ("a text", "a folder")  # not worth saying of a value that is missing
_adapters: dict[Any, TypeAdapter[Any]] = {}  # by the dataclass, made when it is first read
SHOWN = 80  # characters of a value that a message repeats


def read(kind: type[T], values: Mapping[str, Any], *, above: str = "", referred: Collection[str] = ()) -> T:
    """Read a resolved config, or a group of one.

    Args:
        kind: the dataclass to read.
        values: plain dicts, lists and values.
        above: the key of the group, for messages; "" for a whole config.
        referred: full keys that the config itself refers to, such as `dataset.size` in `${dataset.size}`. A group may
            have keys of its own for that; one that nobody refers to is a mistake.

    Raises:
        InputError: naming the first key that is unknown, missing or has an impossible value.
    """
    given = _without_missing(values)
    while True:
        try:
            settings: T = _adapter(kind).validate_python(given)
            return settings
        except ValidationError as refused:
            errors = refused.errors(include_url=False)
            own = [e for e in errors if e["type"] == UNKNOWN and _full(above, e) in referred]
            if not own:
                raise InputError(_line(kind, errors, above)) from None
            for error in own:
                _remove(given, error["loc"])


def dump(settings: Any) -> Any:
    """Write settings as plain dicts, lists and values, which `read` reads again as the same settings."""
    return _plain(_adapter(type(settings)).dump_python(settings))


def _adapter(kind: Any) -> TypeAdapter[Any]:
    if kind not in _adapters:
        _adapters[kind] = TypeAdapter(kind)
    return _adapters[kind]


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(part) for key, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, list | tuple) else value


def _without_missing(values: Mapping[str, Any]) -> dict[str, Any]:
    """Copy a config without the keys that have no value yet."""
    return {
        key: _without_missing(value) if isinstance(value, Mapping) else value
        for key, value in values.items()
        if not (isinstance(value, str) and value == MISSING_VALUE)
    }


def _remove(values: Any, loc: tuple[int | str, ...]) -> None:
    for part in loc[:-1]:
        values = values[part]
    del values[loc[-1]]


def _full(above: str, error: ErrorDetails) -> str:
    parts = ([above] if above else []) + [str(part) for part in error["loc"]]
    return ".".join(parts)


def _line(kind: type, errors: list[ErrorDetails], above: str) -> str:
    """Put the first error into a line; a key that is not known explains another that is missing."""
    error = min(errors, key=lambda error: error["type"] != UNKNOWN)
    key, where = _full(above, error), error["loc"][:-1]
    if error["type"] == UNKNOWN:
        return _unknown(key, _names(_kind_at(kind, where)))
    if error["type"] == MISSING:
        words = _words(_kind_at(kind, error["loc"]))
        return f"{key} needs a value{f' ({words})' if words else ''}; give {key}=…"
    if error["type"] == "value_error":  # the words of a group's own check, which name the key
        return str(error["ctx"]["error"])
    return f"{key}={shown(error['input'])}: must be {_must_be(error)}"


def _unknown(key: str, known: list[str]) -> str:
    """Suggest the key that was meant, or say what a key of a group's own needs."""
    if "." not in key or similar(key, known):
        return unknown_key(key, known)
    return f"{key}: there is no such key (known: {', '.join(known)}); one of your own is referred to, as ${{{key}}}"


def unknown_key(key: str, known: Iterable[str]) -> str:
    """Tell that there is no such key, and which one was meant."""
    near = similar(key, known)
    return f"{key}: there is no such key; " + (f"did you mean {near}?" if near else "--help shows them all")


def similar(key: str, known: Iterable[str]) -> str | None:
    """Find the key of the same group that is written like this one."""
    group, dot, name = key.rpartition(".")
    near = difflib.get_close_matches(name, known, n=1)
    return f"{group}{dot}{near[0]}" if near else None


def _must_be(error: ErrorDetails) -> str:
    """Say what a value must be."""
    if error["type"] == RULE:
        return error["msg"]
    if error["type"] == "literal_error":
        return "one of " + error["ctx"]["expected"].replace(" or ", ", ").replace("'", "").replace("None", "null")
    if error["type"] == "dataclass_type":
        return "a group of keys"
    return {"tuple_type": "a list", "mapping_type": "keys with values", "dict_type": "keys with values"}.get(
        error["type"], f"another value ({error['msg']})"
    )


def shown(value: Any) -> str:
    """Write a value as the command line takes it."""
    text = _written(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def _written(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{','.join(map(_written, value))}]"
    if isinstance(value, Mapping):
        return f"{{{','.join(f'{key}:{_written(part)}' for key, part in value.items())}}}"
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _kind_at(kind: Any, loc: tuple[int | str, ...]) -> Any:
    """Find the annotation of a key."""
    for part in loc:
        dataclass = next((one for one in _parts(kind) if is_dataclass(one)), None)
        if dataclass is None:
            return None
        kind = get_type_hints(dataclass, include_extras=True).get(str(part))
    return kind


def _parts(kind: Any) -> list[Any]:
    """Take an annotation apart into the types it is made of."""
    if get_origin(kind) is Annotated:
        return _parts(get_args(kind)[0])
    arguments = get_args(kind)
    return [kind, *(part for argument in arguments for part in _parts(argument))]


def _names(kind: Any) -> list[str]:
    dataclass = next((one for one in _parts(kind) if is_dataclass(one)), None)
    return [] if dataclass is None else [field.name for field in fields(dataclass)]


def _words(kind: Any) -> str:
    if get_origin(kind) is not Annotated:
        return ""
    words = next((part.words for part in reversed(kind.__metadata__) if isinstance(part, Rule)), "")
    return "" if words in OBVIOUS else words
