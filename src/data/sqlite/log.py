"""Run log and content: an append writes both, the content first."""

from collections.abc import Mapping, Sequence

from core import (
    GENESIS,
    Clock,
    Confidentiality,
    Content,
    ContentClass,
    ContentId,
    ContentRef,
    PrincipalId,
    RunId,
    TenantContext,
    TenantId,
    timestamp,
)
from core.errors import Conflict, Defect, NotFound
from core.events import Stored
from data.believing import check_append, check_seen, commits, may_be_refused, parse
from data.cursors import decode_cursor, encode_cursor
from data.ports import Page, Piece, RawEvent, Seen
from data.sqlite.connections import Connection
from data.sqlite.database import Database
from data.sqlite.governed import expiry, is_held, refuse_barred, refuse_held
from data.sqlite.records import current_etag

RawRow = tuple[int, bytes, str]


class SqliteRunLog:
    def __init__(self, database: Database, context: TenantContext, clock: Clock) -> None:
        self._database = database
        self._tenant = context.tenant
        self._clock = clock

    async def append(
        self, events: Sequence[Stored], content: Sequence[Content] = (), *, resting_on: Sequence[Seen] = ()
    ) -> None:
        check_append(events, self._tenant, resting_on)
        run, first = events[0].event.run, events[0].event
        at = timestamp(self._clock.now())

        def work(connection: Connection) -> None:
            if _head(connection, self._tenant, run) != (first.seq - 1, first.prev):
                raise Conflict("Somebody else has written to this run; read it again.", code="conflict.sequence")
            check_seen(resting_on, [current_etag(connection, seen) for seen in resting_on])
            if content or may_be_refused(events):
                refuse_barred(connection, self._tenant)
            insert_content(connection, self._tenant, content, at)
            connection.executemany(
                "INSERT INTO events (tenant, run, seq, hash, data) VALUES (?, ?, ?, ?, ?)",
                [(self._tenant, run, stored.event.seq, stored.hash, stored.data) for stored in events],
            )

        await self._database.write(work)

    async def read(self, run: RunId, *, after: int = 0, limit: int = 1000) -> Sequence[Stored]:
        def work(connection: Connection) -> Sequence[Stored]:
            return [parse(data, hash_) for _, data, hash_ in raw_rows(connection, self._tenant, run, after, limit)]

        return await self._database.read(work)

    async def raw(self, run: RunId, *, after: int = 0, limit: int = 1000) -> Sequence[RawEvent]:
        def work(connection: Connection) -> Sequence[RawEvent]:
            return [RawEvent(*row) for row in raw_rows(connection, self._tenant, run, after, limit)]

        return await self._database.read(work)


class SqliteContentStore:
    def __init__(
        self, database: Database, context: TenantContext, clock: Clock, retention: Mapping[ContentClass, int]
    ) -> None:
        self._database = database
        self._tenant = context.tenant
        self._clock = clock
        self._retention = retention

    async def put(self, content: Sequence[Content]) -> None:
        at = timestamp(self._clock.now())
        await self._database.write(lambda connection: insert_content(connection, self._tenant, content, at))

    async def get(self, ref: ContentRef) -> bytes:
        found = await self._database.read(lambda connection: self._find(connection, ref.id))
        if found is None:
            raise NotFound("This content is not there any more.")
        key, data = found
        if not commits(ref, key, data):
            raise Defect("Stored content is not what the log says it is.", code="defect.commitment")
        return data

    async def matches(self, ref: ContentRef, data: bytes) -> bool:
        found = await self._database.read(lambda connection: self._find(connection, ref.id))
        return found is not None and commits(ref, found[0], data)

    async def erase(self, ids: Sequence[ContentId]) -> int:
        def work(connection: Connection) -> int:
            refuse_held(connection, self._tenant, ids)
            erased = 0
            for id_ in ids:
                connection.execute("DELETE FROM content WHERE tenant = ? AND id = ?", (self._tenant, id_))
                erased += connection.changes()
            return erased

        return await self._database.write(work)

    async def list(
        self, *, owner: PrincipalId | None = None, cursor: str | None = None, limit: int = 500
    ) -> Page[Piece]:
        condition, values = ("AND owner = ?", (owner,)) if owner else ("", ())
        after = decode_cursor(cursor, 1)[0] if cursor else ""
        sql = (
            "SELECT id, kind, owner, confidentiality, at, length(data) FROM content"
            f" WHERE tenant = ? {condition} AND id > ? ORDER BY id LIMIT ?"
        )

        def work(connection: Connection) -> Page[Piece]:
            found = list(connection.execute(sql, (self._tenant, *values, after, limit + 1)))
            pieces = [
                Piece(id_, ContentClass(kind), whose, Confidentiality(level), at, size)
                for id_, kind, whose, level, at, size in found[:limit]
            ]
            return Page(pieces, encode_cursor(pieces[-1].id) if len(found) > limit else None)

        return await self._database.read(work)

    async def take(self, id_: ContentId) -> tuple[bytes, bytes] | None:
        return await self._database.read(lambda connection: self._find(connection, id_))

    def _find(self, connection: Connection, id_: ContentId) -> tuple[bytes, bytes] | None:
        found: tuple[bytes, bytes, str, str] | None = connection.execute(
            "SELECT key, data, kind, at FROM content WHERE tenant = ? AND id = ?", (self._tenant, id_)
        ).fetchone()
        if found is None:
            return None
        key, data, kind, at = found
        before = expiry(connection, self._tenant, kind, self._retention, self._clock)
        return None if at < before and not is_held(connection, self._tenant, id_) else (key, data)


def insert_content(connection: Connection, tenant: TenantId, content: Sequence[Content], at: str) -> None:
    """Write content that is new; the same content once more changes nothing.

    Raises:
        Conflict: the id is taken by something else, or its owner is erased.
    """
    if content:
        refuse_barred(connection, tenant, [item.owner for item in content])
    for item in content:
        connection.execute(
            "INSERT INTO content (tenant, id, kind, owner, confidentiality, at, key, data)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (tenant, item.ref.id, item.ref.kind, item.owner, item.confidentiality, at, item.key, item.data),
        )
        if connection.changes():
            continue
        taken = connection.execute(
            "SELECT key, data FROM content WHERE tenant = ? AND id = ?", (tenant, item.ref.id)
        ).fetchone()
        if taken != (item.key, item.data):
            raise Conflict("There is other content under this id.", code="conflict.content")


def raw_rows(connection: Connection, tenant: TenantId, run: RunId, after: int, limit: int) -> list[RawRow]:
    return list(
        connection.execute(
            "SELECT seq, data, hash FROM events WHERE tenant = ? AND run = ? AND seq > ? ORDER BY seq LIMIT ?",
            (tenant, run, after, limit),
        )
    )


def _head(connection: Connection, tenant: TenantId, run: RunId) -> tuple[int, str]:
    head: tuple[int, str] | None = connection.execute(
        "SELECT seq, hash FROM events WHERE tenant = ? AND run = ? ORDER BY seq DESC LIMIT 1", (tenant, run)
    ).fetchone()
    return head or (0, GENESIS)
