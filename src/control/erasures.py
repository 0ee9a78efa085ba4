"""Erasures: what is to go, until it is gone; in the publisher's tenant, and in a journal kept apart.

A store that is restored from a backup knows nothing of later erasures. The journal does: whatever stands there and not
in the store is done again when the program starts.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Literal

from control import contexts
from control.records import ErasureReason, ErasureRecord, OpenErasure, ReceiptLine
from core import Actor, Clock, TenantId, new_id, parse_timestamp, timestamp
from core.errors import PreconditionFailed
from data import Journal, Records, Store, Versioned

SETTLES = timedelta(minutes=15)
"""By then every request and step that was under way at an erasure is over."""

Subject = Literal["document", "person", "tenant"]


class Erasures:
    """What was asked for; `journal` is outside of the store's own backups, None keeps none."""

    def __init__(self, store: Store, clock: Clock, journal: Journal | None = None) -> None:
        self._store = store
        self._clock = clock
        self._journal = journal

    @property
    def _records(self) -> Records:
        return self._store.tenant(contexts.publisher("erasures")).records

    async def request(
        self, tenant: TenantId, subject: Subject, target: str, by: Actor, reason: ErasureReason | None = None
    ) -> ErasureRecord:
        """Write down that something is to be erased; durable on return, in the journal too."""
        now = timestamp(self._clock.now())
        record = ErasureRecord(
            id=new_id("era"), tenant=tenant, subject=subject, target=target, by=by, at=now, reason=reason
        )
        if self._journal:
            await self._journal.note(record.key, record.model_dump_json().encode())
        await self._begin(record)
        return record

    async def of(self, tenant: TenantId, cursor: str | None = None, limit: int = 50) -> Sequence[ErasureRecord]:
        """Return a tenant's erasures, oldest first."""
        page = await self._records.list(ErasureRecord, prefix=f"{tenant}/", cursor=cursor, limit=limit)
        return [found.value for found in page.items]

    async def took(self, tenant: TenantId) -> bool:
        """Return whether the whole tenant was erased, or is about to be."""
        cursor = None
        while True:
            page = await self._records.list(ErasureRecord, prefix=f"{tenant}/", cursor=cursor)
            if any(found.value.subject == "tenant" for found in page.items):
                return True
            if (cursor := page.cursor) is None:
                return False

    async def find(self, tenant: TenantId, erasure: str) -> ErasureRecord | None:
        found = await self._records.get(ErasureRecord, f"{tenant}/{erasure}")
        return found.value if found else None

    async def open(self) -> Sequence[ErasureRecord]:
        """Return what somebody must carry on: what is not done, and what has not settled and can by now."""
        now, found = self._clock.now(), list[ErasureRecord]()
        page = await self._records.list(OpenErasure)
        for item in page.items:
            record = await self._records.get(ErasureRecord, item.key)
            if record and (not record.value.done_at or now - parse_timestamp(record.value.at) >= SETTLES):
                found.append(record.value)
        return found

    async def went(self, record: ErasureRecord, store: str, items: int) -> ErasureRecord:
        """Add what one store has destroyed to the receipt."""

        def change(now: ErasureRecord) -> ErasureRecord:
            before = sum(line.items for line in now.receipt if line.store == store)
            if before and not items:
                return now
            line = ReceiptLine(store=store, items=before + items, at=timestamp(self._clock.now()))
            others = tuple(other for other in now.receipt if other.store != store)
            return now.model_copy(update={"receipt": (*others, line)})

        return await self._change(record, change)

    async def done(self, record: ErasureRecord) -> ErasureRecord:
        """Write down that all of it is gone; a while after, that it settled."""
        now = self._clock.now()
        settled = now - parse_timestamp(record.at) >= SETTLES

        def change(before: ErasureRecord) -> ErasureRecord:
            changes = {"waits": "", "done_at": before.done_at or timestamp(now), "settled": settled}
            return before.model_copy(update=changes)

        changed = await self._change(record, change)
        found = await self._records.get(OpenErasure, record.key) if settled else None
        if found:
            with suppress(PreconditionFailed):  # another process carried it too
                await self._records.delete(OpenErasure, record.key, etag=found.etag)
        return changed

    async def waits(self, record: ErasureRecord, code: str) -> ErasureRecord:
        """Write down why it does not go on for now."""
        return await self._change(record, lambda before: before.model_copy(update={"waits": code}))

    async def recall(self) -> int:
        """Take up what the journal has and the store has not, and return how much that is."""
        if self._journal is None:
            return 0
        recalled = 0
        for line in await self._journal.lines():
            record = ErasureRecord.model_validate_json(line)
            if await self._records.get(ErasureRecord, record.key) is None:
                await self._begin(record)
                recalled += 1
        return recalled

    async def _begin(self, record: ErasureRecord) -> None:
        """What is to be carried on is written last: of a record without it nobody was told that it stands."""
        with suppress(PreconditionFailed):  # another process does the same
            await self._records.put(record.key, record, etag=None)
            await self._records.put(record.key, OpenErasure(), etag=None)

    async def _change(self, record: ErasureRecord, change: Callable[[ErasureRecord], ErasureRecord]) -> ErasureRecord:
        """Change the record as it is now, whoever else carries the same erasure."""
        while True:
            found: Versioned[ErasureRecord] | None = await self._records.get(ErasureRecord, record.key)
            before = found.value if found else record
            changed = change(before)
            if changed == before:
                return changed
            with suppress(PreconditionFailed):
                await self._records.put(record.key, changed, etag=found.etag if found else None)
                return changed
