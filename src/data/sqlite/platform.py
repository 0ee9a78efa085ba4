"""What has no tenant by its nature: the change feed, the writing of views, the walk over all chains."""

from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial

import orjson

from core import RunId, TenantId
from data.believing import parse
from data.platform import FedHead, FeedPage
from data.ports import RawEvent, Row
from data.sqlite.connections import Connection
from data.sqlite.database import Database
from data.sqlite.log import raw_rows
from data.sqlite.views import find_row, select_rows, write_row

PAGE = 1000
"""Rows in one read, of those that go over all tenants."""


class SqlitePlatform:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def feed(self, *, after: str, limit: int = 500) -> FeedPage:
        def work(connection: Connection) -> FeedPage:
            found: list[tuple[int, bytes, str]] = list(
                connection.execute(
                    # mandate: allow[tenant-statement] - the change feed is of all tenants
                    "SELECT position, data, hash FROM events WHERE position > ? ORDER BY position LIMIT ?",
                    (_position(after), limit),
                )
            )
            events = [parse(data, hash_) for _, data, hash_ in found]
            return FeedPage(events, str(found[-1][0]) if found else after)

        return await self._database.read(work)

    async def heads(self, *, after: str, limit: int = 5000) -> tuple[Sequence[FedHead], str]:
        def work(connection: Connection) -> tuple[Sequence[FedHead], str]:
            found: list[tuple[int, TenantId, RunId, int, str]] = list(
                connection.execute(
                    # mandate: allow[tenant-statement] - the change feed is of all tenants
                    "SELECT position, tenant, run, seq, hash FROM events WHERE position > ? ORDER BY position LIMIT ?",
                    (_position(after), limit),
                )
            )
            return [FedHead(*row[1:]) for row in found], str(found[-1][0]) if found else after

        return await self._database.read(work)

    async def waiting(self, name: str, *, limit: int = 1000) -> int:
        def work(connection: Connection) -> int:
            found: tuple[int] = connection.execute(
                # mandate: allow[tenant-statement] - the feed is of all tenants
                "SELECT count(*) FROM (SELECT 1 FROM events WHERE position > ? LIMIT ?)",
                (_checkpoint(connection, name), limit),
            ).fetchone()
            return found[0]

        return await self._database.read(work)

    async def checkpoint(self, name: str) -> str:
        def work(connection: Connection) -> str:
            position = _checkpoint(connection, name)
            return str(position) if position else ""

        return await self._database.read(work)

    async def rows(self, view: str, keys: Sequence[tuple[TenantId, str]]) -> Sequence[Row]:
        def work(connection: Connection) -> Sequence[Row]:
            found = (find_row(connection, view, tenant, key) for tenant, key in keys)
            return [row for row in found if row]

        return await self._database.read(work)

    async def project(self, rows: Mapping[str, Sequence[Row]], *, name: str, checkpoint: str) -> None:
        def work(connection: Connection) -> None:
            for view, its in rows.items():
                for row in its:
                    write_row(connection, view, row)
            connection.execute(
                "INSERT INTO checkpoints (name, position) VALUES (?, ?)"
                " ON CONFLICT DO UPDATE SET position = max(position, excluded.position)",
                (name, _position(checkpoint)),
            )

        await self._database.write(work)

    async def reset(self, view: str) -> None:
        def work(connection: Connection) -> None:
            # mandate: allow[tenant-statement] - a view is built anew for all tenants
            connection.execute("DELETE FROM view_rows WHERE view = ?", (view,))
            connection.execute("DELETE FROM checkpoints")

        await self._database.write(work)

    async def due(self, view: str, *, states: Sequence[str]) -> AsyncIterator[Row]:
        wanted, after = orjson.dumps(states).decode(), ("", "", "")
        while page := await self._database.read(
            partial(
                select_rows,
                # mandate: allow[tenant-statement] - the driver carries the runs of all tenants
                rest="WHERE view = ? AND state IN (SELECT value FROM json_each(?)) AND (sort, tenant, key) > (?, ?, ?)"
                " ORDER BY sort, tenant, key LIMIT ?",
                values=(view, wanted, *after, PAGE),
            )
        ):
            for row in page:
                yield row
            after = page[-1].sort, page[-1].tenant, page[-1].key

    async def scan(self, view: str) -> AsyncIterator[Row]:
        after = ("", "")
        while page := await self._database.read(
            partial(
                select_rows,
                # mandate: allow[tenant-statement] - a view is compared for all tenants
                rest="WHERE view = ? AND (tenant, key) > (?, ?) ORDER BY tenant, key LIMIT ?",
                values=(view, *after, PAGE),
            )
        ):
            for row in page:
                yield row
            after = page[-1].tenant, page[-1].key

    async def runs(self) -> AsyncIterator[tuple[TenantId, RunId]]:
        after = ("", "")
        while page := await self._database.read(partial(_runs, after=after)):
            for run in page:
                yield run
            after = page[-1]

    async def raw(self, tenant: TenantId, run: RunId, *, after: int = 0, limit: int = 1000) -> Sequence[RawEvent]:
        def work(connection: Connection) -> Sequence[RawEvent]:
            return [RawEvent(*row) for row in raw_rows(connection, tenant, run, after, limit)]

        return await self._database.read(work)


def _position(checkpoint: str) -> int:
    return int(checkpoint or 0)


def _checkpoint(connection: Connection, name: str) -> int:
    found: tuple[int] | None = connection.execute("SELECT position FROM checkpoints WHERE name = ?", (name,)).fetchone()
    return found[0] if found else 0


def _runs(connection: Connection, after: tuple[str, str]) -> list[tuple[TenantId, RunId]]:
    return list(
        connection.execute(
            # mandate: allow[tenant-statement] - all chains are verified
            "SELECT DISTINCT tenant, run FROM events WHERE (tenant, run) > (?, ?) ORDER BY tenant, run LIMIT ?",
            (*after, PAGE),
        )
    )
