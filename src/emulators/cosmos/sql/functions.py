"""Functions of one document, after https://learn.microsoft.com/azure/cosmos-db/nosql/query/system-functions.

A function that is given what it does not take yields undefined, as documented for each.
"""

from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum

from emulators.cosmos.values import UNDEFINED, Undefined, Value

Function = Callable[[Sequence[Value]], Value]

_MANY = 1_000


class Kind(IntEnum):
    """The types in their order: https://learn.microsoft.com/azure/cosmos-db/nosql/query/order-by#remarks."""

    UNDEFINED = 0
    NULL = 1
    BOOLEAN = 2
    NUMBER = 3
    STRING = 4
    ARRAY = 5
    OBJECT = 6


_KINDS = {
    Undefined: Kind.UNDEFINED,
    type(None): Kind.NULL,
    bool: Kind.BOOLEAN,
    int: Kind.NUMBER,
    float: Kind.NUMBER,
    str: Kind.STRING,
    list: Kind.ARRAY,
    dict: Kind.OBJECT,
}


def kind(value: Value) -> Kind:
    return _KINDS[type(value)]


def equal(left: Value, right: Value) -> bool:
    """Return whether two values are the same JSON, in which `true` is not 1."""
    if kind(left) != kind(right):
        return False
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(equal, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(equal(left[name], right[name]) for name in left)
    return left == right


def _starts_with(arguments: Sequence[Value]) -> Value:
    text, start, *rest = arguments
    if not isinstance(text, str) or not isinstance(start, str):
        return UNDEFINED
    return text.casefold().startswith(start.casefold()) if rest and rest[0] is True else text.startswith(start)


def _array_contains(arguments: Sequence[Value]) -> Value:
    array, sought = arguments
    if not isinstance(array, list) or sought is UNDEFINED:
        return UNDEFINED
    return any(equal(item, sought) for item in array)


def _array_length(arguments: Sequence[Value]) -> Value:
    return len(arguments[0]) if isinstance(arguments[0], list) else UNDEFINED


def _lower(arguments: Sequence[Value]) -> Value:
    return arguments[0].lower() if isinstance(arguments[0], str) else UNDEFINED


FUNCTIONS: Mapping[str, tuple[int, int, Function]] = {
    "IS_DEFINED": (1, 1, lambda arguments: arguments[0] is not UNDEFINED),
    "IS_NULL": (1, 1, lambda arguments: arguments[0] is None),
    "IS_BOOL": (1, 1, lambda arguments: kind(arguments[0]) is Kind.BOOLEAN),
    "IS_NUMBER": (1, 1, lambda arguments: kind(arguments[0]) is Kind.NUMBER),
    "IS_STRING": (1, 1, lambda arguments: kind(arguments[0]) is Kind.STRING),
    "IS_ARRAY": (1, 1, lambda arguments: kind(arguments[0]) is Kind.ARRAY),
    "IS_OBJECT": (1, 1, lambda arguments: kind(arguments[0]) is Kind.OBJECT),
    "STARTSWITH": (2, 3, _starts_with),
    "ARRAY_CONTAINS": (2, 2, _array_contains),
    "ARRAY_LENGTH": (1, 1, _array_length),
    "LOWER": (1, 1, _lower),
}

ARITY: Mapping[str, tuple[int, int]] = {name: (least, most) for name, (least, most, _) in FUNCTIONS.items()} | {
    "VECTORDISTANCE": (2, 4),
    "FULLTEXTSCORE": (2, _MANY),
    "RRF": (2, _MANY),
    "FULLTEXTCONTAINS": (2, 2),
    "FULLTEXTCONTAINSALL": (2, _MANY),
    "FULLTEXTCONTAINSANY": (2, _MANY),
}
"""Least and most arguments of each function that the parser knows; those not in `FUNCTIONS` need an index."""
