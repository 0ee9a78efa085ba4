"""Erasing a document, a person or a tenant: written down first, then through every store in turn, until all is gone.

Who is killed in the middle is taken up by `run`, here or in another process: each step finds for itself what is left.
A while later all of it is done once more, for what was under way at the time.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

from control import ErasureRecord, Erasures, TenantRecord
from control.erasures import Subject
from core import Actor, Clock, Effect, TenantId
from core.errors import Conflict, MandateError, PreconditionFailed
from data import Part, Projector, Store
from orchestration.erasing import Erasing
from orchestration.records import DocumentRecord
from orchestration.stores import STORES
from telemetry import log

INTERVAL_SECONDS = 5.0


class Eraser:
    """Takes erasures to their end; `effect_of` is the effect of a tool by its name."""

    def __init__(
        self, store: Store, erasures: Erasures, clock: Clock, effect_of: Callable[[str], Effect | None]
    ) -> None:
        self._store = store
        self._clock = clock
        self._effect_of = effect_of
        self.erasures = erasures

    async def erase(self, tenant: TenantId, subject: Subject, target: str, by: Actor) -> ErasureRecord:
        """Write down that something is to go, erase it, and return the receipt."""
        return await self.carry(await self.erasures.request(tenant, subject, target, by))

    async def run(self) -> None:
        """Carry on what is open, until cancelled; first what the journal kept apart has and the store has not."""
        recalled = False
        while True:
            try:
                recalled = recalled or await self.erasures.recall() >= 0
                for record in await self.erasures.open():
                    await self.carry(record)
            except MandateError as error:
                log(logging.WARNING, "An erasure was left for later", code=error.code)
            await asyncio.sleep(INTERVAL_SECONDS)

    async def carry(self, record: ErasureRecord) -> ErasureRecord:
        """Take an erasure to its end; where a legal hold is in its way it waits, and the record says so."""
        erasing = Erasing(self._store, record, self._clock, self._effect_of)
        try:
            await self._close(erasing)
            await Projector(self._store.platform).catch_up()  # where a document was used is read from a view
            counted, gone = await self._counted(record), 0
            for store in STORES:
                if step := store.erases.get(record.subject):
                    gone += (items := await step(erasing))
                    record = await self.erasures.went(record, store.name, 0 if store.name in counted else items)
            if gone or not record.done_at:  # whoever was killed before this left it to us
                await self._store.governed.scrub()
        except Conflict as error:
            return await self.erasures.waits(record, error.code)
        return await self.erasures.done(record)

    async def _counted(self, record: ErasureRecord) -> set[str]:
        """Count what there is of a tenant before any of it goes, so that no kill can make the receipt wrong."""
        if record.subject != "tenant":
            return set()
        found = Counter[str]()
        for held in await self._store.governed.held(record.tenant):
            found[held.part] += held.items
        for part in Part:
            if found[part] and part not in {line.store for line in record.receipt}:
                await self.erasures.went(record, part, found[part])
        return set(Part)

    async def _close(self, erasing: Erasing) -> None:
        """From here on nobody sees it any more, and nothing is added to it."""
        match erasing.record.subject:
            case "document":
                await _hidden(erasing)
            case "person":
                await self._store.governed.bar(erasing.record.tenant, erasing.person)
            case "tenant":
                await _closed(erasing)
                await self._store.governed.bar(erasing.record.tenant)


async def _hidden(erasing: Erasing) -> None:
    while (found := await erasing.data.records.get(DocumentRecord, erasing.document)) and not found.value.erasing:
        with suppress(PreconditionFailed):
            await erasing.data.records.put(found.key, found.value.model_copy(update={"erasing": True}), etag=found.etag)


async def _closed(erasing: Erasing) -> None:
    """Let nobody in any more; other processes see it within five seconds."""
    records, tenant = erasing.directory.records, erasing.record.tenant
    while (found := await records.get(TenantRecord, tenant)) and found.value.status != "closed":
        with suppress(PreconditionFailed):
            await records.put(tenant, found.value.model_copy(update={"status": "closed"}), etag=found.etag)
