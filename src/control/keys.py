"""The public keys with which our processes sign tenant assertions, shared through the store."""

import asyncio
from contextlib import suppress

from control import contexts
from control.cache import Cache
from control.records import ServiceKeyRecord
from core import Clock, parse_timestamp
from core.errors import PreconditionFailed
from data import Records, Store
from web import PublishedKey

_PUBLISH_SECONDS = 10.0


class StoreKeys:
    """A `web.KeyDirectory` over records of the publisher. A renewed key is seen everywhere within five seconds."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._cache: Cache[str, PublishedKey | None] = Cache(clock, size=1000)

    @property
    def _records(self) -> Records:
        return self._store.tenant(contexts.publisher("keys")).records

    async def key(self, kid: str) -> PublishedKey | None:
        """Return the published key, None if there is none of that name or it has expired."""

        async def load(_: PublishedKey | None) -> PublishedKey | None:
            found = await self._records.get(ServiceKeyRecord, kid)
            return PublishedKey.model_validate(found.value.model_dump()) if found else None

        key = await self._cache.get(kid, load)
        return key if key and not self._has_expired(key.expires) else None

    async def publish(self, key: PublishedKey) -> None:
        """Publish this process's key or renew it, and delete what has expired of others; durable on return."""
        async with asyncio.timeout(_PUBLISH_SECONDS):
            found = await self._records.get(ServiceKeyRecord, key.kid)
            record = ServiceKeyRecord.model_validate(key.model_dump())
            await self._records.put(key.kid, record, etag=found.etag if found else None)
            self._cache.forget(key.kid)
            await self._delete_expired()

    async def _delete_expired(self) -> None:
        cursor = None
        while True:
            page = await self._records.list(ServiceKeyRecord, cursor=cursor)
            for item in page.items:
                if self._has_expired(item.value.expires):
                    with suppress(PreconditionFailed):  # another process has deleted or renewed it
                        await self._records.delete(ServiceKeyRecord, item.key, etag=item.etag)
            cursor = page.cursor
            if cursor is None:
                return

    def _has_expired(self, expires: str) -> bool:
        return parse_timestamp(expires) <= self._clock.now()
