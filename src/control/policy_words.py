"""A policy in plain words, made from the policy itself: whom and what it is about, and when it applies."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from pydantic import JsonValue

from control.policy_fact_words import FACT_WORDS
from control.policy_facts import fact
from control.policy_text import Rule
from core import ActionKind, Confidentiality

ACTION_WORDS: Mapping[ActionKind, str] = {
    ActionKind.CALL_MODEL: "Asking a model",
    ActionKind.RETRIEVE: "Searching documents",
    ActionKind.CALL_TOOL: "Calling a tool",
    ActionKind.INGEST: "Adding documents",
    ActionKind.SHOW: "Showing what the model writes",
}

_RANKS = ("confidentiality_rank", "confidentiality_ceiling", "arguments_rank", "tool_ceiling")
_ALWAYS = "always"
_WHO = {"Mandate::Agent": "an agent", "Mandate::User": "a person, without an agent", "Mandate::Service": "a service"}
_THING = {"Mandate::Model": "a model", "Mandate::Collection": "a collection", "Mandate::Tool": "a tool"}
_APPLIED = {
    "contains": "{right} is among {left}",
    "containsAll": "all of {right} are among {left}",
    "containsAny": "any of {right} is among {left}",
    "isEmpty": "there are none of {arg}",
    "if-then-else": "(if {if}, then {then}, otherwise {else})",
}
"""Operators whose operands are all expressions, and the words that these stand in."""

_COMPARED = {
    "==": "is",
    "!=": "is not",
    "<": "is less than",
    "<=": "is at most",
    ">": "is more than",
    ">=": "is at least",
    "like": "looks like",
    "+": "plus",
    "-": "minus",
    "*": "times",
}


@dataclass(frozen=True, slots=True)
class RuleWords:
    """What a policy says.

    Attributes:
        about: the actions that it may be about.
        applies: when it does, as the rest of a sentence that begins with "It applies".
    """

    about: Sequence[ActionKind]
    applies: str


def words_of(rule: Rule) -> RuleWords:
    """Return what a policy says, in words."""
    policy = cast("dict[str, JsonValue]", rule.policy)
    conditions = cast("list[dict[str, JsonValue]]", policy.get("conditions", []))
    parts = [*_scope("principal", policy), *_scope("resource", policy)]
    parts += [f"{condition['kind']} {_said(condition['body'])}" for condition in conditions]
    return RuleWords(_actions(policy["action"]), ", ".join(parts) or _ALWAYS)


def _actions(scope: JsonValue) -> Sequence[ActionKind]:
    match scope:
        case {"entity": {"id": str(name)}}:
            return (ActionKind(name),)
        case {"entities": list(entities)}:
            return tuple(ActionKind(cast("dict[str, str]", entity)["id"]) for entity in entities)
        case _:
            return tuple(ActionKind)


def _scope(part: str, policy: Mapping[str, JsonValue]) -> list[str]:
    match policy.get(part):
        case {"op": "is", "entity_type": str(kind)}:
            return [f"to {_kind(kind)}"]
        case {"entity": {"type": str(kind), "id": str(name)}}:
            return [f"to {_kind(kind)} named `{name}`"]
        case _:
            return []


def _kind(name: str) -> str:
    return {**_WHO, **_THING}.get(name, f"`{name}`")


def _said(node: JsonValue) -> str:
    """Return an expression of Cedar's JSON in words: an operator with what it is applied to, or a plain value."""
    match node:
        case {"!": {"arg": inner}}:
            return _not(inner)
        case {"&&": _}:
            return ", and ".join(_grouped(part, "||") for part in _flat(node, "&&"))
        case {"||": _}:
            return f"either {', or '.join(_grouped(part, '&&') for part in _flat(node, '||'))}"
        case dict() if len(node) == 1 and (operator := next(iter(node))) in {*_APPLIED, *_COMPARED}:
            return _operation(operator, cast("dict[str, JsonValue]", node[operator]))
        case _:
            return _plain(node)


def _operation(operator: str, operands: Mapping[str, JsonValue]) -> str:
    if template := _APPLIED.get(operator):
        return template.format_map({name: _said(operand) for name, operand in operands.items()})
    return _compared(operator, operands)


def _plain(node: JsonValue) -> str:
    match node:
        case {"Value": value}:
            return _value(value)
        case {"Set": list(items)}:
            return _listed([_said(item) for item in items])
        case {"Var": str(name)}:
            return {"principal": "who acts", "resource": "what is acted upon"}.get(name, name)
        case {"has": {"attr": str(name)}}:
            return f"{_noun(name)} is known"
        case {"is": {"left": left, "entity_type": str(kind)}}:
            return f"{_said(left)} is {_kind(kind)}"
        case _:
            return FACT_WORDS[fact(node)].name if fact(node) in FACT_WORDS else f"`{node}`"


def _not(inner: JsonValue) -> str:
    words = FACT_WORDS.get(fact(inner))
    if words and words.no:
        return words.no
    match inner:
        case {"isEmpty": {"arg": things}}:
            return f"there are some of {_said(things)}"
        case {"has": {"attr": str(name)}}:
            return f"{_noun(name)} is not known"
        case _:
            return f"it is not so that {_grouped(inner, '||', '&&')}"


def _compared(operator: str, operands: Mapping[str, JsonValue]) -> str:
    if operator == "like":
        return f"{_said(operands['left'])} looks like `{_pattern(operands['pattern'])}`"
    left, right = operands["left"], operands["right"]
    said = _said
    if any(map(_is_money, (left, right))):
        said = _money
    elif any(fact(side) in _RANKS for side in (left, right)):
        said = _rank
    sides = [said(side) for side in (left, right)]
    return f"{sides[0]} {_COMPARED[operator]} {sides[1]}"


def _pattern(pattern: JsonValue) -> str:
    parts = cast("list[str | dict[str, str]]", pattern)
    return "".join("*" if isinstance(part, str) else part["Literal"] for part in parts)


def _is_money(node: JsonValue) -> bool:
    """Return whether an expression is of an amount: a fact in cents, or a sum with one in it."""
    match node:
        case {"+": {"left": left, "right": right}} | {"-": {"left": left, "right": right}}:
            return _is_money(left) or _is_money(right)
        case _:
            return fact(node).endswith("_cents")


def _money(node: JsonValue) -> str:
    match node:
        case {"Value": int(cents)}:
            return f"{cents / 100:,.2f}"
        case _:
            return _said(node)


def _rank(node: JsonValue) -> str:
    match node:
        case {"Value": int(rank)}:
            return next((f"`{level}`" for level in Confidentiality if level.rank == rank), str(rank))
        case _:
            return _said(node)


def _flat(node: JsonValue, operator: str) -> list[JsonValue]:
    inner = node.get(operator) if isinstance(node, dict) else None
    if not isinstance(inner, dict):
        return [node]
    return [*_flat(inner["left"], operator), *_flat(inner["right"], operator)]


def _grouped(node: JsonValue, *operators: str) -> str:
    said = _said(node)
    return f"({said})" if isinstance(node, dict) and any(operator in node for operator in operators) else said


def _noun(name: str) -> str:
    return FACT_WORDS[name].name if name in FACT_WORDS else f"`{name}`"


def _value(value: JsonValue) -> str:
    match value:
        case {"__entity": {"type": str(kind), "id": str(name)}}:
            return f"{_kind(kind)} named `{name}`"
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case _:
            return f"`{value}`"


def _listed(items: Sequence[str]) -> str:
    return " or ".join(filter(None, (", ".join(items[:-1]), items[-1]))) if items else "nothing"
