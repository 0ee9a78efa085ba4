"""What has no tenant by its nature: the change feed, the writing of views, the walk over all chains."""

from collections.abc import Sequence

import orjson

from core import RunId, TenantId
from data.ports import FeedItem, RawEvent, Row
from data.sqlite.connections import Connection
from data.sqlite.database import Database
from data.sqlite.log import parse, raw_rows
from data.sqlite.views import find_row, select_rows, write_row


class SqlitePlatform:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def feed(self, *, after: int, limit: int = 500) -> Sequence[FeedItem]:
        def work(connection: Connection) -> Sequence[FeedItem]:
            found: list[tuple[int, bytes, str]] = list(
                connection.execute(
                    # mandate: allow[tenant-statement] - the change feed is of all tenants
                    "SELECT position, data, hash FROM events WHERE position > ? ORDER BY position LIMIT ?",
                    (after, limit),
                )
            )
            return [FeedItem(position, parse(data, hash_)) for position, data, hash_ in found]

        return await self._database.read(work)

    async def head(self) -> int:
        def work(connection: Connection) -> int:
            # mandate: allow[tenant-statement] - the feed has one end
            head: tuple[int | None] = connection.execute("SELECT max(position) FROM events").fetchone()
            return head[0] or 0

        return await self._database.read(work)

    async def checkpoint(self, name: str) -> int:
        def work(connection: Connection) -> int:
            found: tuple[int] | None = connection.execute(
                "SELECT position FROM checkpoints WHERE name = ?", (name,)
            ).fetchone()
            return found[0] if found else 0

        return await self._database.read(work)

    async def rows(self, view: str, keys: Sequence[tuple[TenantId, str]]) -> Sequence[Row]:
        def work(connection: Connection) -> Sequence[Row]:
            found = (find_row(connection, view, tenant, key) for tenant, key in keys)
            return [row for row in found if row]

        return await self._database.read(work)

    async def project(self, name: str, *, view: str, rows: Sequence[Row], checkpoint: int) -> None:
        def work(connection: Connection) -> None:
            for row in rows:
                write_row(connection, view, row)
            connection.execute(
                "INSERT INTO checkpoints (name, position) VALUES (?, ?)"
                " ON CONFLICT DO UPDATE SET position = max(position, excluded.position)",
                (name, checkpoint),
            )

        await self._database.write(work)

    async def reset(self, name: str, *, view: str) -> None:
        def work(connection: Connection) -> None:
            # mandate: allow[tenant-statement] - a view is built anew for all tenants
            connection.execute("DELETE FROM view_rows WHERE view = ?", (view,))
            connection.execute("DELETE FROM checkpoints WHERE name = ?", (name,))

        await self._database.write(work)

    async def due(self, view: str, *, states: Sequence[str], limit: int = 1000) -> Sequence[Row]:
        def work(connection: Connection) -> Sequence[Row]:
            return select_rows(
                connection,
                # mandate: allow[tenant-statement] - the driver carries the runs of all tenants
                "WHERE view = ? AND state IN (SELECT value FROM json_each(?)) ORDER BY sort, tenant, key LIMIT ?",
                (view, orjson.dumps(states).decode(), limit),
            )

        return await self._database.read(work)

    async def scan(self, view: str, *, after: tuple[TenantId, str] | None = None, limit: int = 500) -> Sequence[Row]:
        def work(connection: Connection) -> Sequence[Row]:
            return select_rows(
                connection,
                # mandate: allow[tenant-statement] - a view is compared for all tenants
                "WHERE view = ? AND (tenant, key) > (?, ?) ORDER BY tenant, key LIMIT ?",
                (view, *(after or ("", "")), limit),
            )

        return await self._database.read(work)

    async def runs(
        self, *, after: tuple[TenantId, RunId] | None = None, limit: int = 1000
    ) -> Sequence[tuple[TenantId, RunId]]:
        def work(connection: Connection) -> Sequence[tuple[TenantId, RunId]]:
            return list(
                connection.execute(
                    # mandate: allow[tenant-statement] - all chains are verified
                    "SELECT DISTINCT tenant, run FROM events WHERE (tenant, run) > (?, ?) ORDER BY tenant, run LIMIT ?",
                    (*(after or ("", "")), limit),
                )
            )

        return await self._database.read(work)

    async def raw(self, tenant: TenantId, run: RunId, *, after: int = 0, limit: int = 1000) -> Sequence[RawEvent]:
        def work(connection: Connection) -> Sequence[RawEvent]:
            return [RawEvent(*row) for row in raw_rows(connection, tenant, run, after, limit)]

        return await self._database.read(work)
