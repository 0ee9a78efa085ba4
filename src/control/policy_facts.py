"""What policies may speak of: the schema, the words of each fact, and which facts a policy speaks of."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import cast

import cedarpy
from pydantic import JsonValue
from pydantic_core import SchemaValidator, core_schema

from control.principals import IdentityState
from control.switches import STOPPED
from core import ActionKind, Confidentiality, Effect, Facts, Integrity, PrincipalKind, Role
from guards import GUARDS, PersonalData, Place, Secret

_ACTION = re.compile(r'action "(\w+)" appliesTo \{(.*?)\n  \};', re.DOTALL)
_FACT = re.compile(r"(\w+)(\??): (String|Long|Bool|Set<String>)")

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

VOCABULARY: Mapping[str, frozenset[str]] = {
    "effect": frozenset(Effect),
    "context_integrity": frozenset(Integrity),
    "choice_integrity": frozenset(Integrity),
    "collection_integrity": frozenset(Integrity),
    "context_confidentiality": frozenset(Confidentiality),
    "principal_kind": frozenset(PrincipalKind),
    "user_roles": frozenset(Role),
    "weekday": frozenset(WEEKDAYS),
    "switched_off": frozenset(STOPPED),
    "agent_identity": frozenset(IdentityState),
    "agent_effects": frozenset(Effect),
    "injection_in": frozenset(Place),
    "secrets": frozenset(Secret),
    "secrets_read": frozenset(Secret),
    "personal_data": frozenset(PersonalData),
    "personal_data_read": frozenset(PersonalData),
    "guards": frozenset(GUARDS),
    "guards_silent": frozenset(GUARDS),
}
"""All words of those facts that have few; what a policy compares them with must be one of these."""


_TYPES: Mapping[str, core_schema.CoreSchema] = {
    "String": core_schema.str_schema(strict=True),
    "Long": core_schema.int_schema(strict=True, ge=-(2**63), lt=2**63),
    "Bool": core_schema.bool_schema(strict=True),
    "Set<String>": core_schema.tuple_variable_schema(core_schema.str_schema(strict=True), strict=True),
}


@dataclass(frozen=True, slots=True)
class FactType:
    """`kind` is Cedar's name of it."""

    kind: str
    required: bool


@cache
def schema() -> cedarpy.Schema:
    """Return the schema of all policies, parsed once per process."""
    return cedarpy.Schema.from_str(schema_text())


@cache
def schema_text() -> str:
    return (files("control") / "policies" / "schema.cedarschema").read_text(encoding="utf-8")


@cache
def facts_of(kind: ActionKind) -> Mapping[str, FactType]:
    """Return the facts that the gate gives for an action, by name, in the order of the schema."""
    block = dict(_ACTION.findall(schema_text()))[kind.value]
    return {name: FactType(type_, not optional) for name, optional, type_ in _FACT.findall(block)}


def fits(kind: ActionKind, facts: Facts) -> bool:
    """Return whether `facts` are what the schema has for an action: none missing, none unknown, each of its type."""
    return _validator(kind).isinstance_python(facts)


@cache
def _validator(kind: ActionKind) -> SchemaValidator:
    fields = {
        name: core_schema.typed_dict_field(_TYPES[one.kind], required=one.required)
        for name, one in facts_of(kind).items()
    }
    return SchemaValidator(core_schema.typed_dict_schema(fields, extra_behavior="forbid"))


@cache
def all_facts() -> frozenset[str]:
    return frozenset(name for kind in ActionKind for name in facts_of(kind))


def expressions(node: JsonValue) -> Iterator[tuple[str, dict[str, JsonValue]]]:
    """Yield each operator of a policy in Cedar's JSON, with what it is given."""
    if isinstance(node, dict):
        for key, value in node.items():
            if isinstance(value, dict):
                yield key, value
            yield from expressions(value)
    elif isinstance(node, list):
        for item in node:
            yield from expressions(item)


def fact(node: JsonValue) -> str:
    """Return the name of the fact that an expression is; empty if it is something else."""
    match node:
        case {".": {"left": {"Var": "context"}, "attr": str(name)}}:
            return name
        case _:
            return ""


def spoken_of(policy: JsonValue) -> frozenset[str]:
    """Return the facts that a policy speaks of; all, where it looks at the context as a whole."""
    names = [
        cast("str", operands.get("attr"))
        for operator, operands in expressions(policy)
        if operator in (".", "has") and operands.get("left") == {"Var": "context"}
    ]
    return frozenset(names) if len(names) == mentions(policy, "context") else all_facts()


def mentions(node: JsonValue, variable: str) -> int:
    """Return how often a policy's conditions speak of `context`, `principal`, `action` or `resource`."""
    match node:
        case {"Var": str(name)}:
            return name == variable
        case dict():
            return sum(mentions(inner, variable) for inner in node.values())
        case list():
            return sum(mentions(inner, variable) for inner in node)
        case _:
            return 0
