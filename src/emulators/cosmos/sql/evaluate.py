"""What an expression of a query yields for a document.

Undefined runs through everything: comparing with it, or comparing values of two types, is undefined, and only `true`
keeps a row: https://learn.microsoft.com/azure/cosmos-db/nosql/query/equality-comparison-operators, and
`logical-operators` beside it.
"""

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from emulators.cosmos.errors import unknown
from emulators.cosmos.sql.functions import FUNCTIONS, Kind, equal, kind
from emulators.cosmos.sql.tree import (
    Called,
    Compared,
    Constant,
    Exists,
    Expression,
    Joined,
    Listed,
    Negated,
    OneOf,
    PathOf,
)
from emulators.cosmos.values import UNDEFINED, Json, Value, at

Names: TypeAlias = "Mapping[str, Json]"
Evaluate = Callable[[Names], Value]
Indexed = Callable[[Called], Evaluate]
"""Makes the evaluation of a function that needs an index."""

_ORDERED: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def no_index(called: Called) -> Evaluate:
    raise unknown(f"{called.name} at this place")


def compiled(expression: Expression, indexed: Indexed = no_index) -> Evaluate:
    """Return a function that yields the expression's value, given what each alias stands for."""
    match expression:
        case Constant(value):
            return lambda _: value
        case PathOf(alias, steps):
            return lambda names: at(names[alias], steps)
        case Listed(items):
            return _listed([compiled(item, indexed) for item in items])
        case Compared() | Joined() | Negated() | OneOf():
            return _condition(expression, indexed)
        case Called(name, arguments):
            return (
                _called(name, [compiled(a, indexed) for a in arguments]) if name in FUNCTIONS else indexed(expression)
            )
        case Exists():
            return _exists(expression, indexed)


def _condition(expression: Compared | Joined | Negated | OneOf, indexed: Indexed) -> Evaluate:
    match expression:
        case Compared(sign, left, right):
            return _compared(sign, compiled(left, indexed), compiled(right, indexed))
        case Joined(sign, parts):
            return _joined(sign == "OR", [compiled(part, indexed) for part in parts])
        case Negated(inner):
            return _negated(compiled(inner, indexed))
        case OneOf(value, choices):
            return _joined(True, [compiled(Compared("=", value, choice), indexed) for choice in choices])


def _listed(items: Sequence[Evaluate]) -> Evaluate:
    def evaluate(names: Names) -> Value:
        values = [item(names) for item in items]
        return [value for value in values if value is not UNDEFINED]

    return evaluate


def _compared(sign: str, left: Evaluate, right: Evaluate) -> Evaluate:
    order = _ORDERED.get(sign)

    def evaluate(names: Names) -> Value:
        one, other = left(names), right(names)
        rank = kind(one)
        if rank is Kind.UNDEFINED or rank is not kind(other):
            return UNDEFINED
        if order is None:
            return equal(one, other) == (sign == "=")
        return order(one, other) if Kind.NULL < rank <= Kind.STRING else UNDEFINED

    return evaluate


def _joined(is_or: bool, parts: Sequence[Evaluate]) -> Evaluate:
    """One `true` decides an OR and one `false` an AND; else what is no boolean makes the whole undefined."""

    def evaluate(names: Names) -> Value:
        result: Value = not is_or
        for part in parts:
            value = part(names)
            if value is is_or:
                return is_or
            if not isinstance(value, bool):
                result = UNDEFINED
        return result

    return evaluate


def _negated(inner: Evaluate) -> Evaluate:
    def evaluate(names: Names) -> Value:
        value = inner(names)
        return not value if isinstance(value, bool) else UNDEFINED

    return evaluate


def _called(name: str, arguments: Sequence[Evaluate]) -> Evaluate:
    function = FUNCTIONS[name][2]
    return lambda names: function([argument(names) for argument in arguments])


def _exists(exists: Exists, indexed: Indexed) -> Evaluate:
    source = compiled(exists.source, indexed)
    where = compiled(exists.where, indexed) if exists.where else None

    def evaluate(names: Names) -> Value:
        items = source(names)
        if not isinstance(items, list):
            return False
        return any(where is None or where({**names, exists.alias: item}) is True for item in items)

    return evaluate
