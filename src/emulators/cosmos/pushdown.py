"""What of a WHERE the file itself can test, so that few documents have to be read.

Each test lets through every row that the condition lets through. One that lets through no other is exact; otherwise
`sql/evaluate.py` decides about the document.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from emulators.cosmos.database import SqlValue
from emulators.cosmos.keys import KeyDefinition
from emulators.cosmos.scope import Scope
from emulators.cosmos.sql.tree import Called, Compared, Constant, Expression, Joined, Negated, OneOf, PathOf, conjuncts
from emulators.cosmos.values import Json

_MIRRORED = {"=": "=", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_MOST_CHOICES = 500


@dataclass(frozen=True, slots=True)
class Test:
    """A piece of SQL over the table `items`, and its bindings."""

    sql: str
    bindings: tuple[SqlValue, ...] = ()


@dataclass(frozen=True, slots=True)
class Pushed:
    """Tests that must all hold; `exact` if they are the whole WHERE."""

    tests: tuple[Test, ...]
    exact: bool


def pushed(where: Expression | None, alias: str, scope: Scope, key: KeyDefinition) -> Pushed:
    """Return what of a WHERE can be tested in SQL."""
    parts = [part for part in conjuncts(where) if not _implied(part, alias, scope, key)]
    tests = [_test(part, alias) for part in parts]
    return Pushed(tuple(test for test in tests if test), None not in tests)


def _implied(part: Expression, alias: str, scope: Scope, key: KeyDefinition) -> bool:
    """Return whether the scope lies within the value of the key's first level that the condition names."""
    match part:
        case Compared("=", PathOf() as path, Constant(str() as value)) if path.alias == alias:
            start = key.epk([value])
            return path.steps == key.paths[0] and scope.low.startswith(start) and scope.high <= f"{start}FF"
        case _:
            return False


def _test(expression: Expression, alias: str) -> Test | None:  # noqa: PLR0911 - one for each kind
    match expression:
        case Compared(sign, PathOf() as path, Constant(value)) if path.alias == alias:
            return _compared(sign, path, value)
        case Compared(sign, Constant(value), PathOf() as path) if path.alias == alias:
            return _compared(_MIRRORED[sign], path, value)
        case OneOf(PathOf() as path, choices) if path.alias == alias:
            return _one_of(path, [choice.value if isinstance(choice, Constant) else [] for choice in choices])
        case Called(name, arguments):
            return _called(name, arguments, alias)
        case Negated(Called("IS_DEFINED", (PathOf() as path,))) if path.alias == alias:
            return _of(path, "json_type(body, {path}) IS NULL")
        case Joined(operator, parts):
            return _together(operator, [_test(part, alias) for part in parts])
        case _:
            return None


def _called(name: str, arguments: Sequence[Expression], alias: str) -> Test | None:
    match name, arguments:
        case "ARRAY_CONTAINS", (Constant(list() as values), PathOf() as path) if path.alias == alias:
            return _one_of(path, values)
        case "ARRAY_CONTAINS", (PathOf() as path, Constant(str() as value)) if path.alias == alias:
            each = "EXISTS (SELECT 1 FROM json_each(body, {path}) WHERE type = 'text' AND value = ?)"
            return _of(path, f"json_type(body, {{path}}) = 'array' AND {each}", value)
        case "STARTSWITH", (PathOf() as path, Constant(str() as value)) if path.alias == alias:
            start = f"substr(json_extract(body, {{path}}), 1, {len(value)}) = ?"
            return _of(path, f"json_type(body, {{path}}) = 'text' AND {start}", value)
        case "IS_DEFINED", (PathOf() as path,) if path.alias == alias:
            return _of(path, "json_type(body, {path}) IS NOT NULL")
        case "IS_NULL", (PathOf() as path,) if path.alias == alias:
            return _of(path, "json_type(body, {path}) = 'null'")
        case _:
            return None


def _compared(sign: str, path: PathOf, value: Json) -> Test | None:
    """Compare within one type only: of two types every comparison is undefined."""
    match value:
        case str() if path.steps == ("id",):
            return Test(f"id {sign} ?", (value,))
        case str() if sign == "=":
            return _of(path, "body -> {path} = ?", _text(value))
        case str():
            return _of(path, f"json_type(body, {{path}}) = 'text' AND json_extract(body, {{path}}) {sign} ?", value)
        case bool() | None if sign == "=":
            return _of(path, "body -> {path} = ?", _text(value))
        case int() | float() if not isinstance(value, bool):
            number = "json_type(body, {path}) IN ('integer', 'real')"
            return _of(path, f"{number} AND json_extract(body, {{path}}) {sign} ?", value)
        case _:
            return None


def _one_of(path: PathOf, values: Sequence[Json]) -> Test | None:
    if len(values) > _MOST_CHOICES or not all(isinstance(value, str) for value in values):
        return None
    marks = ", ".join("?" * len(values))
    if path.steps == ("id",):
        return Test(f"id IN ({marks})", tuple(str(value) for value in values))
    return _of(path, f"body -> {{path}} IN ({marks})", *(_text(value) for value in values))


def _together(operator: str, tests: Sequence[Test | None]) -> Test | None:
    known = [test for test in tests if test]
    if len(known) < len(tests):
        return None
    sql = f" {operator} ".join(f"({test.sql})" for test in known)
    return Test(sql, tuple(value for test in known for value in test.bindings))


def _of(path: PathOf, sql: str, *values: SqlValue) -> Test | None:
    """Write the path, if SQLite can name it, into the SQL."""
    named = json_path(path.steps)
    return Test(sql.replace("{path}", named), values) if named else None


def json_path(steps: Sequence[str | int]) -> str | None:
    """Return a path as a literal of SQL; only plain names, so that nobody's query text becomes SQL."""
    if not steps or not all(isinstance(step, int) or (step.isascii() and step.isidentifier()) for step in steps):
        return None
    return "'$" + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps) + "'"


def _text(value: Json) -> str:
    return orjson.dumps(value).decode()
