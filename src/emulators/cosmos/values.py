"""JSON values, the paths into them, and `undefined`: what a document does not have."""

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import TypeAlias, cast

import orjson

from emulators.cosmos.errors import bad

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
Object: TypeAlias = dict[str, "Json"]

DEEPEST = 128
"""Levels of nesting that an item may have (https://learn.microsoft.com/azure/cosmos-db/concepts-limits)."""


class Undefined(Enum):
    """The type of `UNDEFINED`."""

    UNDEFINED = "undefined"


UNDEFINED = Undefined.UNDEFINED
Value: TypeAlias = "Json | Undefined"


def parse(data: bytes) -> Json:
    """Parse JSON; `NaN` and `Infinity`, which Python's own writer sends, are no JSON (rule 1).

    Raises:
        CosmosError: 400.
    """
    try:
        return cast("Json", orjson.loads(data))
    except orjson.JSONDecodeError as error:
        raise bad(f"The body is not JSON: {error}.") from error


def parse_object(data: bytes) -> Object:
    """Parse a JSON object.

    Raises:
        CosmosError: 400.
    """
    return as_object(parse(data), "The body")


def as_object(value: Value, what: str) -> Object:
    if not isinstance(value, dict):
        raise bad(f"{what} must be a JSON object.")
    return value


def as_list(value: Value, what: str) -> list[Json]:
    if not isinstance(value, list):
        raise bad(f"{what} must be a JSON array.")
    return value


def dump(value: Json) -> bytes:
    return orjson.dumps(value)


def at(value: Value, path: Sequence[str | int]) -> Value:
    """Return what stands at `path`, `UNDEFINED` if nothing does."""
    for step in path:
        if isinstance(value, dict) and isinstance(step, str):
            value = value.get(step, UNDEFINED)
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            value = value[step]
        else:
            return UNDEFINED
    return value


def policy_path(text: Value) -> tuple[str, ...]:
    """Return the steps of a path in a policy, such as `/a/b` or `/"a b"/c`.

    Raises:
        CosmosError: 400.
    """
    if not isinstance(text, str) or not text.startswith("/") or text == "/":
        raise bad(f"The path {text!r} must begin with a slash and name a property.")
    return tuple(step.strip('"') for step in text[1:].split("/"))


def check_keys(document: Mapping[str, Json], known: frozenset[str], what: str) -> None:
    """Refuse a key that is not known (rule 4: an unknown body key is a fault of the caller).

    Raises:
        CosmosError: 400.
    """
    if strange := document.keys() - known:
        raise bad(f"{what} has a key that is not known: {', '.join(sorted(strange))}.")


def depth(value: Json) -> int:
    """Return how many levels `value` has."""
    deepest, level = 0, [value]
    while level and deepest <= DEEPEST:
        level = [inner for outer in level if isinstance(outer, dict | list) for inner in _inside(outer)]
        deepest += 1
    return deepest


def _inside(value: "dict[str, Json] | list[Json]") -> "Sequence[Json]":
    return list(value.values()) if isinstance(value, dict) else value
