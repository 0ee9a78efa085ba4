"""Views: the rows that projections write and requests list."""

from collections.abc import Sequence
from typing import LiteralString

import orjson

from core import RunId, TenantContext, TenantId
from data.cursors import decode_cursor, encode_cursor
from data.ports import Page, Row
from data.sqlite.connections import Connection
from data.sqlite.database import Database

_COLUMNS = "tenant, key, sort, owner, state, run, seq, body"


class SqliteViews:
    def __init__(self, database: Database, context: TenantContext) -> None:
        self._database = database
        self._tenant = context.tenant

    async def get(self, view: str, key: str) -> Row | None:
        return await self._database.read(lambda connection: find_row(connection, view, self._tenant, key))

    async def list(
        self,
        view: str,
        *,
        owner: str | None = None,
        states: Sequence[str] = (),
        since: str = "",
        until: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page[Row]:
        conditions: list[LiteralString] = []
        values: list[str | int] = [self._tenant, view]
        if owner is not None:
            conditions.append("owner = ?")
            values.append(owner)
        if states:
            conditions.append("state IN (SELECT value FROM json_each(?))")
            values.append(orjson.dumps(states).decode())
        if since:
            conditions.append("sort >= ?")
            values.append(since)
        if until is not None:
            conditions.append("sort < ?")
            values.append(until)
        if cursor:
            conditions.append("(sort, key) < (?, ?)")
            values += decode_cursor(cursor, 2)
        narrowed = "".join(f" AND {condition}" for condition in conditions)
        where = f"WHERE tenant = ? AND view = ?{narrowed} ORDER BY sort DESC, key DESC LIMIT ?"

        def work(connection: Connection) -> Page[Row]:
            found = select_rows(connection, where, (*values, limit + 1))
            rows = found[:limit]
            return Page(rows, encode_cursor(rows[-1].sort, rows[-1].key) if len(found) > limit else None)

        return await self._database.read(work)


def find_row(connection: Connection, view: str, tenant: TenantId, key: str) -> Row | None:
    found = select_rows(connection, "WHERE tenant = ? AND view = ? AND key = ?", (tenant, view, key))
    return found[0] if found else None


def select_rows(connection: Connection, rest: LiteralString, values: Sequence[str | int]) -> list[Row]:
    """Return the rows that `rest`, our own SQL from `WHERE` on, selects."""
    found: list[tuple[TenantId, str, str, str, str, RunId, int, bytes]] = list(
        # mandate: allow[tenant-statement] - `rest` names the tenant, or says at its own place why it does not
        connection.execute(f"SELECT {_COLUMNS} FROM view_rows {rest}", tuple(values))
    )
    return [Row(*columns) for columns in found]


def write_row(connection: Connection, view: str, row: Row) -> None:
    """Write the row unless one that knows as much or more of its run is there."""
    connection.execute(
        f"INSERT INTO view_rows (view, {_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT DO UPDATE SET sort = excluded.sort, owner = excluded.owner, state = excluded.state,"
        " run = excluded.run, seq = excluded.seq, body = excluded.body WHERE excluded.seq > seq",
        (view, row.tenant, row.key, row.sort, row.owner, row.state, row.run, row.seq, row.body),
    )
