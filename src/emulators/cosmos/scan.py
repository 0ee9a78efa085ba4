"""Reading the rows of a scope: by what the file can tell alone if that is enough, else document by document."""

from collections.abc import Iterator, Sequence

import orjson

from emulators.cosmos.catalogue import Container
from emulators.cosmos.database import Connection, Cursor, SqlValue
from emulators.cosmos.pushdown import Pushdown, json_path
from emulators.cosmos.rows import Row
from emulators.cosmos.scope import Scope
from emulators.cosmos.search import Search
from emulators.cosmos.sql.evaluate import compiled
from emulators.cosmos.sql.tree import PathOf, Query
from emulators.cosmos.values import UNDEFINED, Object, at

_TOGETHER = 500


class Scan:
    """The rows of one scope that one query keeps.

    Attributes:
        bytes_read: of documents, for the charge.
    """

    def __init__(
        self, connection: Connection, container: Container, scope: Scope, query: Query, search: Search, now: int
    ) -> None:
        self._connection = connection
        self._query = query
        self._pushed = Pushdown(query.alias, container, scope, search.tokenize).of(query.where)
        self._keeps = compiled(query.where, search.indexed) if query.where else None
        tests = "".join(f" AND ({test.sql})" for test in self._pushed.tests)
        self._where = "container = ? AND epk >= ? AND epk < ? AND (expires IS NULL OR expires > ?)" + tests
        self._bindings: list[SqlValue] = [container.key, scope.low, scope.high, now]
        self._bindings += [value for test in self._pushed.tests for value in test.bindings]
        self.bytes_read = 0

    def count(self) -> int:
        if not self._pushed.exact:
            return sum(1 for _ in self._read_documents((), "", ()))
        (found,) = self._selected("count(*)").fetchone()
        self.bytes_read += int(found)
        return int(found)

    def lying(self, behind: tuple[str, int] | None) -> Iterator[Row]:
        """Yield the rows in the order in which they lie, behind a place if one is given."""
        if behind is None:
            return self._read_documents((), "", ())
        return self._read_documents((), " AND (epk, key) > (?, ?)", behind)

    def with_values(self, paths: Sequence[PathOf]) -> Iterator[Row]:
        """Yield the rows with what stands at `paths`; without their documents where the file can tell alone."""
        names = [json_path(path.steps) for path in paths]
        if not self._pushed.exact or None in names:
            return self._read_documents(paths, "", ())
        return self._read_values([str(name) for name in names])

    def documents(self, rows: Sequence[Row]) -> list[Object]:
        """Return the documents of rows, in their order."""
        missing = [row.key for row in rows if row.document is None]
        found: dict[int, Object] = {}
        for start in range(0, len(missing), _TOGETHER):
            keys = missing[start : start + _TOGETHER]
            rows_of = "SELECT key, body FROM items WHERE key IN (SELECT value FROM json_each(?))"
            found |= {
                key: orjson.loads(body)
                for key, body in self._connection.execute(rows_of, (orjson.dumps(keys).decode(),))
            }
        return [found[row.key] if row.document is None else row.document for row in rows]

    def _read_values(self, names: Sequence[str]) -> Iterator[Row]:
        columns = "".join(f", body -> {name}" for name in names)
        for epk, key, size, *values in self._selected(f"epk, key, length(body){columns}"):
            self.bytes_read += 1
            told = tuple(UNDEFINED if value is None else orjson.loads(value) for value in values)
            yield Row(epk, key, told, None, size)

    def _read_documents(self, paths: Sequence[PathOf], more: str, bindings: Sequence[SqlValue]) -> Iterator[Row]:
        for epk, key, body in self._selected("epk, key, body", more, bindings):
            self.bytes_read += len(body)
            document: Object = orjson.loads(body)
            if self._keeps is None or self._keeps({self._query.alias: document}) is True:
                yield Row(epk, key, tuple(at(document, path.steps) for path in paths), document, len(body))

    def _selected(self, columns: str, more: str = "", bindings: Sequence[SqlValue] = ()) -> Cursor:
        """Select in the order in which rows lie: `columns` and `more` are SQL of ours, what a caller gave is bound."""
        sql = f"SELECT {columns} FROM items WHERE {self._where}{more} ORDER BY epk, key"  # noqa: S608 - names cannot be bound: plain ones only (`json_path`); values are
        return self._connection.execute(sql, [*self._bindings, *bindings])
