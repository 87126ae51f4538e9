"""The kinds of values that settings have, each with the words that refuse another value."""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar, dataclass_transform

from pydantic import BeforeValidator, ConfigDict, Field, GetCoreSchemaHandler, PlainSerializer
from pydantic.dataclasses import dataclass
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

T = TypeVar("T")
RULE = "rule"  # type of the errors whose message is the words of a rule


@dataclass_transform(kw_only_default=True, frozen_default=True)
def group(kind: type[T]) -> type[T]:
    """Make a class a group of settings: frozen, all fields by name, and no other keys."""
    made: type[T] = dataclass(kind, frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))  # type: ignore[assignment]
    return made


class Rule:
    """What a value must be, in the words that follow `must be`."""

    def __init__(self, words: str) -> None:
        self.words = words

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Make pydantic refuse a value with these words."""
        return core_schema.custom_error_schema(handler(source), custom_error_type=RULE, custom_error_message=self.words)


def _text(value: object) -> object:
    """Take a number as the text it was written as: a study may be called 2024."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


Text = Annotated[str, BeforeValidator(_text), Field(strict=True), Rule("a text")]
Folder = Annotated[Path, BeforeValidator(_text), PlainSerializer(str, return_type=str), Rule("a folder")]
Switch = Annotated[bool, Field(strict=True), Rule("true or false")]
NotNegative = Annotated[int, Field(strict=True, ge=0), Rule("a whole number of at least 0")]
Positive = Annotated[int, Field(strict=True, ge=1), Rule("a whole number of at least 1")]
PositiveOrNull = Annotated[Positive | None, Rule("a whole number of at least 1, or null")]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False), Rule("a number")]
Above0 = Annotated[Number, Field(gt=0), Rule("a number above 0")]
From0 = Annotated[Number, Field(ge=0), Rule("a number of at least 0")]
Share = Annotated[Number, Field(gt=0, lt=1), Rule("a share between 0 and 1, such as 0.1")]
ShareFrom0 = Annotated[Number, Field(ge=0, lt=1), Rule("a share from 0 to below 1, such as 0.1")]


class Target:
    """A call that Hydra makes: `_target_` names the function, its other keys are the function's own.

    A new choice of a group is such a call; the function checks its own arguments.
    """

    __slots__ = ("_call",)

    def __init__(self, call: Mapping[str, Any]) -> None:
        self._call = copy.deepcopy(dict(call))

    @property
    def name(self) -> str:
        """Give the function's name without its module."""
        return str(self._call["_target_"]).rpartition(".")[2]

    @property
    def call(self) -> dict[str, Any]:
        """Give the call as `hydra.utils.instantiate` takes it; a copy, which can be changed."""
        return copy.deepcopy(self._call)

    def takes(self, argument: str) -> bool:
        """Tell whether the call gives an argument."""
        return argument in self._call

    def changed(self, **arguments: Any) -> "Target":
        """Give the same call with other arguments."""
        return Target({**self._call, **arguments})

    def __eq__(self, other: object) -> bool:
        """Compare the calls."""
        return isinstance(other, Target) and self._call == other._call

    def __hash__(self) -> int:
        """Tell calls of different functions apart."""
        return hash(self._call["_target_"])

    def __repr__(self) -> str:
        """Show the call."""
        return f"Target({self._call!r})"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Let pydantic read a mapping with `_target_`, and write it again."""
        written = core_schema.plain_serializer_function_ser_schema(lambda target: target.call)
        return core_schema.no_info_plain_validator_function(cls._read, serialization=written)

    @classmethod
    def _read(cls, value: object) -> "Target":
        if isinstance(value, Target):
            return value
        if not isinstance(value, Mapping) or not isinstance(value.get("_target_"), str):
            raise PydanticCustomError(RULE, "a call, which names its function by _target_")
        return cls(value)
