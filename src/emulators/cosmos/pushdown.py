"""What of a WHERE the file itself can test, so that few documents have to be read.

Each test lets through the very rows for which its condition is true. What cannot be tested is left to
`sql/evaluate.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from emulators.cosmos.catalogue import Container
from emulators.cosmos.database import SqlValue
from emulators.cosmos.indexing import Tokenize, path_text
from emulators.cosmos.scope import Scope
from emulators.cosmos.sql.tree import (
    Called,
    Compared,
    Constant,
    Exists,
    Expression,
    Joined,
    Negated,
    OneOf,
    PathOf,
    conjuncts,
)
from emulators.cosmos.values import Json

_MIRRORED = {"=": "=", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_MOST_CHOICES = 500
_NUMBER = "json_type(body, {path}) IN ('integer', 'real')"
_STRING = "json_type(body, {path}) = 'text'"

_HAS_WORD = "key IN (SELECT item FROM postings WHERE container = ? AND path = ? AND word = ? AND epk >= ? AND epk < ?)"


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


class Pushdown:
    """Finds the tests for one query.

    Args:
        alias: what the query calls an item.
        container: what is queried.
        scope: the part of it.
        tokenize: splits texts as the index does.
    """

    def __init__(self, alias: str, container: Container, scope: Scope, tokenize: Tokenize) -> None:
        self._alias = alias
        self._container = container
        self._scope = scope
        self._tokenize = tokenize

    def of(self, where: Expression | None) -> Pushed:
        parts = conjuncts(where)
        implied = self._implied(parts)
        tests = [self._test(part) for part in parts if part not in implied]
        return Pushed(tuple(test for test in tests if test), None not in tests)

    def _implied(self, parts: Sequence[Expression]) -> list[Expression]:
        """Return the conditions on the first levels of the key which the scope, by its place alone, already holds."""
        definition = self._container.definition.key
        held: list[Expression] = []
        values: list[str] = []
        for path in definition.paths:
            found = next((part for part in parts if _equals(part, path)), None)
            if not isinstance(found, Compared) or not isinstance(found.right, Constant):
                break
            values.append(str(found.right.value))
            start = definition.epk(values)
            if not (self._scope.low.startswith(start) and self._scope.high <= f"{start}FF"):
                break
            held.append(found)
        return held

    def _test(self, expression: Expression) -> Test | None:
        match expression:
            case Compared(sign, left, Constant(value)):
                test = self._compared(sign, left, value)
            case Compared(sign, Constant(value), right):
                test = self._compared(_MIRRORED[sign], right, value)
            case OneOf(PathOf() as path, choices):
                test = self._one_of(path, [c.value if isinstance(c, Constant) else [] for c in choices])
            case Called(name, arguments):
                test = self._called(name, arguments)
            case Negated(Called("IS_DEFINED", (PathOf() as path,))):
                test = self._of(path, "json_type(body, {path}) IS NULL")
            case Joined(operator, parts):
                test = _together(operator, [self._test(part) for part in parts])
            case Exists():
                test = self._exists(expression)
            case _:
                test = None
        return test

    def _called(self, name: str, arguments: Sequence[Expression]) -> Test | None:
        match name, arguments:
            case "ARRAY_CONTAINS", (Constant(list() as values), PathOf() as path):
                test = self._one_of(path, values)
            case "ARRAY_CONTAINS", (PathOf() as path, Constant(str() as value)):
                test = self._any_of(path, [value])
            case "STARTSWITH", (PathOf() as path, Constant(str() as value)):
                test = self._of(path, f"{_STRING} AND substr(json_extract(body, {{path}}), 1, {len(value)}) = ?", value)
            case "IS_DEFINED", (PathOf() as path,):
                test = self._of(path, "json_type(body, {path}) IS NOT NULL")
            case "IS_NULL", (PathOf() as path,):
                test = self._of(path, "json_type(body, {path}) = 'null'")
            case (("FULLTEXTCONTAINS" | "FULLTEXTCONTAINSANY" | "FULLTEXTCONTAINSALL"), (PathOf() as path, *words)):
                test = self._words(path, words, "AND" if name == "FULLTEXTCONTAINSALL" else "OR")
            case _:
                test = None
        return test

    def _compared(self, sign: str, left: Expression, value: Json) -> Test | None:
        """Compare within one type only: of two types every comparison is undefined."""
        match left, value:
            case PathOf(alias, ("id",)), str() if alias == self._alias:
                return Test(f"id {sign} ?", (value,))
            case PathOf() as path, str() if sign != "=":
                return self._of(path, f"{_STRING} AND json_extract(body, {{path}}) {sign} ?", value)
            case PathOf() as path, str() | bool() | None if sign == "=":
                return self._of(path, "body -> {path} = ?", _text(value))
            case PathOf() as path, int() | float() if not isinstance(value, bool):
                return self._of(path, f"{_NUMBER} AND json_extract(body, {{path}}) {sign} ?", value)
            case Called("ARRAY_LENGTH", (PathOf() as path,)), int() if not isinstance(value, bool):
                length = f"json_array_length(body, {{path}}) {sign} ?"
                return self._of(path, f"json_type(body, {{path}}) = 'array' AND {length}", value)
            case _:
                return None

    def _exists(self, exists: Exists) -> Test | None:
        """Test `EXISTS(SELECT VALUE x FROM x IN c.list WHERE ...)` where x is held against texts only."""
        match exists.where:
            case Called("ARRAY_CONTAINS", (Constant(list() as values), PathOf(alias, ()))) if alias == exists.alias:
                return self._any_of(exists.source, values)
            case Compared("=", PathOf(alias, ()), Constant(value)) if alias == exists.alias:
                return self._any_of(exists.source, [value])
            case _:
                return None

    def _any_of(self, path: PathOf, values: Sequence[Json]) -> Test | None:
        """Test whether an array holds one of some texts."""
        if not _are_texts(values):
            return None
        return self._of(
            path,
            "json_type(body, {path}) = 'array' AND EXISTS (SELECT 1 FROM json_each(body, {path}) AS held"
            " WHERE held.type = 'text' AND held.value IN (SELECT value FROM json_each(?)))",
            orjson.dumps(values).decode(),
        )

    def _one_of(self, path: PathOf, values: Sequence[Json]) -> Test | None:
        if not _are_texts(values):
            return None
        marks = ", ".join("?" * len(values))
        if path == PathOf(self._alias, ("id",)):
            return Test(f"id IN ({marks})", tuple(str(value) for value in values))
        return self._of(path, f"body -> {{path}} IN ({marks})", *(_text(value) for value in values))

    def _words(self, path: PathOf, keywords: Sequence[Expression], operator: str) -> Test | None:
        """Look single words up in the index; phrases need the text."""
        steps = tuple(str(step) for step in path.steps)
        if path.alias != self._alias or steps not in self._container.definition.full_text_indexed:
            return None
        tests: list[Test | None] = []
        for keyword in keywords:
            words = self._tokenize(str(keyword.value)) if isinstance(keyword, Constant) else []
            place = (self._container.key, path_text(steps), *words, self._scope.low, self._scope.high)
            tests.append(Test(_HAS_WORD, place) if len(words) == 1 else None)
        return _together(operator, tests)

    def _of(self, path: PathOf, sql: str, *values: SqlValue) -> Test | None:
        """Write the path, if it is one into the item and SQLite can name it, into the SQL."""
        named = json_path(path.steps)
        return Test(sql.replace("{path}", named), values) if named and path.alias == self._alias else None


def json_path(steps: Sequence[str | int]) -> str | None:
    """Return a path as a literal of SQL; only plain names, so that nobody's query text becomes SQL."""
    if not steps or not all(isinstance(step, int) or (step.isascii() and step.isidentifier()) for step in steps):
        return None
    return "'$" + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps) + "'"


def _equals(part: Expression, path: tuple[str, ...]) -> bool:
    match part:
        case Compared("=", PathOf(_, steps), Constant(str())):
            return steps == path
        case _:
            return False


def _together(operator: str, tests: Sequence[Test | None]) -> Test | None:
    known = [test for test in tests if test]
    if not tests or len(known) < len(tests):
        return None
    sql = f" {operator} ".join(f"({test.sql})" for test in known)
    return Test(sql, tuple(value for test in known for value in test.bindings))


def _are_texts(values: Sequence[Json]) -> bool:
    return len(values) <= _MOST_CHOICES and all(isinstance(value, str) for value in values)


def _text(value: Json) -> str:
    return orjson.dumps(value).decode()
