"""Running a query over a scope: filter, order, page, project (facts 1.6)."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import orjson

from emulators.cosmos import paging
from emulators.cosmos.catalogue import Container
from emulators.cosmos.database import Connection
from emulators.cosmos.documents import read_charge
from emulators.cosmos.errors import bad, unknown
from emulators.cosmos.pushdown import pushed
from emulators.cosmos.scope import Scope
from emulators.cosmos.sql import parse_query
from emulators.cosmos.sql.evaluate import Evaluate, compiled
from emulators.cosmos.sql.functions import kind
from emulators.cosmos.sql.tree import Columns, Count, Ordered, PathOf, Query, Star, ValueOf
from emulators.cosmos.values import UNDEFINED, Json, Object, Value, as_list, as_object, check_keys

_LARGEST_PAGE = 4 * 1024 * 1024
_PLAN_NEEDED = 1004
_SCALAR = 4


@dataclass(frozen=True, slots=True)
class Asked:
    """A query as it was sent.

    Attributes:
        text: of the query.
        parameters: by name, with the `@`.
        most: rows in a page.
        token: of the page before, if any.
    """

    text: Json
    parameters: Mapping[str, Json]
    most: int
    token: str | None


@dataclass(frozen=True, slots=True)
class Page:
    """What a query answers at once."""

    rows: list[Json]
    token: str | None
    charge: float


@dataclass(frozen=True, slots=True)
class _Row:
    epk: str
    key: int
    document: Object
    size: int
    values: tuple[Value, ...] = ()


def read_asked(body: Object, most: int, token: str | None) -> Asked:
    """Check the body of a query.

    Raises:
        CosmosError: 400.
    """
    check_keys(body, frozenset({"query", "parameters"}), "The query")
    parameters: dict[str, Json] = {}
    for value in as_list(body.get("parameters", []), "parameters"):
        entry = as_object(value, "A parameter")
        check_keys(entry, frozenset({"name", "value"}), "A parameter")
        name = entry.get("name")
        if not isinstance(name, str) or not name.startswith("@") or "value" not in entry or name in parameters:
            raise bad("A parameter has a name that begins with @ and is there once, and a value.")
        parameters[name] = entry["value"]
    return Asked(body.get("query"), parameters, most, token)


def prepare(asked: Asked, container: Container, scope: Scope) -> Query:
    """Read the query and hold it against the container.

    Raises:
        CosmosError: 400, with substatus 1004 where only a client's plan could serve it; 501.
    """
    query = parse_query(asked.text, asked.parameters)
    if scope.cross and (
        query.order or query.rank or query.skip or query.take is not None or isinstance(query.select, Count)
    ):
        message = "The provided cross partition query can not be directly served by the gateway."
        raise bad(message, _PLAN_NEEDED)
    _check_order(query.order, container)
    return query


class Run:
    """One page of one query."""

    def __init__(self, connection: Connection, container: Container, scope: Scope, asked: Asked, now: int) -> None:
        self._connection = connection
        self._container = container
        self._scope = scope
        self._asked = asked
        self._now = now
        self._query = prepare(asked, container, scope)
        self._read = 0
        binding: list[Json] = [asked.text, dict(asked.parameters), container.rid, scope.low, scope.high]
        self._about = paging.about(binding)
        start = paging.Place("", 0, (), self._query.skip, self._query.take)
        self._resumed = paging.read_token(asked.token, self._about) if asked.token else None
        self._place = self._resumed or start

    def page(self) -> Page:
        if isinstance(self._query.select, Count):
            return self._answer([sum(1 for _ in self._matching())], None)
        rows = self._ordered() if self._query.order else self._matching()
        rows = islice(rows, self._place.skip, None)
        take, most = self._place.take, self._asked.most
        taken, cut = self._within(islice(rows, most if take is None else min(take, most)))
        more = taken and (take is None or take > len(taken)) and (cut or next(rows, None) is not None)
        return self._answer(self._projected(taken), self._next(taken, take) if more else None)

    def _answer(self, rows: list[Json], token: str | None) -> Page:
        return Page(rows, token, read_charge(self._read) + 1.0)

    def _next(self, taken: Sequence[_Row], take: int | None) -> str:
        last = taken[-1]
        left = None if take is None else take - len(taken)
        return paging.write_token(paging.Place(last.epk, last.key, last.values, 0, left), self._about)

    def _within(self, rows: Iterator[_Row]) -> tuple[list[_Row], bool]:
        """Return the rows that fit into a page (facts 1.6: 4 MB), and whether one did not."""
        taken: list[_Row] = []
        size = 0
        for row in rows:
            size += row.size
            if taken and size > _LARGEST_PAGE:
                return taken, True
            taken.append(row)
        return taken, False

    def _matching(self) -> Iterator[_Row]:
        """Yield the rows of the scope that the WHERE keeps, in the order in which they lie."""
        alias, where = self._query.alias, self._query.where
        keeps = compiled(where) if where else None
        for epk, key, body in self._candidates():
            self._read += len(body)
            document: Object = orjson.loads(body)
            if keeps is None or keeps({alias: document}) is True:
                yield _Row(epk, key, document, len(body))

    def _candidates(self) -> Iterator[tuple[str, int, str]]:
        tests = pushed(self._query.where, self._query.alias)
        sql = "SELECT epk, key, body FROM items WHERE container = ? AND epk >= ? AND epk < ?"
        bindings = [self._container.key, self._scope.low, self._scope.high, self._now]
        sql += " AND (expires IS NULL OR expires > ?)" + "".join(f" AND {test.sql}" for test in tests)
        bindings += [value for test in tests for value in test.bindings]
        if self._resumed and not self._query.order:
            sql += " AND (epk, key) > (?, ?)"
            bindings += [self._resumed.epk, self._resumed.key]
        return iter(self._connection.execute(f"{sql} ORDER BY epk, key", bindings))

    def _ordered(self) -> Iterator[_Row]:
        """Sort; rows that lack a property come first (https://learn.microsoft.com/azure/cosmos-db/nosql/query/order-by)."""
        items = [(compiled(item.expression), item.descending is True) for item in self._query.order]
        rows = [self._with_values(row, [evaluate for evaluate, _ in items]) for row in self._matching()]
        for number, (_, descending) in reversed(list(enumerate(items))):
            rows.sort(key=_sort_key(number), reverse=descending)
        if self._resumed is None:
            return iter(rows)
        return iter(self._behind(rows, [descending for _, descending in items], self._resumed))

    def _with_values(self, row: _Row, evaluations: Sequence[Evaluate]) -> _Row:
        values = tuple(evaluate({self._query.alias: row.document}) for evaluate in evaluations)
        if any(kind(value) > _SCALAR for value in values):
            raise unknown("the order of arrays and objects")
        return _Row(row.epk, row.key, row.document, row.size, values)

    def _behind(self, rows: Sequence[_Row], descending: Sequence[bool], last: paging.Place) -> list[_Row]:
        def follows(row: _Row) -> bool:
            for value, before, down in zip(row.values, last.values, descending, strict=True):
                one, other = _comparable(value), _comparable(before)
                if one != other:
                    return (one < other) is down
            return (row.epk, row.key) > (last.epk, last.key)

        return [row for row in rows if follows(row)]

    def _projected(self, rows: Sequence[_Row]) -> list[Json]:
        alias, select = self._query.alias, self._query.select
        project = _projection(select, alias)
        values = [project(row.document) for row in rows]
        return [value for value in values if value is not UNDEFINED]


def _projection(select: Star | ValueOf | Columns | Count, alias: str) -> Callable[[Object], Value]:
    match select:
        case ValueOf(expression):
            evaluate = compiled(expression)
            return lambda document: evaluate({alias: document})
        case Columns(columns):
            parts = [(name, compiled(expression)) for name, expression in columns]
            return lambda document: _object({name: evaluate({alias: document}) for name, evaluate in parts})
        case _:
            return lambda document: document


def _object(values: Mapping[str, Value]) -> Object:
    return {name: value for name, value in values.items() if value is not UNDEFINED}


def _sort_key(number: int) -> Callable[[_Row], tuple[int, float | str]]:
    return lambda row: _comparable(row.values[number])


def _comparable(value: Value) -> tuple[int, float | str]:
    return kind(value), value if isinstance(value, str | int | float) else 0


def _check_order(order: Sequence[Ordered], container: Container) -> None:
    """Hold ORDER BY against the indexes: one property needs a plain index, several a composite one.

    https://learn.microsoft.com/azure/cosmos-db/index-policy#composite-indexes

    Raises:
        CosmosError: 400.
    """
    columns: list[tuple[tuple[str, ...], bool]] = []
    for item in order:
        if not isinstance(item.expression, PathOf) or not item.expression.steps:
            raise bad("Order-by item expression could not be mapped to a document path.")
        steps = tuple(step for step in item.expression.steps if isinstance(step, str))
        if len(steps) < len(item.expression.steps):
            raise bad("Order-by item expression could not be mapped to a document path.")
        columns.append((steps, item.descending is True))
    if len(columns) == 1 and not container.definition.indexes(columns[0][0]):
        raise bad("The index path corresponding to the specified order-by item is excluded.")
    if len(columns) > 1 and not {tuple(columns), tuple((s, not d) for s, d in columns)} & set(
        container.definition.composite
    ):
        raise bad("The order by query does not have a corresponding composite index that it can be served from.")
