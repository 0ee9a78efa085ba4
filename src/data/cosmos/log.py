"""The run log: a run is a logical partition, an append one transactional batch, and an event's number the fence."""

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import Sequence

from core import GENESIS, Content, RunId, TenantContext, TenantId
from core.errors import Conflict, PreconditionFailed
from core.events import Event, Stored
from data.believing import check_append, check_seen, may_be_refused, parse
from data.cosmos.calls import Taken
from data.cosmos.content import CosmosContentStore
from data.cosmos.governed import Decided
from data.cosmos.items import Document, Items, number, text
from data.cosmos.keys import Key
from data.cosmos.records import CosmosRecords
from data.ports import RawEvent, Seen

HEADS = 10_000

_EVENTS = (
    "SELECT TOP @limit c.tenant, c.seq, c.hash, c.data FROM c"
    " WHERE c.tenant = @tenant AND c.run = @run AND c.seq > @after ORDER BY c.seq"
)


class Heads:
    """The hashes of the last events that this process wrote. A known one saves reading it; it never changes."""

    def __init__(self, most: int = HEADS) -> None:
        self._most = most
        self._known: OrderedDict[Key, tuple[int, str]] = OrderedDict()

    def knows(self, key: Key, seq: int, hash_: str) -> bool:
        return self._known.get(key) == (seq, hash_)

    def learn(self, key: Key, last: Stored) -> None:
        self._known[key] = (last.event.seq, last.hash)
        self._known.move_to_end(key)
        if len(self._known) > self._most:
            self._known.popitem(last=False)


class CosmosRunLog:
    def __init__(
        self,
        items: Items,
        content: CosmosContentStore,
        heads: Heads,
        context: TenantContext,
        decided: Decided,
        records: Items,
    ) -> None:
        self._items = items
        self._records = records
        self._decided = decided
        self._content = content
        self._heads = heads
        self._tenant = context.tenant

    async def append(
        self, events: Sequence[Stored], content: Sequence[Content] = (), *, resting_on: Sequence[Seen] = ()
    ) -> None:
        check_append(events, self._tenant, resting_on)
        first = events[0].event
        key = (self._tenant, first.run)
        if not await self._follows(key, first):
            raise _conflict()
        if content or may_be_refused(events):
            (await self._decided.rules(self._tenant)).refuse()
        new = await self._content.write(content)
        try:
            check_seen(resting_on, await self._etags(resting_on))
            if not await self._create(key, events):
                raise _conflict()
        except (Conflict, PreconditionFailed):
            await self._content.take_back(new)
            raise
        self._heads.learn(key, events[-1])

    async def read(self, run: RunId, *, after: int = 0, limit: int = 1000) -> Sequence[Stored]:
        return [parse(raw.data, raw.hash) for raw in await self.raw(run, after=after, limit=limit)]

    async def raw(self, run: RunId, *, after: int = 0, limit: int = 1000) -> Sequence[RawEvent]:
        return await raw_events(self._items, self._tenant, run, after, limit)

    async def _follows(self, key: Key, first: Event) -> bool:
        """Return whether the event before `first` is the one that it names; read only if not known."""
        if first.seq == 1:
            return first.prev == GENESIS
        if self._heads.knows(key, first.seq - 1, first.prev):
            return True
        before = await self._items.read(key, event_id(first.seq - 1))
        return before is not None and before.get("hash") == first.prev

    async def _etags(self, seen: Sequence[Seen]) -> Sequence[str | None]:
        return await asyncio.gather(*(CosmosRecords(self._records, one.tenant).etag(one.kind, one.key) for one in seen))

    async def _create(self, key: Key, events: Sequence[Stored]) -> bool:
        """Create the events; return False if another writer was faster."""
        nonce = secrets.token_hex(8)
        try:
            await self._items.create_all(key, [_document(stored, nonce) for stored in events])
        except Taken:
            found = await self._items.read(key, event_id(events[0].event.seq))
            return found is not None and found.get("nonce") == nonce  # ours: only the answer was lost
        return True


async def raw_events(items: Items, tenant: TenantId, run: RunId, after: int, limit: int) -> Sequence[RawEvent]:
    """Return a run's events behind a number, in order, as they are stored."""
    found = await items.query((tenant, run), _EVENTS, run=run, after=after, limit=limit)
    return [RawEvent(number(d, "seq"), text(d, "data").encode(), text(d, "hash")) for d in found]


def event_id(seq: int) -> str:
    """Return the id of an event's document, the same for every writer: who creates it has the number."""
    return f"{seq:09}"


def _document(stored: Stored, nonce: str) -> Document:
    event = stored.event
    return {
        "id": event_id(event.seq),
        "tenant": event.tenant,
        "run": event.run,
        "seq": event.seq,
        "hash": stored.hash,
        "data": stored.data.decode(),
        "nonce": nonce,
    }


def _conflict() -> Conflict:
    return Conflict("Somebody else has written to this run; read it again.", code="conflict.sequence")
