"""Legal holds: content that neither expiry nor erasure touches until somebody releases it.

The store keeps what is held by the ids of content and people (`data.Governed.hold`); here is who decided it, on what,
and which content that is. What comes later to a held document or conversation is found when the hold is renewed.
"""

from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import suppress
from typing import ClassVar, Literal

from pydantic import ConfigDict

from control.erasures import Subject
from core import Actor, ContentRef, ConversationId, DocumentId, PrincipalId, RunId
from core.errors import Conflict, NotFound
from data import EVERYTHING, Projector, Record, Store, TenantData, Versioned, read_run
from orchestration.erasing import content_ids_of_document, each, pieces
from orchestration.records import ConversationRecord

HoldScope = Literal["tenant", "person", "document", "conversation", "run"]


class HoldRecord(Record):
    """A hold on something of a tenant. Key: its id.

    Attributes:
        target: id of what is held; that of the tenant for all that it has.
        reason: why, which the hold keeps too.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: ClassVar[str] = "hold"

    id: str
    scope: HoldScope
    target: str
    reason: ContentRef
    by: Actor
    at: str


async def set_hold(store: Store, data: TenantData, hold: HoldRecord) -> str:
    """Write a hold down and let the store keep what it is on; returns its ETag. Whoever dies between, `renew` helps."""
    etag = await data.records.put(hold.id, hold, etag=None)
    await _keep(store, data, hold)
    return etag


async def release_hold(store: Store, data: TenantData, found: Versioned[HoldRecord]) -> None:
    """Take a hold away, with its reason; what its time was up of goes at the next sweep.

    Raises:
        PreconditionFailed: somebody else does the same.
    """
    await store.governed.hold(data.context.tenant, found.key, [])  # whoever dies here has released nothing
    await data.records.delete(HoldRecord, found.key, etag=found.etag)
    await store.governed.hold(data.context.tenant, found.key, [])  # a sweep may have renewed it in between
    with suppress(Conflict):  # another hold keeps the reason of this one
        await data.content.erase([found.value.reason.id])


async def renew(store: Store, data: TenantData) -> None:
    """Hold what has come since to what is held."""
    async for hold in holds_of(data):
        await _keep(store, data, hold)
        if await data.records.get(HoldRecord, hold.id) is None:  # released meanwhile
            await store.governed.hold(data.context.tenant, hold.id, [])


async def holds_of(data: TenantData) -> AsyncIterator[HoldRecord]:
    """Yield the holds of a tenant, the oldest first."""
    async for found in each(data, HoldRecord):
        yield found.value


async def refuse_held(store: Store, data: TenantData, subject: Subject, target: str) -> None:
    """Refuse an erasure that a hold is in the way of; raises `Conflict` (`erasure.held`), which names the hold."""
    if hold := await in_the_way(store, data, subject, target):
        raise Conflict(f"The legal hold {hold.id} keeps some of this. Release it first.", code="erasure.held")


async def in_the_way(store: Store, data: TenantData, subject: Subject, target: str) -> HoldRecord | None:
    """Return a hold on something that would go with an erasure, if there is one."""
    holds = [hold async for hold in holds_of(data)]
    if not holds or subject == "tenant":
        return holds[0] if holds else None
    going = await _going(store, data, subject, target)
    for hold in holds:
        if not going.isdisjoint(await _subjects(store, data, hold)):
            return hold
    return None


async def _going(store: Store, data: TenantData, subject: Subject, target: str) -> set[str]:
    """Return what goes with an erasure as a hold may name it: content, and whose it is."""
    going: set[str] = {EVERYTHING, target}
    if subject == "document":
        await Projector(store.platform).catch_up()
        going |= await content_ids_of_document(data, DocumentId(target))
        return going | {piece.owner async for piece in pieces(data) if piece.id in going}
    return going | {piece.id async for piece in pieces(data, PrincipalId(target))}


async def _keep(store: Store, data: TenantData, hold: HoldRecord) -> None:
    await store.governed.hold(data.context.tenant, hold.id, sorted(await _subjects(store, data, hold)))


async def _subjects(store: Store, data: TenantData, hold: HoldRecord) -> set[str]:
    """Return what the store is to keep for a hold, its reason too."""
    return {hold.reason.id, *await _held_by(store, data, hold)}


async def _held_by(store: Store, data: TenantData, hold: HoldRecord) -> Collection[str]:
    match hold.scope:
        case "tenant":
            return {EVERYTHING}
        case "person":
            return {hold.target}
        case "document":
            await Projector(store.platform).catch_up()  # where it was used is read from a view
            return await content_ids_of_document(data, DocumentId(hold.target))
        case "run":
            return await _said_in(data, RunId(hold.target))
        case "conversation":
            found = await data.records.get(ConversationRecord, ConversationId(hold.target))
            if found is None:
                return set()
            record = found.value
            runs = [await _said_in(data, run) for run in (*record.runs, *record.replaced)]
            return {record.title.id}.union(*runs)


async def _said_in(data: TenantData, run: RunId) -> set[str]:
    """Return all content of a run, whoever said it."""
    try:
        events = await read_run(data, run)
    except NotFound:
        return set()
    return {ref.id for stored in events for _, value in stored.event.body for ref in _refs(value)}


def _refs(value: object) -> Iterator[ContentRef]:
    for one in value if isinstance(value, tuple) else (value,):  # pyright: ignore[reportUnknownVariableType] - of any event
        if isinstance(one, ContentRef):
            yield one
