"""Say in one line what is wrong with a config: an unknown key, a missing key, or an impossible value."""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from pydantic_core import ErrorDetails

from facemask_ensemble.settings.fields import RULE, Rule

UNKNOWN, MISSING = "unexpected_keyword_argument", "missing"
OBVIOUS = ("a text", "a folder")  # not worth saying of a value that is missing
SHOWN = 80  # characters of a value that a message repeats


def first_line(kind: type, errors: list[ErrorDetails], above: str, values: Mapping[str, Any]) -> str:
    """Put the first error into a line; a key that is not known explains another that is missing."""
    error = min(errors, key=lambda error: error["type"] != UNKNOWN)
    key, where = full_key(above, error), error["loc"][:-1]
    if error["type"] == UNKNOWN:
        return _unknown(key, _names(_kind_at(kind, where)))
    if error["type"] == MISSING:
        words = _words(_kind_at(kind, error["loc"]))
        what = f" ({words})" if words else ""
        if _has(values, error["loc"]):
            return f"{key} needs a value{what}; give {key}=…"
        return f"{key} is missing{what}; give +{key}=…{_in_yaml(key)}"
    if error["type"] == "value_error":  # the words of a group's own check, which name the key
        return str(error["ctx"]["error"])
    return f"{key}={shown(error['input'])}: must be {_must_be(error)}"


def full_key(above: str, error: ErrorDetails) -> str:
    """Join the key of an error to that of the group that is read."""
    parts = ([above] if above else []) + [str(part) for part in error["loc"]]
    return ".".join(parts)


def _in_yaml(key: str) -> str:
    group, dot, _ = key.partition(".")
    return f", or put it into the YAML file of {group}" if dot else ""


def _has(values: Any, loc: tuple[int | str, ...]) -> bool:
    """Tell whether a config has a key, even one without a value."""
    for part in loc:
        if not isinstance(values, Mapping) or part not in values:
            return False
        values = values[part]
    return True


def _unknown(key: str, known: list[str]) -> str:
    """Suggest a similar key, or say what a new key of a group needs."""
    if "." not in key or similar(key, known):
        return unknown_key(key, known)
    return (
        f"{key}: there is no such key (known: {', '.join(known)}); a key of your own must be used somewhere, "
        f"as ${{{key}}}"
    )


def unknown_key(key: str, known: Iterable[str]) -> str:
    """Say that the key is unknown, and suggest a similar one."""
    near = similar(key, known)
    return f"{key}: there is no such key; " + (f"did you mean {near}?" if near else "--help shows them all")


def similar(key: str, known: Iterable[str]) -> str | None:
    """Find a similar key of the same group."""
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
