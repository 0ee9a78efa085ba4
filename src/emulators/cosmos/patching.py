"""Partial updates: https://learn.microsoft.com/azure/cosmos-db/partial-document-update and rule 13."""

import copy
from collections.abc import Sequence
from typing import cast

from emulators.cosmos.errors import bad, changed_meanwhile
from emulators.cosmos.sql import matches, parse_condition
from emulators.cosmos.values import UNDEFINED, Json, Object, Value, as_list, as_object, check_keys

_MOST = 10
_BODY = frozenset({"operations", "condition"})
_OPERATION = frozenset({"op", "path", "value", "from"})
Parent = dict[str, Json] | list[Json]


def apply_patch(document: Object, patch: Object, fixed: Sequence[tuple[str, ...]]) -> Object:
    """Return the document as the patch leaves it.

    Args:
        document: stays as it is.
        patch: operations, and a condition if there is one.
        fixed: paths that no patch may change: the partition key, the id, what the system sets.

    Raises:
        CosmosError: 400; 412 where the condition does not hold.
    """
    check_keys(patch, _BODY, "The patch")
    condition = patch.get("condition")
    if condition is not None and not matches(parse_condition(condition), document):
        raise changed_meanwhile()
    operations = as_list(patch.get("operations"), "operations")
    if not 1 <= len(operations) <= _MOST:
        raise bad(f"A patch must have 1 to {_MOST} operations.")
    result = copy.deepcopy(document)
    for value in operations:
        operation = as_object(value, "An operation of a patch")
        check_keys(operation, _OPERATION, "An operation of a patch")
        _apply(result, operation, fixed)
    return result


def _apply(document: Object, operation: Object, fixed: Sequence[tuple[str, ...]]) -> None:
    path = _steps(operation.get("path"), fixed)
    value: Value = operation.get("value", UNDEFINED)
    match operation.get("op"):
        case "add":
            _add(document, path, _needed(value))
        case "set":
            _set(document, path, _needed(value))
        case "replace":
            _take(document, path)
            _add(document, path, _needed(value))
        case "remove":
            _take(document, path)
        case "incr":
            _increase(document, path, value)
        case "move":
            source = _steps(operation.get("from"), fixed)
            if path[: len(source)] == source:
                raise bad("A value cannot be moved into itself.")
            _add(document, path, _take(document, source))
        case other:
            raise bad(f"The operation {other!r} of a patch is not known.")


def _steps(path: Value, fixed: Sequence[tuple[str, ...]]) -> list[str]:
    """Return the steps of a JSON pointer (RFC 6901)."""
    if not isinstance(path, str) or not path.startswith("/"):
        raise bad("A path of a patch begins with a slash.")
    steps = [step.replace("~1", "/").replace("~0", "~") for step in path[1:].split("/")]
    if any(tuple(steps[: len(other)]) == other or other[: len(steps)] == tuple(steps) for other in fixed):
        raise bad("The partition key, the id and the properties of the system cannot be patched.")
    return steps


def _needed(value: Value) -> Json:
    if value is UNDEFINED:
        raise bad("The operation of the patch has no value.")
    return value


def _parent(document: Object, path: Sequence[str]) -> Parent:
    found: Json = document
    for step in path[:-1]:
        if isinstance(found, list):
            found = found[_index(step, len(found) - 1)]
        elif isinstance(found, dict) and step in found:
            found = found[step]
        else:
            raise bad("The path of the patch leads through a property that is not there.")
    if not isinstance(found, dict | list):
        raise bad("The path of the patch leads into a value that has no properties.")
    return cast("Parent", found)


def _index(step: str, highest: int) -> int:
    if not step.isascii() or not step.isdigit() or int(step) > highest:
        raise bad("The path of the patch names a place that the array does not have.")
    return int(step)


def _add(document: Object, path: Sequence[str], value: Json) -> None:
    parent = _parent(document, path)
    if isinstance(parent, dict):
        parent[path[-1]] = value
    else:
        parent.insert(len(parent) if path[-1] == "-" else _index(path[-1], len(parent)), value)


def _set(document: Object, path: Sequence[str], value: Json) -> None:
    """Like `add`, but in an array it replaces what stands at the place."""
    parent = _parent(document, path)
    if isinstance(parent, list) and path[-1] != "-" and int(path[-1] if path[-1].isdigit() else 0) < len(parent):
        parent[_index(path[-1], len(parent) - 1)] = value
    else:
        _add(document, path, value)


def _take(document: Object, path: Sequence[str]) -> Json:
    parent = _parent(document, path)
    if isinstance(parent, list):
        return parent.pop(_index(path[-1], len(parent) - 1))
    if path[-1] not in parent:
        raise bad("The path of the patch names a property that is not there.")
    return parent.pop(path[-1])


def _increase(document: Object, path: Sequence[str], value: Value) -> None:
    parent = _parent(document, path)
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise bad("incr takes a number.")
    if isinstance(parent, dict):
        parent[path[-1]] = _sum(parent.get(path[-1], 0), value)
    else:
        place = _index(path[-1], len(parent) - 1)
        parent[place] = _sum(parent[place], value)


def _sum(old: Json, value: float) -> Json:
    if not isinstance(old, int | float) or isinstance(old, bool):
        raise bad("incr changes numbers only.")
    return old + value
