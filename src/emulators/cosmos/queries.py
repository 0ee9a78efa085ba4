"""Running a query over a scope: filter, order, page, project (rule 7)."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from emulators.cosmos import paging
from emulators.cosmos.catalogue import Container
from emulators.cosmos.database import Connection
from emulators.cosmos.documents import read_charge
from emulators.cosmos.errors import bad, unknown
from emulators.cosmos.ordering import Direction, behind, check_order, put_in_order
from emulators.cosmos.rows import Row
from emulators.cosmos.scan import Scan
from emulators.cosmos.scope import Scope
from emulators.cosmos.search import Search
from emulators.cosmos.sql import parse_query
from emulators.cosmos.sql.evaluate import Indexed, compiled
from emulators.cosmos.sql.functions import Kind, kind
from emulators.cosmos.sql.tree import Called, Columns, Count, PathOf, Query, Star, ValueOf
from emulators.cosmos.values import UNDEFINED, Json, Object, Value, as_list, as_object, check_keys

_LARGEST_PAGE = 4 * 1024 * 1024
_PLAN_NEEDED = 1004


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


class Run:
    """One page of one query.

    Raises:
        CosmosError: 400, with substatus 1004 where only a client's plan could serve it; 501.
    """

    def __init__(self, connection: Connection, container: Container, scope: Scope, asked: Asked, now: int) -> None:
        self._query = parse_query(asked.text, asked.parameters)
        _check_cross(self._query, scope)
        self._rank = _rank(self._query)
        if self._rank is None:
            check_order(self._query.order, container.definition)
        self._asked = asked
        self._search = Search(connection, container, scope)
        self._scan = Scan(connection, container, scope, self._query, self._search, now)
        self._about = paging.about([asked.text, dict(asked.parameters), container.rid, scope.low, scope.high])
        self._resumed = paging.read_token(asked.token, self._about) if asked.token else None
        self._place = self._resumed or paging.Place("", 0, (), self._query.skip, self._query.take)

    def page(self) -> Page:
        if isinstance(self._query.select, Count):
            return self._answer([self._scan.count()], None)
        if self._asked.most == 0:
            return self._answer([], paging.write_token(self._place, self._about))
        project = _projection(self._query.select, self._query.alias, self._search.indexed)
        rows = islice(self._rows(), self._place.skip, None)
        take, most = self._place.take, self._asked.most
        taken, cut = _within_page(islice(rows, most if take is None else min(take, most)))
        more = taken and (take is None or take > len(taken)) and (cut or next(rows, None) is not None)
        values = [project(document) for document in self._scan.documents(taken)]
        token = self._next(taken, take) if more else None
        return self._answer([value for value in values if value is not UNDEFINED], token)

    def _answer(self, rows: list[Json], token: str | None) -> Page:
        return Page(rows, token, read_charge(self._scan.bytes_read) + 1.0)

    def _next(self, taken: Sequence[Row], take: int | None) -> str:
        last = taken[-1]
        left = None if take is None else take - len(taken)
        return paging.write_token(paging.Place(last.epk, last.key, last.values, 0, left), self._about)

    def _rows(self) -> Iterator[Row]:
        if self._rank is None and not self._query.order:
            return self._scan.lying((self._resumed.epk, self._resumed.key) if self._resumed else None)
        rows, directions = self._ranked(self._rank) if self._rank else self._with_values()
        put_in_order(rows, directions)
        if self._resumed:
            return iter(behind(rows, directions, self._resumed))
        return iter(rows)

    def _with_values(self) -> tuple[list[Row], Sequence[Direction]]:
        paths = [item.expression for item in self._query.order if isinstance(item.expression, PathOf)]
        rows = list(self._scan.with_values(paths))
        if any(kind(value) > Kind.STRING for row in rows for value in row.values):
            raise unknown("the order of arrays and objects")
        return rows, [item.descending is True for item in self._query.order]

    def _ranked(self, rank: Called) -> tuple[list[Row], Sequence[Direction]]:
        """Score all rows of the scope: exact, where an index of the service may only come near."""
        rows = list(self._scan.with_values(()))
        scores = self._search.ranked(rank, rows)
        return [replace(row, values=(score,)) for row, score in zip(rows, scores, strict=True)], [True]


def _check_cross(query: Query, scope: Scope) -> None:
    """Let only plain filters cross partitions: the rest needs a plan and a client that merges (rule 7)."""
    plain = not (query.order or query.rank or query.skip or query.take is not None or isinstance(query.select, Count))
    if scope.cross and not plain:
        raise bad("The provided cross partition query can not be directly served by the gateway.", _PLAN_NEEDED)


def _rank(query: Query) -> Called | None:
    """Return what the query ranks by: ORDER BY RANK, or ORDER BY VectorDistance, which puts the nearest first."""
    first = query.order[0] if query.order else None
    if first is None or not isinstance(first.expression, Called):
        return query.rank
    if first.expression.name != "VECTORDISTANCE" or len(query.order) > 1:
        raise bad("Order-by item expression could not be mapped to a document path.")
    if first.descending is not None:
        raise bad("ORDER BY VectorDistance takes neither ASC nor DESC.")  # rule 12
    return first.expression


def _within_page(rows: Iterator[Row]) -> tuple[list[Row], bool]:
    """Return the rows that fit into a page (rule 7: 4 MB), and whether one did not."""
    taken: list[Row] = []
    size = 0
    for row in rows:
        size += row.size
        if taken and size > _LARGEST_PAGE:
            return taken, True
        taken.append(row)
    return taken, False


def _projection(select: Star | ValueOf | Columns | Count, alias: str, indexed: Indexed) -> Callable[[Object], Value]:
    match select:
        case ValueOf(expression):
            evaluate = compiled(expression, indexed)
            return lambda document: evaluate({alias: document})
        case Columns(columns):
            parts = [(name, compiled(expression, indexed)) for name, expression in columns]
            return lambda document: _object({name: evaluate({alias: document}) for name, evaluate in parts})
        case _:
            return lambda document: document


def _object(values: Mapping[str, Value]) -> Object:
    return {name: value for name, value in values.items() if value is not UNDEFINED}
