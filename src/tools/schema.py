"""From the signature of a typed function to the closed JSON schema that a model is shown."""

import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import cast, get_type_hints

from pydantic import BaseModel, ConfigDict, create_model

from core import Json
from core.errors import Defect

Schema = Mapping[str, Json]

_STRICT = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)

_IDENTITY_WORDS = frozenset(
    {"tenant", "tenants", "user", "users", "username", "userid", "principal", "impersonate", "caller", "sponsor"}
    | {"oid", "tid", "organisation", "organization", "role", "roles", "actor", "idempotency", "correlation"}
)
_IDENTITY_NAMES = frozenset({"tenantid", "onbehalfof", "actas", "runas", "org", "orgid", "subjectid", "deadline"})
_WORDS = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z]+")


def parameters_model(function: Callable[..., object]) -> type[BaseModel]:
    """Return the strict, closed model of what `function` takes after its `ToolCall`.

    Raises:
        Defect: a parameter has no description, says who is asking (design section 3), or is not of a closed type
            without fractions.
    """
    _, *parameters = inspect.signature(function).parameters.values()
    hints = get_type_hints(function, include_extras=True)
    fields = {p.name: (hints[p.name], ... if p.default is p.empty else p.default) for p in parameters}
    model = cast("type[BaseModel]", create_model(function.__name__, __config__=_STRICT, **fields))  # pyright: ignore[reportCallIssue, reportArgumentType] - fields are known at run time only
    schema = object_schema(model)
    offered = _mapping(schema.get("properties", {}))
    if set(offered) != set(fields):
        raise Defect(f"A parameter of tool {function.__name__} has an alias: give it one name.", code="defect.tool")
    for name, field in model.model_fields.items():
        if not field.description:
            raise Defect(f"Parameter {name} of tool {function.__name__} has no description.", code="defect.tool")
    for name in _names(schema):
        if _says_who(name):
            raise Defect(
                f"Tool {function.__name__} has a field {name}: who is asking comes from the run, never from a model.",
                code="defect.tool",
            )
    return model


def object_schema(model: type[BaseModel], *, closed: bool = True) -> Schema:
    """Return the JSON schema of `model`, titles left out.

    Raises:
        Defect: something in it is of any type or may be a fraction, so that it has no canonical form; or it takes
            fields of any name although it should be `closed`.
    """
    schema = cast("Schema", _untitled(model.model_json_schema()))
    for node in _nodes(schema):
        kind = node.get("type")
        if closed and kind == "object" and node.get("additionalProperties") is not False:
            raise Defect(f"{model.__name__} has an object that is open to any field.", code="defect.tool")
        if kind == "number":
            raise Defect(f"{model.__name__} has a fraction: use a whole number in a smaller unit.", code="defect.tool")
        if not node.keys() & {"type", "$ref", "anyOf", "oneOf", "allOf", "enum", "const"}:
            raise Defect(f"{model.__name__} has a field of any type: say what it is.", code="defect.tool")
    return schema


def is_closed(schema: Schema, root: Schema) -> bool:
    """Return whether a value of `schema` is picked from a fixed set: an enumeration, a constant or a boolean."""
    if "$ref" in schema:
        return is_closed(resolve(schema, root), root)
    if "enum" in schema or "const" in schema or schema.get("type") == "boolean":
        return True
    return any(is_closed(branch, root) for branch in branches(schema))


def members(schema: Schema, root: Schema) -> Iterator[str]:
    """Yield the words of an enumeration that a value of `schema` is picked from; none if it is none."""
    schema = resolve(schema, root)
    listed = schema.get("enum", [schema.get("const")])
    if isinstance(listed, Sequence):
        yield from (word for word in listed if isinstance(word, str))
    for branch in branches(schema):
        yield from members(branch, root)


def resolve(schema: Schema, root: Schema) -> Schema:
    """Return what `schema` refers to in `root`, or itself if it refers to nothing."""
    reference = schema.get("$ref")
    if not isinstance(reference, str):
        return schema
    return _mapping(_mapping(root["$defs"])[reference.removeprefix("#/$defs/")])


def branches(schema: Schema) -> Iterator[Schema]:
    for key in ("anyOf", "oneOf", "allOf"):
        yield from _mappings(schema.get(key))


def _says_who(name: str) -> bool:
    words = {word.lower() for word in _WORDS.findall(name)}
    return bool(words & _IDENTITY_WORDS) or "".join(_WORDS.findall(name)).lower() in _IDENTITY_NAMES


def _names(schema: Schema) -> Iterator[str]:
    for node in _nodes(schema):
        yield from _mapping(node.get("properties", {}))


def _nodes(schema: Schema) -> Iterator[Schema]:
    """Yield `schema` and every schema inside it."""
    yield schema
    for key in ("properties", "$defs"):
        for child in _mapping(schema.get(key, {})).values():
            yield from _nodes(_mapping(child))
    for child in (*branches(schema), *_mappings(schema.get("prefixItems")), *_mappings([schema.get("items")])):
        yield from _nodes(child)


def _untitled(value: Json) -> Json:
    """Drop the titles that pydantic makes up: they cost tokens and say nothing. A *property* named title stays."""
    if isinstance(value, Mapping):
        return {k: _untitled(v) for k, v in value.items() if not (k == "title" and isinstance(v, str))}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_untitled(item) for item in value]
    return value


def _mapping(value: Json) -> Schema:
    return value if isinstance(value, Mapping) else {}


def _mappings(value: Json) -> Iterator[Schema]:
    if isinstance(value, Sequence) and not isinstance(value, str):
        yield from (item for item in value if isinstance(item, Mapping))
