"""Which processes carry runs. Each has one lease, and each run's log names the lease under which it is carried.

A lease is for liveness alone: it says when a run may be taken up by somebody else. What keeps two processes from
writing one run is the sequence number, and no lease is asked about that.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from control import contexts
from core import Clock, new_id, parse_timestamp, timestamp
from core.errors import MandateError, PreconditionFailed
from data import Record, Records, Store, Versioned
from orchestration.records import CarrierRecord
from telemetry import log

R = TypeVar("R", bound=Record)

LEASE = timedelta(seconds=10)
"""So long after it was last heard of, a process counts as dead."""

RENEWAL_SECONDS = 2.0

SKEW = timedelta(seconds=2)
"""By so much the clocks of two processes may differ."""


@dataclass(slots=True)
class Lease:
    """A process's hold on the runs that it took up under `id`. Once it is lost it stays lost."""

    clock: Clock
    id: str
    until: datetime
    lost: bool = False

    @property
    def held(self) -> bool:
        self.lost = self.lost or self.clock.now() >= self.until
        return not self.lost


class Carriers:
    """The leases of all processes, and this one's own.

    Args:
        store: where they are records.
        clock: of this process.
        name: of this process, the same after a restart, and no other's at the same time; if empty it gets a new one.
    """

    def __init__(self, store: Store, clock: Clock, name: str = "") -> None:
        self._store = store
        self._clock = clock
        self._name = name or new_id("prc")
        self._etag: str | None = None
        self.lease = Lease(clock, new_id("lea"), clock.now(), lost=True)

    @property
    def _records(self) -> Records:
        return self._store.tenant(contexts.publisher("carriers")).records

    async def begin(self) -> None:
        """Begin a lease. Another process that had this one's name is gone, and so is its lease."""
        found = await self._records.get(CarrierRecord, self._name)
        self._etag = found.etag if found else None
        self.lease = Lease(self._clock, new_id("lea"), self._clock.now())
        try:
            await self._extend()
        except PreconditionFailed:  # the one before was not quite gone
            await self.begin()

    async def renew(self) -> None:
        """Put the end of the lease off. One that has run out or was taken is lost, and another begins."""
        try:
            if self.lease.held:
                await self._extend()
        except PreconditionFailed:
            self.lease.lost = True
        if not self.lease.held:
            self._name = new_id("prc")  # the old one may be a successor's by now
            await self.begin()

    async def keep(self) -> None:
        """Renew the lease again and again, until cancelled."""
        while True:
            await asyncio.sleep(RENEWAL_SECONDS)
            try:
                await self.renew()
            except MandateError as error:
                log(logging.WARNING, "The lease could not be renewed", code=error.code)

    async def end(self) -> None:
        """Give the lease back: what is left of its runs is anybody's at once."""
        self.lease.lost = True
        with suppress(PreconditionFailed):
            await self._records.delete(CarrierRecord, self._name, etag=self._etag or "")

    async def elsewhere(self, lease: str) -> bool:
        """Return whether another process may hold `lease`."""
        return lease != self.lease.id and lease in await self.living()

    async def living(self) -> frozenset[str]:
        """Return the leases that may be held; those that cannot are cleared away."""
        now, alive = self._clock.now(), {self.lease.id}
        async for found in every(self._records, CarrierRecord):
            if now < parse_timestamp(found.value.until) + SKEW:
                alive.add(found.value.lease)
            else:
                with suppress(PreconditionFailed):  # it has been heard of just now
                    await self._records.delete(CarrierRecord, found.key, etag=found.etag)
        return frozenset(alive)

    async def _extend(self) -> None:
        until = self._clock.now() + LEASE
        record = CarrierRecord(lease=self.lease.id, until=timestamp(until))
        self._etag = await self._records.put(self._name, record, etag=self._etag)
        self.lease.until = until


async def every(records: Records, model: type[R]) -> AsyncGenerator[Versioned[R]]:
    """Yield all records of a kind, page by page."""
    cursor = None
    while True:
        page = await records.list(model, cursor=cursor)
        for found in page.items:
            yield found
        cursor = page.cursor
        if cursor is None:
            return
