"""Deputies: who decides in the place of an approver who is away, for a time, and with no more right than theirs.

Whoever names a deputy must be an approver or an owner themselves: a deputy's own right passes to nobody. It counts only
while the one who is away was last seen with such a role.
"""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta

from control import PersonRecord
from core import Clock, PrincipalId, Role, parse_timestamp, timestamp
from core.errors import Conflict, Forbidden, NotFound, PreconditionFailed, Unprocessable
from data import TenantData, Versioned
from orchestration.erasing import each
from orchestration.records import DeputyRecord

DECIDERS = (Role.APPROVER, Role.OWNER)
"""Who decides on what the rules leave to people."""

STAND_INS = (Role.USER, Role.APPROVER, Role.ADMIN, Role.OWNER)
"""Who may take another's place: everybody but an auditor, who only looks."""

LONGEST = timedelta(days=90)


async def deputies_of(data: TenantData, clock: Clock) -> AsyncIterator[DeputyRecord]:
    """Yield who is, or will be, whose deputy in the tenant."""
    now = clock.now()
    async for found in each(data, DeputyRecord):
        if now < parse_timestamp(found.value.until):
            yield found.value


async def places_taken(data: TenantData, clock: Clock) -> tuple[PrincipalId, ...]:
    """Return in whose place the principal may decide at the moment."""
    me, now = data.context.principal, clock.now()
    if not data.context.has(*STAND_INS):
        return ()
    named = [one async for one in deputies_of(data, clock) if one.deputy == me.id and _has_begun(one, now)]
    return tuple([one.absent for one in named if await _may_decide(data, one.absent)])


async def name_deputy(data: TenantData, clock: Clock, *, deputy: PrincipalId, since: datetime, until: datetime) -> str:
    """Have `deputy` decide in the principal's place, instead of whoever did before; return the record's ETag.

    Raises:
        Forbidden: the principal is no approver or owner by a role of their own.
        NotFound: there is no such member.
        Unprocessable: it is the principal (`deputy.self`), somebody last seen without a role in which people decide
            (`deputy.role`), or no time to come of 90 days at most (`deputy.period`).
        Conflict: the same person has just named another.
    """
    me = data.context.principal
    if not data.context.has(*DECIDERS):
        raise Forbidden("Only an approver or the owner has a place that a deputy could take.", code="access.role")
    if deputy == me.id:
        raise Unprocessable("Name somebody else as your deputy.", code="deputy.self")
    if not (since < until <= since + LONGEST and clock.now() < until):
        raise Unprocessable("Give a time that is not over, and of 90 days at most.", code="deputy.period")
    person = await data.records.get(PersonRecord, deputy)
    if person is None:
        raise NotFound("There is no such member of your organisation.")
    if not may_stand_in(person.value):
        raise Unprocessable("They may not decide anything here, so name somebody else.", code="deputy.role")
    found = await data.records.get(DeputyRecord, me.id)
    record = DeputyRecord(
        absent=me.id, deputy=deputy, since=timestamp(since), until=timestamp(until), at=timestamp(clock.now())
    )
    try:
        return await data.records.put(me.id, record, etag=found.etag if found else None)
    except PreconditionFailed:
        raise Conflict("You have just named another deputy. Look who it is.", code="conflict") from None


async def deputy_named_by(data: TenantData, absent: PrincipalId) -> Versioned[DeputyRecord]:
    """Return who takes somebody's place; raises `NotFound` if nobody does."""
    found = await data.records.get(DeputyRecord, absent)
    if found is None:
        raise NotFound("Nobody is their deputy.")
    return found


def may_stand_in(person: PersonRecord) -> bool:
    """Return whether somebody could be a deputy, by the roles that they were last seen with."""
    return not frozenset(STAND_INS).isdisjoint(person.roles or ())


def _has_begun(one: DeputyRecord, now: datetime) -> bool:
    return parse_timestamp(one.since) <= now


async def _may_decide(data: TenantData, person: PrincipalId) -> bool:
    found = await data.records.get(PersonRecord, person)
    return found is not None and not frozenset(DECIDERS).isdisjoint(found.value.roles or ())
