"""Records: JSON documents with an ETag, compared and set on the one connection that writes."""

import secrets

from core import TenantContext
from core.errors import PreconditionFailed
from data.cursors import decode_cursor, encode_cursor
from data.governed import EVIDENCE_KINDS
from data.ports import Page, R, Record, Seen, Versioned
from data.sqlite.connections import Connection
from data.sqlite.database import Database
from data.sqlite.governed import refuse_barred

_LAST_CHARACTER = "\U0010ffff"


class SqliteRecords:
    def __init__(self, database: Database, context: TenantContext) -> None:
        self._database = database
        self._tenant = context.tenant

    async def get(self, model: type[R], key: str) -> Versioned[R] | None:
        def work(connection: Connection) -> Versioned[R] | None:
            found: tuple[str, str] | None = connection.execute(
                "SELECT body, etag FROM records WHERE tenant = ? AND kind = ? AND key = ?",
                (self._tenant, model.kind, key),
            ).fetchone()
            return Versioned(key, model.model_validate_json(found[0]), found[1]) if found else None

        return await self._database.read(work)

    async def put(self, key: str, value: Record, *, etag: str | None) -> str:
        new, body = secrets.token_hex(8), value.model_dump_json()

        def work(connection: Connection) -> str:
            if value.kind not in EVIDENCE_KINDS:
                refuse_barred(connection, self._tenant)
            if etag is None:
                connection.execute(
                    "INSERT INTO records (tenant, kind, key, etag, body) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                    (self._tenant, value.kind, key, new, body),
                )
            else:
                connection.execute(
                    "UPDATE records SET etag = ?, body = ? WHERE tenant = ? AND kind = ? AND key = ? AND etag = ?",
                    (new, body, self._tenant, value.kind, key, etag),
                )
            _require_change(connection)
            return new

        return await self._database.write(work)

    async def delete(self, model: type[Record], key: str, *, etag: str) -> None:
        def work(connection: Connection) -> None:
            connection.execute(
                "DELETE FROM records WHERE tenant = ? AND kind = ? AND key = ? AND etag = ?",
                (self._tenant, model.kind, key, etag),
            )
            _require_change(connection)

        await self._database.write(work)

    async def list(
        self, model: type[R], *, prefix: str = "", cursor: str | None = None, limit: int = 100
    ) -> Page[Versioned[R]]:
        after = decode_cursor(cursor, 1)[0] if cursor else ""

        def work(connection: Connection) -> Page[Versioned[R]]:
            found: list[tuple[str, str, str]] = list(
                connection.execute(
                    "SELECT key, body, etag FROM records WHERE tenant = ? AND kind = ?"
                    " AND key >= ? AND key < ? AND key <> ? ORDER BY key LIMIT ?",
                    (self._tenant, model.kind, max(prefix, after), prefix + _LAST_CHARACTER, after, limit + 1),
                )
            )
            items = [Versioned(key, model.model_validate_json(body), etag) for key, body, etag in found[:limit]]
            return Page(items, encode_cursor(items[-1].key) if len(found) > limit else None)

        return await self._database.read(work)


def current_etag(connection: Connection, seen: Seen) -> str | None:
    found: tuple[str] | None = connection.execute(
        "SELECT etag FROM records WHERE tenant = ? AND kind = ? AND key = ?", (seen.tenant, seen.kind, seen.key)
    ).fetchone()
    return found[0] if found else None


def _require_change(connection: Connection) -> None:
    if not connection.changes():
        raise PreconditionFailed("Somebody else has changed this; read it again and repeat your change.")
