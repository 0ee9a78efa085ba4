"""Content: a document for each piece of it, with the key of its commitment; the bytes too, unless they are large."""

import asyncio
import base64
import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from core import (
    Clock,
    Confidentiality,
    Content,
    ContentClass,
    ContentId,
    ContentRef,
    PrincipalId,
    TenantContext,
    timestamp,
)
from core.errors import Conflict, Defect, NotFound
from data.believing import commits
from data.cosmos.calls import Taken
from data.cosmos.governed import Decided
from data.cosmos.items import Document, Items, number, text
from data.cosmos.keys import Key, encoded
from data.cosmos.large import Large
from data.cursors import decode_cursor, encode_cursor
from data.ports import Page, Piece

INLINE_BYTES = 256 * 1024

_LIST = (
    "SELECT TOP @limit c.tenant, c.content, c.kind, c.owner, c.confidentiality, c.at, c.size FROM c"
    " WHERE c.tenant = @tenant AND c.content > @after{owned} ORDER BY c.content"
)
_OWNED = " AND c.owner = @owner"


@dataclass(frozen=True, slots=True)
class Shelves:
    """Where content is kept."""

    items: Items
    large: Large
    decided: Decided


class CosmosContentStore:
    def __init__(self, shelves: Shelves, context: TenantContext, clock: Clock) -> None:
        self._shelves = shelves
        self._tenant = context.tenant
        self._clock = clock

    async def put(self, content: Sequence[Content]) -> None:
        await self.write(content)

    async def write(self, content: Sequence[Content]) -> list[ContentId]:
        """Write content, all or none, and return the ids of what was not there before.

        Raises:
            Conflict: an id is taken by something else, or its owner is erased.
        """
        if content:
            (await self._shelves.decided.rules(self._tenant)).refuse([item.owner for item in content])
        at = timestamp(self._clock.now())
        outcomes = await asyncio.gather(*(self._write(item, at) for item in content), return_exceptions=True)
        new = [item.ref.id for item, outcome in zip(content, outcomes, strict=True) if outcome is True]
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                await self.take_back(new)
                raise outcome
        return new

    async def get(self, ref: ContentRef) -> bytes:
        found = await self._current(ref.id)
        if found is None:
            raise NotFound("This content is not there any more.")
        data = await self._bytes(found)
        if not commits(ref, _key_of(found), data):
            raise Defect("Stored content is not what the log says it is.", code="defect.commitment")
        return data

    async def matches(self, ref: ContentRef, data: bytes) -> bool:
        found = await self._current(ref.id)
        return found is not None and commits(ref, _key_of(found), data)

    async def list(
        self, *, owner: PrincipalId | None = None, cursor: str | None = None, limit: int = 500
    ) -> Page[Piece]:
        after = decode_cursor(cursor, 1)[0] if cursor else ""
        of_whom = {"owner": owner} if owner else {}
        sql = _LIST.format(owned=_OWNED if owner else "")
        found = await self._shelves.items.query(self._tenant, sql, after=after, limit=limit + 1, **of_whom)
        # Each physical range of the tenant has given its own first ones.
        pieces = sorted(map(_piece_of, found), key=lambda piece: piece.id)
        return Page(pieces[:limit], encode_cursor(pieces[limit - 1].id) if len(pieces) > limit else None)

    async def take(self, id_: ContentId) -> tuple[bytes, bytes] | None:
        found = await self._current(id_)
        return (_key_of(found), await self._bytes(found)) if found else None

    async def erase(self, ids: Sequence[ContentId]) -> int:
        rules = await self._shelves.decided.rules(self._tenant)
        if rules.held:
            found = [one for one in await asyncio.gather(*(self._find(id_) for id_ in ids)) if one]
            if any(rules.holds(text(one, "owner"), text(one, "content")) for one in found):
                raise Conflict("A legal hold keeps this. Release the hold first.", code="hold.active")
        return sum(await asyncio.gather(*(self._erase(id_) for id_ in ids)))

    async def take_back(self, ids: Sequence[ContentId]) -> None:
        """Delete what was written for an append that was refused: nothing names it, so no hold is about it."""
        await asyncio.gather(*(self._erase(id_) for id_ in ids))

    async def _erase(self, id_: ContentId) -> bool:
        found = await self._find(id_)
        if found is None:
            return False
        if large := found.get("large"):  # first, so that nothing is left that nobody knows of
            await self._shelves.large.delete(self._at(id_), str(large), number(found, "size"))
        return await self._shelves.items.delete(self._at(id_), encoded(id_))

    async def _write(self, item: Content, at: str) -> bool:
        """Write one; return whether it is new."""
        key, nonce = self._at(item.ref.id), secrets.token_hex(8)
        large = f"{item.ref.id}.{nonce}" if len(item.data) > INLINE_BYTES else None
        if large:
            await self._shelves.large.put(key, large, item.data)
        try:
            await self._shelves.items.create(
                key, {**self._document(item, key, at, nonce, large), **await self._ttl(item)}
            )
        except Taken:
            found = await self._find(item.ref.id)
            if found and found.get("nonce") == nonce:
                return True
            if large:
                await self._shelves.large.delete(key, large, len(item.data))
            if found and (_key_of(found), await self._bytes(found)) == (item.key, item.data):
                return False
            raise Conflict("There is other content under this id.", code="conflict.content") from None
        return True

    def _document(self, item: Content, key: Key, at: str, nonce: str, large: str | None) -> Document:
        where = {"large": large} if large else {"data": base64.b64encode(item.data).decode()}
        return {
            "id": encoded(item.ref.id),
            "tenant": key[0],
            "shard": key[1],
            "content": item.ref.id,
            "kind": item.ref.kind,
            "owner": item.owner,
            "confidentiality": item.confidentiality,
            "at": at,
            "nonce": nonce,
            "key": base64.b64encode(item.key).decode(),
            "size": len(item.data),
            **where,
        }

    async def _bytes(self, found: Document) -> bytes:
        if large := found.get("large"):
            key = (self._tenant, text(found, "shard"))
            return await self._shelves.large.get(key, str(large), number(found, "size"))
        return base64.b64decode(text(found, "data"))

    async def _find(self, id_: ContentId) -> Document | None:
        return await self._shelves.items.read(self._at(id_), encoded(id_))

    async def _current(self, id_: ContentId) -> Document | None:
        """Return the document unless its time is up."""
        found, rules = await self._find(id_), await self._shelves.decided.rules(self._tenant)
        if found is None or rules.holds(text(found, "owner"), id_):
            return found
        is_over = text(found, "at") < self._shelves.decided.expiry(rules, ContentClass(text(found, "kind")))
        return None if is_over else found

    async def _ttl(self, item: Content) -> Document:
        """Return for how many seconds the service itself keeps it; what has bytes elsewhere, the sweeper deletes."""
        rules = await self._shelves.decided.rules(self._tenant)
        days = self._shelves.decided.days(rules, item.ref.kind)
        stays = days == 0 or len(item.data) > INLINE_BYTES or rules.holds(item.owner, item.ref.id)
        return {} if stays else {"ttl": days * 86_400}

    def _at(self, id_: ContentId) -> Key:
        """Return the partition of a piece of content: one of 256 of the tenant's."""
        return self._tenant, hashlib.blake2s(id_.encode(), digest_size=1).hexdigest()


def _key_of(found: Document) -> bytes:
    return base64.b64decode(text(found, "key"))


def _piece_of(found: Document) -> Piece:
    return Piece(
        id=ContentId(text(found, "content")),
        kind=ContentClass(text(found, "kind")),
        owner=PrincipalId(text(found, "owner")),
        confidentiality=Confidentiality(text(found, "confidentiality")),
        at=text(found, "at"),
        size=number(found, "size"),
    )
