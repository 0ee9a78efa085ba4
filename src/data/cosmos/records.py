"""Records: documents of a logical partition for each kind, compared and set by the service's own ETag."""

import secrets

from core import TenantId
from core.errors import PreconditionFailed
from data.cosmos.calls import Missing, Stale, Taken
from data.cosmos.governed import Decided
from data.cosmos.items import Document, Items, text
from data.cosmos.keys import Key, encoded
from data.cursors import decode_cursor, encode_cursor
from data.governed import EVIDENCE_KINDS
from data.ports import Page, R, Record, Versioned

_LIST = (
    "SELECT TOP @limit c.tenant, c.key, c.body, c._etag FROM c WHERE c.tenant = @tenant AND c.kind = @kind"
    " AND STARTSWITH(c.key, @prefix) AND c.key > @after ORDER BY c.key"
)


class CosmosRecords:
    def __init__(self, items: Items, tenant: TenantId, decided: Decided | None = None) -> None:
        self._items = items
        self._tenant = tenant
        self._decided = decided

    async def get(self, model: type[R], key: str) -> Versioned[R] | None:
        found = await self._items.read(self._of(model), encoded(key))
        return _versioned(model, found) if found else None

    async def put(self, key: str, value: Record, *, etag: str | None) -> str:
        if self._decided and value.kind not in EVIDENCE_KINDS:
            (await self._decided.rules(self._tenant)).refuse()
        partition, nonce = self._of(type(value)), secrets.token_hex(8)
        document: Document = {
            "id": encoded(key),
            "tenant": self._tenant,
            "kind": value.kind,
            "key": key,
            "body": value.model_dump_json(),
            "nonce": nonce,
        }
        try:
            if etag is None:
                return await self._items.create(partition, document)
            return await self._items.replace(partition, document, etag=etag)
        except (Taken, Stale, Missing):
            found = await self._items.read(partition, encoded(key))
            if found is None or found.get("nonce") != nonce:
                raise _changed() from None
            return _etag(found)  # it is ours: only the answer was lost

    async def delete(self, model: type[Record], key: str, *, etag: str) -> None:
        try:
            deleted = await self._items.delete(self._of(model), encoded(key), etag=etag)
        except Stale:
            deleted = False
        if not deleted:
            raise _changed()

    async def list(
        self, model: type[R], *, prefix: str = "", cursor: str | None = None, limit: int = 100
    ) -> Page[Versioned[R]]:
        after = decode_cursor(cursor, 1)[0] if cursor else ""
        found = await self._items.query(
            self._of(model), _LIST, kind=model.kind, prefix=prefix, after=after, limit=limit + 1
        )
        items = [_versioned(model, document) for document in found[:limit]]
        return Page(items, encode_cursor(items[-1].key) if len(found) > limit else None)

    async def etag(self, kind: str, key: str) -> str | None:
        """Return the current ETag of a record, whatever is in it; None if there is none."""
        found = await self._items.read((self._tenant, kind), encoded(key))
        return _etag(found) if found else None

    def _of(self, model: type[Record]) -> Key:
        return self._tenant, model.kind


def _versioned(model: type[R], found: Document) -> Versioned[R]:
    return Versioned(text(found, "key"), model.model_validate_json(text(found, "body")), _etag(found))


def _etag(found: Document) -> str:
    return text(found, "_etag").strip('"')


def _changed() -> PreconditionFailed:
    return PreconditionFailed("Somebody else has changed this; read it again and repeat your change.")
