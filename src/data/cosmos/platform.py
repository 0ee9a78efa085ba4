"""What has no tenant by its nature: the change feed, the writing of views, the walk over all chains."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from pydantic import TypeAdapter

from core import PUBLISHER, RunId, TenantId
from core.errors import PreconditionFailed
from data.believing import parse
from data.cosmos.items import Document, Items, Range, number, text
from data.cosmos.keys import encoded
from data.cosmos.log import raw_events
from data.cosmos.records import CosmosRecords
from data.cosmos.views import row_of, write_row
from data.platform import FedHead, FeedPage
from data.ports import RawEvent, Record, Row

AT_ONCE = 32
"""Rows that are read or written side by side."""


class Checkpoint(Record):
    """How far a reader of the feed is; the publisher's, as every tenant's events are in it."""

    kind: ClassVar[str] = "checkpoint"
    position: str


@dataclass(slots=True)
class Place:
    """How far one range of the events has been read. A checkpoint is one for each range, as JSON.

    The SDK has such a thing for all ranges at once, but cannot go on from it where one of them has not been read yet
    (azure-cosmos 4.17.1).
    """

    part: Range
    token: str = ""


_PLACES = TypeAdapter(list[Place])


class CosmosPlatform:
    def __init__(self, events: Items, views: Items, records: Items) -> None:
        self._events = events
        self._views = views
        self._records = records
        self._checkpoints = CosmosRecords(records, PUBLISHER)

    async def feed(self, *, after: str, limit: int = 500) -> FeedPage:
        found, position = await self._fed(after, limit)
        # Events of one append are one transaction: the feed keeps it together, and says nothing of the order within.
        events = sorted((parse(text(d, "data").encode(), text(d, "hash")) for d in found), key=lambda s: s.event.seq)
        return FeedPage(events, position)

    async def heads(self, *, after: str, limit: int = 5000) -> tuple[Sequence[FedHead], str]:
        found, position = await self._fed(after, limit)
        heads = [
            FedHead(TenantId(text(d, "tenant")), RunId(text(d, "run")), number(d, "seq"), text(d, "hash"))
            for d in found
        ]
        return heads, position

    async def _fed(self, after: str, limit: int) -> tuple[list[Document], str]:
        """Return documents of events behind a position, and the next one."""
        places = _PLACES.validate_json(after) if after else [Place(part) for part in await self._events.ranges()]
        found: list[Document] = []
        for place in list(places):
            while len(found) < limit:
                page, place.token = await self._events.changes(place.part, place.token, limit - len(found))
                if not page:
                    break
                found += page
            places.append(places.pop(0))  # so that none waits for a busy one for ever
            if len(found) >= limit:
                break
        return found, _PLACES.dump_json(places).decode()

    async def waiting(self, name: str, *, limit: int = 1000) -> int:
        page = await self.feed(after=await self.checkpoint(name), limit=limit)
        return min(limit, len(page.events))

    async def checkpoint(self, name: str) -> str:
        found = await self._checkpoints.get(Checkpoint, name)
        return found.value.position if found else ""

    async def rows(self, view: str, keys: Sequence[tuple[TenantId, str]]) -> Sequence[Row]:
        found: list[Document | None] = []
        for start in range(0, len(keys), AT_ONCE):
            some = keys[start : start + AT_ONCE]
            found += await asyncio.gather(*(self._views.read((tenant, view), encoded(key)) for tenant, key in some))
        return [row_of(document) for document in found if document]

    async def project(self, rows: Mapping[str, Sequence[Row]], *, name: str, checkpoint: str) -> None:
        all_ = [(view, row) for view, its in rows.items() for row in its]
        for start in range(0, len(all_), AT_ONCE):
            await asyncio.gather(*(write_row(self._views, *one) for one in all_[start : start + AT_ONCE]))
        await self._set_checkpoint(name, checkpoint)

    async def reset(self, view: str) -> None:
        async for row in self.scan(view):
            await self._views.delete((row.tenant, view), encoded(row.key))
        for found in (await self._checkpoints.list(Checkpoint)).items:
            await self._records.delete((PUBLISHER, Checkpoint.kind), encoded(found.key))

    async def due(self, view: str, *, states: Sequence[str]) -> AsyncIterator[Row]:
        # mandate: allow[tenant-statement] - the driver carries the runs of all tenants
        sql = "SELECT * FROM c WHERE c.view = @view AND ARRAY_CONTAINS(@states, c.state)"
        # mandate: allow[tenant-statement] - the driver carries the runs of all tenants
        async for document in self._views.across(sql, view=view, states=list(states)):
            yield row_of(document)

    async def scan(self, view: str) -> AsyncIterator[Row]:
        # mandate: allow[tenant-statement] - a view is compared for all tenants
        async for document in self._views.across("SELECT * FROM c WHERE c.view = @view", view=view):
            yield row_of(document)

    async def runs(self) -> AsyncIterator[tuple[TenantId, RunId]]:
        # mandate: allow[tenant-statement] - all chains are verified
        async for document in self._events.across("SELECT c.tenant, c.run FROM c WHERE c.seq = 1"):
            yield TenantId(text(document, "tenant")), RunId(text(document, "run"))

    async def raw(self, tenant: TenantId, run: RunId, *, after: int = 0, limit: int = 1000) -> Sequence[RawEvent]:
        return await raw_events(self._events, tenant, run, after, limit)

    async def _set_checkpoint(self, name: str, position: str) -> None:
        """Write it over whatever is there; whoever loses a race has its events folded again, and skipped."""
        found = await self._checkpoints.get(Checkpoint, name)
        if found and found.value.position == position:
            return
        try:
            await self._checkpoints.put(name, Checkpoint(position=position), etag=found.etag if found else None)
        except PreconditionFailed:
            return  # another projector's: it has written rows of its own first
