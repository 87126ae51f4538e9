"""Turn a resolved config into typed settings and back; refuse impossible values in one line."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from facemask_ensemble.errors import InputError
from facemask_ensemble.settings.messages import UNKNOWN, first_line, full_key

T = TypeVar("T")
MISSING_VALUE = "???"  # of a key that has to be given
_adapters: dict[Any, TypeAdapter[Any]] = {}  # by the dataclass, made when it is first read


def read(kind: type[T], values: Mapping[str, Any], *, above: str = "", referred: Collection[str] = ()) -> T:
    """Read a resolved config, or a group of one.

    Args:
        kind: the dataclass to read.
        values: plain dicts, lists and values.
        above: the key of the group, for messages; "" for a whole config.
        referred: full keys that the config itself refers to, such as `dataset.size` in `${dataset.size}`. A group may
            have extra keys for that; an extra key that is not used is a mistake.

    Raises:
        InputError: naming the first key that is unknown, missing or has an impossible value.
    """
    for key in _unset_arguments(values, above):
        raise InputError(f"{key} needs a value; give {key}=…")
    given = _without_missing(values)
    while True:
        try:
            settings: T = _adapter(kind).validate_python(given)
            return settings
        except ValidationError as refused:
            errors = refused.errors(include_url=False)
            own = [e for e in errors if e["type"] == UNKNOWN and full_key(above, e) in referred]
            if not own:
                raise InputError(first_line(kind, errors, above, values)) from None
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


def _unset_arguments(value: Any, key: str, *, in_call: bool = False) -> Iterator[str]:
    """Name the arguments of calls that have no value yet: the dataclasses do not know these arguments."""
    if isinstance(value, Mapping):
        in_call = in_call or "_target_" in value
        for name, part in value.items():
            yield from _unset_arguments(part, f"{key}.{name}" if key else str(name), in_call=in_call)
    elif isinstance(value, list):
        for number, part in enumerate(value):
            yield from _unset_arguments(part, f"{key}.{number}", in_call=in_call)
    elif in_call and isinstance(value, str) and value == MISSING_VALUE:
        yield key


def _remove(values: Any, loc: tuple[int | str, ...]) -> None:
    for part in loc[:-1]:
        values = values[part]
    del values[loc[-1]]
