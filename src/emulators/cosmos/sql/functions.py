"""Functions of one document. https://learn.microsoft.com/azure/cosmos-db/nosql/query/system-functions

A function that is given what it does not take yields undefined, as documented for each.
"""

from collections.abc import Callable, Mapping, Sequence

from emulators.cosmos.values import UNDEFINED, Value

Function = Callable[[Sequence[Value]], Value]

_MANY = 1_000


def kind(value: Value) -> int:
    """Return the rank of a value's type in the order of types: undefined first, objects last.

    https://learn.microsoft.com/azure/cosmos-db/nosql/query/order-by#remarks
    """
    match value:
        case None:
            return 1
        case bool():
            return 2
        case int() | float():
            return 3
        case str():
            return 4
        case list():
            return 5
        case dict():
            return 6
        case _:
            return 0


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
    "IS_BOOL": (1, 1, lambda arguments: kind(arguments[0]) == 2),
    "IS_NUMBER": (1, 1, lambda arguments: kind(arguments[0]) == 3),
    "IS_STRING": (1, 1, lambda arguments: kind(arguments[0]) == 4),
    "IS_ARRAY": (1, 1, lambda arguments: kind(arguments[0]) == 5),
    "IS_OBJECT": (1, 1, lambda arguments: kind(arguments[0]) == 6),
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
