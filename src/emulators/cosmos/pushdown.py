"""What of a WHERE the file itself can test, so that few documents have to be read.

Each test lets through every row that the condition lets through, and may let through more: `sql/evaluate.py` decides.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from emulators.cosmos.database import SqlValue
from emulators.cosmos.sql.tree import Called, Compared, Constant, Expression, Joined, Negated, OneOf, PathOf, conjuncts
from emulators.cosmos.values import Json

_MIRRORED = {"=": "=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_MOST_CHOICES = 500


@dataclass(frozen=True, slots=True)
class Test:
    """A piece of SQL over the table `items`, and its bindings."""

    sql: str
    bindings: tuple[SqlValue, ...]


def pushed(where: Expression | None, alias: str) -> list[Test]:
    """Return the tests that can be made in SQL, all of which must hold."""
    return [test for part in conjuncts(where) if (test := _test(part, alias))]


def _test(expression: Expression, alias: str) -> Test | None:
    match expression:
        case Compared(sign, PathOf() as path, Constant(value)) if path.alias == alias:
            return _compared(sign, path, value)
        case Compared(sign, Constant(value), PathOf() as path) if path.alias == alias and sign in _MIRRORED:
            return _compared(_MIRRORED[sign], path, value)
        case OneOf(PathOf() as path, choices) if path.alias == alias:
            return _one_of(path, [choice.value for choice in choices if isinstance(choice, Constant)], len(choices))
        case Called("ARRAY_CONTAINS", (Constant(list() as values), PathOf() as path)) if path.alias == alias:
            return _one_of(path, values, len(values))
        case Called("ARRAY_CONTAINS", (PathOf() as path, Constant(str() as value))) if path.alias == alias:
            return _of_path(path, "EXISTS (SELECT 1 FROM json_each(body, ?) WHERE value = ?)", (value,))
        case Called("STARTSWITH", (PathOf() as path, Constant(str() as value))) if path.alias == alias:
            return _of_path(path, f"substr({_extract(path)}, 1, {len(value)}) = ?", (value,))
        case Called("IS_DEFINED", (PathOf() as path,)) if path.alias == alias:
            return _of_path(path, "json_type(body, ?) IS NOT NULL")
        case Negated(Called("IS_DEFINED", (PathOf() as path,))) if path.alias == alias:
            return _of_path(path, "json_type(body, ?) IS NULL")
        case Joined("OR", parts):
            return _any([_test(part, alias) for part in parts])
        case Joined("AND", parts):
            return _all([test for part in parts if (test := _test(part, alias))])
        case _:
            return None


def _compared(sign: str, path: PathOf, value: Json) -> Test | None:
    if sign not in _MIRRORED or isinstance(value, list | dict):
        return None
    if value is None:
        return _of_path(path, "json_type(body, ?) = 'null'") if sign == "=" else None
    return _of_path(path, f"{_extract(path)} {sign} ?", (value,))


def _one_of(path: PathOf, values: Sequence[Json], expected: int) -> Test | None:
    plain = tuple(value for value in values if isinstance(value, str | int | float))
    if len(plain) != expected or len(plain) > _MOST_CHOICES:
        return None
    return _of_path(path, f"{_extract(path)} IN ({', '.join('?' * len(plain))})", plain)


def _any(tests: Sequence[Test | None]) -> Test | None:
    """Of an OR every part must be testable."""
    known = [test for test in tests if test]
    if len(known) < len(tests):
        return None
    return Test(
        f"({' OR '.join(test.sql for test in known)})", tuple(value for test in known for value in test.bindings)
    )


def _all(tests: Sequence[Test]) -> Test | None:
    if not tests:
        return None
    return Test(
        f"({' AND '.join(test.sql for test in tests)})", tuple(value for test in tests for value in test.bindings)
    )


def _extract(path: PathOf) -> str:
    """Return the SQL of a path's value; the item's id has a column of its own, with an index."""
    return "id" if path.steps == ("id",) else "json_extract(body, ?)"


def _of_path(path: PathOf, sql: str, values: tuple[SqlValue, ...] = ()) -> Test | None:
    """Bind the path, if SQLite can name it, in front of the values."""
    if "?" in sql and path.steps == ("id",) and "body, ?" not in sql:
        return Test(sql, values)
    if not path.steps or any(isinstance(step, str) and ('"' in step or "\\" in step) for step in path.steps):
        return None
    steps = [f"[{step}]" if isinstance(step, int) else f'."{step}"' for step in path.steps]
    return Test(sql, (f"${''.join(steps)}", *values))
