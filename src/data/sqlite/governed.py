"""Governing what the file holds: who is barred, what is held, how long content stays, that nothing erased remains."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta

from core import Clock, ContentClass, PrincipalId, RunId, TenantId, timestamp
from core.errors import Conflict, Defect, Unavailable
from data.governed import EVERYTHING, EVIDENCE_KINDS, Held, Part
from data.knowledge import Term
from data.sqlite.connections import Connection
from data.sqlite.database import Database
from data.sqlite.passages import drop_passages
from data.sqlite.ranking import Indexes

BATCH = 500
"""Rows that go in one transaction, so that others need not wait for long."""

_CHECKPOINTS = 50
_PAUSE_SECONDS = 0.1

_EVIDENCE = json.dumps(sorted(EVIDENCE_KINDS))

# mandate: allow[tenant-statement] - it is part of statements on `c`, whose tenant they name
_HELD = "EXISTS (SELECT 1 FROM holds WHERE tenant = c.tenant AND subject IN ('*', c.owner, c.id))"

_TALLIES = (
    "SELECT 'content', kind, count(*), sum(length(data)), min(at), sum(" + _HELD + ")"
    " FROM content c WHERE tenant = ? GROUP BY kind",
    "SELECT 'records', kind, count(*), sum(length(body)), '', 0 FROM records WHERE tenant = ? GROUP BY kind",
    "SELECT 'knowledge', collection, count(*), sum(length(text) + length(heading) + length(vector)), '', 0"
    " FROM passages WHERE tenant = ? GROUP BY collection",
    "SELECT 'log', '', count(*), sum(length(data)), min(data ->> '$.at'), 0 FROM events WHERE tenant = ?",
    "SELECT 'views', view, count(*), sum(length(body)), '', 0 FROM view_rows WHERE tenant = ? GROUP BY view",
)


class SqliteGoverned:
    """`retention` says for how many days content of a class stays, unless a tenant chose otherwise; 0 for ever."""

    def __init__(
        self, database: Database, clock: Clock, indexes: Indexes, retention: Mapping[ContentClass, int]
    ) -> None:
        self._database = database
        self._clock = clock
        self._indexes = indexes
        self._retention = retention

    async def bar(self, tenant: TenantId, person: PrincipalId | None = None) -> None:
        def work(connection: Connection) -> None:
            connection.execute(
                "INSERT INTO barred (tenant, person) VALUES (?, ?) ON CONFLICT DO NOTHING", (tenant, person or "")
            )

        await self._database.write(work)

    async def runs(self, tenant: TenantId) -> AsyncIterator[RunId]:
        def work(connection: Connection) -> Sequence[RunId]:
            sql = "SELECT run FROM events WHERE tenant = ? AND seq = 1 ORDER BY run"
            return [RunId(run) for (run,) in connection.execute(sql, (tenant,))]

        for run in await self._database.read(work):
            yield run

    async def held(self, tenant: TenantId) -> Sequence[Held]:
        def work(connection: Connection) -> Sequence[Held]:
            with connection:
                rows = [row for sql in _TALLIES for row in connection.execute(sql, (tenant,))]
            return [
                Held("evidence" if kind in EVIDENCE_KINDS else part, kind, items, size or 0, oldest or "", held)
                for part, kind, items, size, oldest, held in rows
                if items
            ]

        return await self._database.read(work)

    async def erase_all(self, tenant: TenantId, part: Part) -> int:
        erased = 0
        while count := await self._database.write(lambda connection: _erase(connection, tenant, part)):
            erased += count
        return erased

    async def scrub(self) -> None:
        self._indexes.clear()
        for _ in range(_CHECKPOINTS):
            if await self._database.maintain(_rewritten):
                return
            await asyncio.sleep(_PAUSE_SECONDS)
        raise Unavailable("The store is being read; what was erased is overwritten soon.", retry_after=5)

    async def retain(self, tenant: TenantId, days: Mapping[ContentClass, int]) -> None:
        def work(connection: Connection) -> None:
            connection.execute("DELETE FROM retention WHERE tenant = ?", (tenant,))
            connection.executemany(
                "INSERT INTO retention (tenant, kind, days) VALUES (?, ?, ?)",
                [(tenant, kind, count) for kind, count in days.items()],
            )

        await self._database.write(work)

    async def hold(self, tenant: TenantId, name: str, subjects: Sequence[str]) -> None:
        def work(connection: Connection) -> None:
            connection.execute("DELETE FROM holds WHERE tenant = ? AND name = ?", (tenant, name))
            connection.executemany(
                "INSERT INTO holds (tenant, subject, name) VALUES (?, ?, ?)",
                [(tenant, subject, name) for subject in dict.fromkeys(subjects)],
            )

        await self._database.write(work)

    async def expire(self, tenant: TenantId, *, limit: int = BATCH) -> int:
        def work(connection: Connection) -> int:
            expired = 0
            for kind in ContentClass:
                if before := expiry(connection, tenant, kind, self._retention, self._clock):
                    connection.execute(
                        "DELETE FROM content WHERE rowid IN (SELECT rowid FROM content c WHERE tenant = ? AND kind = ?"
                        f" AND at < ? AND NOT {_HELD} LIMIT ?)",
                        (tenant, kind, before, limit - expired),
                    )
                    expired += connection.changes()
            return expired

        return await self._database.write(work)


def refuse_barred(connection: Connection, tenant: TenantId, people: Sequence[PrincipalId] = ()) -> None:
    """Refuse a write of somebody who was erased, in the write's own transaction.

    Raises:
        Conflict: `erasure.tenant`, `erasure.person`.
    """
    barred: list[tuple[str]] = list(connection.execute("SELECT person FROM barred WHERE tenant = ?", (tenant,)))
    if ("",) in barred:
        raise Conflict("This organisation is erased: nothing of it is written any more.", code="erasure.tenant")
    if any((person,) in barred for person in people):
        raise Conflict("This person is erased: nothing of theirs is written any more.", code="erasure.person")


def refuse_held(connection: Connection, tenant: TenantId, ids: Sequence[str]) -> None:
    """Refuse to destroy content that a hold keeps; raises `Conflict` (`hold.active`)."""
    for id_ in ids:
        if is_held(connection, tenant, id_):
            raise _kept()


def expiry(
    connection: Connection, tenant: TenantId, kind: str, retention: Mapping[ContentClass, int], clock: Clock
) -> str:
    """Return the time before which the tenant's content of a class has expired; empty if it never does."""
    found: tuple[int] | None = connection.execute(
        "SELECT days FROM retention WHERE tenant = ? AND kind = ?", (tenant, kind)
    ).fetchone()
    days = found[0] if found else retention.get(ContentClass(kind), 0)
    return timestamp(clock.now() - timedelta(days=days)) if days else ""


