"""What an offered tool wants: each parameter of its JSON schema with the kind of value that it asks for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from emulators.model_endpoint.conversation import JsonObject, as_list, as_object, as_text
from emulators.model_endpoint.values import is_loose
from emulators.model_endpoint.words import name_words, stem, stems, word_set

Kind = Literal[
    "constant", "choice", "pattern", "email", "link", "date", "identifier", "money", "cents", "number", "flag", "list",
    "object", "name", "text",
]  # fmt: skip

STRICT: frozenset[Kind] = frozenset({"choice", "pattern", "email", "link", "date", "identifier", "money", "cents"})
"""Kinds whose values can be told from ordinary words."""

_TEXT_WORDS = word_set(
    "subject title topic headline body text message reason cause justification summary note notes comment description "
    "details detail content question query explanation problem instructions"
)
_IDENTIFIER_WORDS = word_set("id ids identifier number no nr code reference ref key sku")
_CENTS = frozenset({"cent", "minor"})
_MONEY = frozenset({"amount", "price", "sum", "total", "money", "cost", "fee"})
_LONG = 100


@dataclass(frozen=True, slots=True)
class Field:
    """One parameter.

    Attributes:
        words: stems of its name.
        described: stems of its description.
    """

    name: str
    schema: JsonObject
    required: bool
    kind: Kind
    words: frozenset[str]
    described: frozenset[str]

    @property
    def description(self) -> str:
        return as_text(self.schema.get("description"))


def fields(parameters: JsonObject) -> list[Field]:
    """Return the parameters of an object schema; references and optional wrappers are resolved."""
    required = set(as_list(parameters.get("required")))
    definitions = as_object(parameters.get("$defs")) or {}
    properties = as_object(parameters.get("properties")) or {}
    return [field_of(name, schema, definitions, required=name in required) for name, schema in properties.items()]


def field_of(name: str, schema: object, definitions: JsonObject, *, required: bool) -> Field:
    resolved = _resolve(as_object(schema) or {}, definitions)
    words = frozenset(stem(word) for word in name_words(name))
    described = frozenset(stems(as_text(resolved.get("description"))))
    kind = _kind(name, resolved, words, described)
    return Field(name=name, schema=resolved, required=required, kind=kind, words=words, described=described)


def _resolve(schema: JsonObject, definitions: JsonObject) -> JsonObject:
    reference = as_text(schema.get("$ref")).removeprefix("#/$defs/")
    if reference and (target := as_object(definitions.get(reference))):
        schema = {**target, **{key: value for key, value in schema.items() if key != "$ref"}}
    for wrapper in ("anyOf", "oneOf", "allOf"):
        options = [option for item in as_list(schema.get(wrapper)) if (option := as_object(item))]
        real = [option for option in options if option.get("type") != "null"]
        if real:
            outer = {key: value for key, value in schema.items() if key != wrapper}
            return {**_resolve(real[0], definitions), **outer}
    return schema


def _kind(name: str, schema: JsonObject, words: frozenset[str], described: frozenset[str]) -> Kind:
    if "const" in schema:
        return "constant"
    if as_list(schema.get("enum")):
        return "choice"
    simple: dict[str, Kind] = {"boolean": "flag", "array": "list", "object": "object"}
    kind = _type(schema)
    if kind in ("integer", "number"):
        return _number_kind(words, described)
    return simple.get(kind) or _string_kind(name, schema, described)


def _type(schema: JsonObject) -> str:
    kinds = [kind for kind in as_list(schema.get("type")) if kind != "null"]
    return as_text(kinds[0] if kinds else schema.get("type"))


def _number_kind(words: frozenset[str], described: frozenset[str]) -> Kind:
    if _CENTS & (words | described):
        return "cents"
    return "money" if _MONEY & words else "number"


def _string_kind(name: str, schema: JsonObject, described: frozenset[str]) -> Kind:
    parts = set(name_words(name))
    formats: Mapping[str, Kind] = {"email": "email", "idn-email": "email", "uri": "link", "url": "link", "date": "date"}
    pattern = as_text(schema.get("pattern"))
    if kind := formats.get(as_text(schema.get("format"))):
        return kind
    if parts & {"email", "mail"} or {"email", "address"} <= described:
        return "email"
    if pattern and not is_loose(pattern):
        return "pattern"
    return _worded_kind(schema, parts, described)


def _worded_kind(schema: JsonObject, parts: set[str], described: frozenset[str]) -> Kind:
    """Tell free text from identifiers by the parameter's name, then by its description, then by its length."""
    longest = schema.get("maxLength")
    if parts & _TEXT_WORDS:
        return "text"
    if parts & _IDENTIFIER_WORDS or described & {stem(word) for word in _IDENTIFIER_WORDS}:
        return "identifier"
    if described & {stem(word) for word in _TEXT_WORDS} or (isinstance(longest, int) and longest >= _LONG):
        return "text"
    return "name"
