"""What is done of each tenant every minute: destroying what has expired, and telling of claims that hold no more.

Content goes by its class, documents as a whole; nothing that a legal hold keeps.

How long it stays is settled first.
Reads hide content whose time is up at once. What is left for later is to destroy it, again and again from here; several
processes may do it at the same time.
"""

import asyncio
import logging

from control import Directory, Entitlements, TenantRecord, contexts
from core import Clock
from core.errors import MandateError
from data import Store, TenantData
from orchestration.claims import Claims
from orchestration.erasing import each
from orchestration.erasure import Eraser
from orchestration.holds import in_the_way, renew
from orchestration.records import DocumentRecord
from orchestration.retention import Days, settle_retention
from telemetry import log

INTERVAL_SECONDS = 60.0
_BATCH = 500


class Sweeper:
    def __init__(
        self,
        store: Store,
        directory: Directory,
        entitlements: Entitlements,
        classes: Days,
        eraser: Eraser,
        claims: Claims,
        clock: Clock,
    ) -> None:
        self._store = store
        self._directory = directory
        self._entitlements = entitlements
        self._classes = classes
        self._eraser = eraser
        self._claims = claims
        self._clock = clock

    async def run(self) -> None:
        """Sweep every minute until cancelled; what cannot be done now is left for the next time."""
        while True:
            try:
                cursor = None
                while True:
                    page = await self._directory.tenants(cursor)
                    for found in page.items:
                        await self.sweep(found.value)
                    if (cursor := page.cursor) is None:
                        break
            except MandateError as error:
                log(logging.WARNING, "A sweep was left for later", code=error.code)
            await asyncio.sleep(INTERVAL_SECONDS)

    async def sweep(self, tenant: TenantRecord) -> int:
        """Destroy what has expired of a tenant, and return how many pieces of content, documents counted as one."""
        if tenant.status == "closed":  # an erasure has it
            return 0
        data = self._store.tenant(contexts.platform(tenant, "sweeper"))
        await renew(self._store, data)
        await self._claims.tell(data)
        kept = {**self._classes, **(await self._entitlements.of(tenant.id)).retention}
        await settle_retention(self._store, data, kept, self._clock)
        swept = 0
        for document in [found.value async for found in each(data, DocumentRecord)]:
            swept += await self._swept(data, document)
        while expired := await self._store.governed.expire(tenant.id, limit=_BATCH):
            swept += expired
        return swept

    async def _swept(self, data: TenantData, document: DocumentRecord) -> bool:
        """Erase a document whose time is up as an erasure does, with its passages and what was answered from it."""
        if document.erasing or not await self._is_over(data, document):
            return False
        if await in_the_way(self._store, data, "document", document.id):
            return False
        await self._eraser.erase(data.context.tenant, "document", document.id, data.context.principal.actor)
        return True

    async def _is_over(self, data: TenantData, document: DocumentRecord) -> bool:
        if await data.knowledge.over([document.term]):
            return True
        return await data.content.take(document.content.id) is None  # the database's own expiry took it