def is_held(connection: Connection, tenant: TenantId, id_: str) -> bool:
    sql = f"SELECT 1 FROM content c WHERE tenant = ? AND id = ? AND {_HELD}"
    return connection.execute(sql, (tenant, id_)).fetchone() is not None


def is_kept(connection: Connection, tenant: TenantId, term: Term) -> bool:
    """Return whether a hold keeps a document's text."""
    sql = "SELECT 1 FROM holds WHERE tenant = ? AND subject IN (?, ?, ?)"
    return connection.execute(sql, (tenant, EVERYTHING, term.owner, term.content)).fetchone() is not None


def _erase(connection: Connection, tenant: TenantId, part: Part) -> int:
    barred = connection.execute("SELECT 1 FROM barred WHERE tenant = ? AND person = ''", (tenant,)).fetchone()
    if not barred:
        raise Defect("Only of a barred tenant everything is erased.", code="defect.erasure")
    match part:
        case Part.CONTENT:
            if connection.execute(f"SELECT 1 FROM content c WHERE tenant = ? AND {_HELD}", (tenant,)).fetchone():
                raise _kept()
            return _delete_content(connection, tenant)
        case Part.RECORDS:
            keys: list[tuple[str, str]] = list(
                connection.execute(
                    "SELECT kind, key FROM records"
                    " WHERE tenant = ? AND kind NOT IN (SELECT value FROM json_each(?)) LIMIT ?",
                    (tenant, _EVIDENCE, BATCH),
                )
            )
            connection.executemany(
                "DELETE FROM records WHERE tenant = ? AND kind = ? AND key = ?",
                [(tenant, kind, key) for kind, key in keys],
            )
            return len(keys)
        case Part.KNOWLEDGE:
            return drop_passages(connection, tenant)


def _delete_content(connection: Connection, tenant: TenantId) -> int:
    connection.execute(
        "DELETE FROM content WHERE rowid IN (SELECT rowid FROM content WHERE tenant = ? LIMIT ?)", (tenant, BATCH)
    )
    return connection.changes()


def _rewritten(connection: Connection) -> bool:
    """Write the file anew, and empty the log of writes behind it.

    `secure_delete` overwrites what is deleted, but not what moved to another page before: that stays in free space.
    """
    connection.execute("VACUUM")
    busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return not busy


def _kept() -> Conflict:
    return Conflict("A legal hold keeps this. Release the hold first.", code="hold.active")
