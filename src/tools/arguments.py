"""The arguments of a tool call: read strictly from what a model wrote, with one form for everything after."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Never, cast

from pydantic import BaseModel, ValidationError

from core import Json, canonical
from core.errors import Unprocessable
from tools.schema import Schema, branches, is_closed, members, resolve

MAX_ARGUMENT_BYTES = 32 * 1024

_NAME = re.compile(r"[^.\[]+")

_VALUE_FREE = frozenset(
    {"missing", "string_type", "string_too_short", "string_too_long", "string_pattern_mismatch"}
    | {"int_type", "bool_type", "enum", "literal_error", "list_type", "too_short", "too_long", "model_type"}
    | {"greater_than", "greater_than_equal", "less_than", "less_than_equal", "multiple_of", "none_required"}
)
"""pydantic's errors whose sentence is made of the declared type alone, never of the value."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """One scalar inside the arguments.

    Attributes:
        closed: a boolean or a member of an enumeration: any text contains some of them by chance, so that finding it
            in the person's message proves nothing.
        choices: the members, where it is one of an enumeration.
        money: an amount in cents, which people write as 12.50.
        prose: text that only people read, and nothing acts on.
    """

    value: str | int | bool
    closed: bool
    choices: frozenset[str] = frozenset()
    money: bool = False
    prose: bool = False


@dataclass(frozen=True, slots=True)
class Arguments:
    """Validated arguments, defaults filled in. Made by `Tool.parse` only.

    Attributes:
        values: plain JSON values by parameter name: what the permit covers and what the function is called with.
        schema: the schema that they fulfil.
        money: parameters that are amounts in cents.
        prose: parameters that only people read.
    """

    values: Mapping[str, Json]
    schema: Schema
    money: frozenset[str] = frozenset()
    prose: frozenset[str] = frozenset()

    def canonical(self) -> bytes:
        return canonical(self.values)

    def leaves(self) -> dict[str, Leaf]:
        """Return every scalar by its path, such as `amount_cents` or `lines[0].sku`, for labelling.

        A null is none of them: it says that something was left out.
        """
        return {path: self._told(path, leaf) for path, leaf in _leaves("", self.values, self.schema, self.schema)}

    def _told(self, path: str, leaf: Leaf) -> Leaf:
        name = _NAME.match(path)
        parameter = name.group() if name else ""
        return replace(leaf, money=parameter in self.money, prose=parameter in self.prose)


def parse(model: type[BaseModel], schema: Schema, raw: str) -> Arguments:
    """Validate the JSON text that a model wrote.

    Raises:
        Unprocessable: it is not what the schema asks for (code `tool.arguments`). The message names the declared
            fields and what they expect, and repeats nothing of what was given.
    """
    _check_text(raw)
    try:
        values = model.model_validate_json(raw, strict=True).model_dump(mode="json")
    except ValidationError as error:
        raise _refused(_complaints(error, sorted(model.model_fields))) from None
    try:
        canonical(values)
    except TypeError:
        raise _refused("a number is beyond 64 bits or a text is not valid Unicode") from None
    return Arguments(values=values, schema=schema)


def _check_text(raw: str) -> None:
    """Refuse what lenient JSON parsers let through: duplicate keys, NaN and Infinity, too much, too deep."""
    if len(raw) > MAX_ARGUMENT_BYTES or len(raw.encode(errors="replace")) > MAX_ARGUMENT_BYTES:
        raise _refused(f"they are longer than {MAX_ARGUMENT_BYTES} bytes")
    try:
        json.loads(raw, object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise _refused("they must be one JSON object, each key once, without NaN or Infinity") from None


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("duplicate key")
    return found


def _no_constant(_: str) -> Never:
    raise ValueError("not a JSON number")


def _refused(why: str) -> Unprocessable:
    return Unprocessable(f"The arguments do not fit this tool: {why}.", code="tool.arguments")


def _complaints(error: ValidationError, known: Sequence[str]) -> str:
    found: dict[str, None] = {}
    for detail in error.errors(include_url=False, include_context=False, include_input=False):
        if detail["type"] == "extra_forbidden":
            found[f"there is a field that this tool does not have; its fields are: {', '.join(known) or 'none'}"] = None
            continue
        path = ".".join(str(part) for part in detail["loc"]) or "the whole"
        expected = detail["msg"].replace("Input should", "should") if detail["type"] in _VALUE_FREE else "is not valid"
        found[f"{path}: {expected[0].lower()}{expected[1:]}"] = None
    return "; ".join(list(found)[:10])


def _leaves(path: str, value: Json, schema: Schema, root: Schema) -> Iterator[tuple[str, Leaf]]:
    schema = resolve(schema, root)
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _leaves(f"{path}.{name}" if path else name, item, _child(schema, name, root), root)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for index, item in enumerate(value):
            yield from _leaves(f"{path}[{index}]", item, _child(schema, None, root), root)
    elif value is not None:
        closed = isinstance(value, bool) or is_closed(schema, root)
        yield path, Leaf(value=value, closed=closed, choices=frozenset(members(schema, root)))


def _child(schema: Schema, name: str | None, root: Schema) -> Schema:
    """Return the schema of a property (`name`) or of the items (None); of all that it could be where there are many."""
    candidates: list[Schema] = []
    for option in (schema, *(resolve(branch, root) for branch in branches(schema))):
        found = cast("Schema", option.get("properties") or {}).get(name) if name is not None else option.get("items")
        if isinstance(found, Mapping):
            candidates.append(found)
    return candidates[0] if len(candidates) == 1 else {"anyOf": candidates}
