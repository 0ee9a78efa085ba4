"""Does a run's chain hold? Judged from the bytes on disk alone, so that the answer owes nothing to who wrote them.

A chain shows every change, insertion, removal and reordering but one: events cut off at its end leave a shorter chain
that holds.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

from pydantic import ValidationError

from core import GENESIS, RunId, TenantId, digest
from core.errors import NotFound
from core.events import Stored
from data.platform import Platform
from data.ports import RawEvent, TenantData

Read = Callable[[int], Awaitable[Sequence[RawEvent]]]
"""Reads a page of a run, behind a sequence number."""


class Broken(StrEnum):
    """Why an event is not believed."""

    EMPTY = "there is no event"
    HASH = "its bytes are not those that its hash was made of"
    UNPARSABLE = "its bytes are no event"
    TENANT = "it says that it belongs to another tenant"
    RUN = "it says that it belongs to another run"
    SEQUENCE = "its sequence number is not the next"
    GENESIS = "the chain does not start here"
    PREVIOUS = "it does not follow from the event before"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of checking one run.

    Attributes:
        events: how many hold, from the first on; where `broken` is set, the one after these is the first that does not.
        broken: why that one does not; None if all hold.
    """

    tenant: TenantId
    run: RunId
    events: int
    broken: Broken | None = None

    @property
    def ok(self) -> bool:
        return self.broken is None


def verify_run(tenant: TenantId, run: RunId, events: Sequence[RawEvent]) -> Verdict:
    """Check a run's whole chain, and name the first event that is not as it was written."""
    previous = GENESIS
    for number, raw in enumerate(events, start=1):
        if broken := _check(raw, tenant, run, number, previous):
            return Verdict(tenant, run, number - 1, broken)
        previous = raw.hash
    return Verdict(tenant, run, len(events), None if events else Broken.EMPTY)


async def verify_one(data: TenantData, run: RunId) -> Verdict:
    """Check one run of a tenant.

    Raises:
        NotFound: the tenant has no such run.
    """
    verdict = await _verify(data.context.tenant, run, lambda after: data.log.raw(run, after=after))
    if verdict.broken is Broken.EMPTY:
        raise NotFound("There is no such run. Check the id, and that you are signed in to the right organisation.")
    return verdict


async def read_raw(data: TenantData, run: RunId) -> list[RawEvent]:
    """Return all of a run as it is on disk, believed or not; none if the tenant has no such run."""
    return await _all(lambda after: data.log.raw(run, after=after))


async def verify_all(platform: Platform) -> AsyncGenerator[Verdict]:
    """Check every run of every tenant, in any order."""
    async for verdict, _ in verified_runs(platform):
        yield verdict


async def verified_runs(platform: Platform) -> AsyncGenerator[tuple[Verdict, list[RawEvent]]]:
    """Check every run of every tenant, in any order, and give its events too."""
    async for tenant, run in platform.runs():
        events = await _all(partial(_read_of, platform, tenant, run))
        yield await asyncio.to_thread(verify_run, tenant, run, events), events


async def _read_of(platform: Platform, tenant: TenantId, run: RunId, after: int) -> Sequence[RawEvent]:
    return await platform.raw(tenant, run, after=after)


async def _verify(tenant: TenantId, run: RunId, read: Read) -> Verdict:
    return await asyncio.to_thread(verify_run, tenant, run, await _all(read))


async def _all(read: Read) -> list[RawEvent]:
    events: list[RawEvent] = []
    while page := await read(events[-1].seq if events else 0):
        events += page
    return events


def _check(raw: RawEvent, tenant: TenantId, run: RunId, number: int, previous: str) -> Broken | None:
    if digest(raw.data) != raw.hash:
        return Broken.HASH
    try:
        event = Stored.parse(raw.data).event
    except ValidationError:
        return Broken.UNPARSABLE
    failed = {
        Broken.TENANT: event.tenant != tenant,
        Broken.RUN: event.run != run,
        Broken.SEQUENCE: (event.seq, raw.seq) != (number, number),
        Broken.GENESIS: number == 1 and event.prev != GENESIS,
        Broken.PREVIOUS: event.prev != previous,
    }
    return next((broken for broken, is_so in failed.items() if is_so), None)
