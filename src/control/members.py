"""Members of a tenant: what was last seen of each, and the pseudonym under which they act."""

from contextlib import suppress
from dataclasses import dataclass

import orjson

from control.principals import sponsor_seen
from control.records import MemberRecord, PersonRecord
from core import Confidentiality, Content, ContentClass, PrincipalId, Role, new_id
from core.errors import Conflict, NotFound, PreconditionFailed
from data import TenantData


@dataclass(frozen=True, slots=True)
class Seen:
    """What a person's token tells of them; `at` is when it was issued."""

    profile: bytes
    groups: tuple[str, ...]
    roles: tuple[Role, ...]
    at: float


async def enrol(data: TenantData, oid: str, seen: Seen) -> PrincipalId:
    """Return the member's id, minting it at the first visit; keeps the stored profile and groups up to date."""
    found = await data.records.get(MemberRecord, oid)
    profile = seen.profile
    if found and await data.content.matches(found.value.profile, profile):
        await point_to(data, found.value, seen)
        return found.value.principal
    member = found.value.principal if found else PrincipalId(new_id("prn"))
    content = Content.new(
        profile, kind=ContentClass.PROFILE, owner=member, confidentiality=Confidentiality.CONFIDENTIAL
    )
    await data.content.put([content])
    record = MemberRecord(principal=member, profile=content.ref)
    try:
        await data.records.put(oid, record, etag=found.etag if found else None)
    except PreconditionFailed:
        # The same person came in at the same time, elsewhere: theirs counts, ours is removed again.
        await data.content.erase([content.ref.id])
        winner = await data.records.get(MemberRecord, oid)
        if winner is None:
            raise Conflict("The member was changed at the same time; try again.") from None
        return winner.value.principal
    await point_to(data, record, seen)
    if found:
        with suppress(Conflict):  # a legal hold keeps the former one
            await data.content.erase([found.value.profile.id])
    return member


async def point_to(data: TenantData, member: MemberRecord, seen: Seen) -> None:
    """Let the member's pseudonym lead to their profile, groups and roles; a token older than another changes none."""
    found = await data.records.get(PersonRecord, member.principal)
    groups, roles, at = seen.groups, seen.roles, seen.at
    if found and found.value.groups_at > at:
        groups, roles, at = found.value.groups, found.value.roles, found.value.groups_at
    person = PersonRecord(profile=member.profile, groups=groups, groups_at=at, roles=roles)
    if found is None or found.value != person:
        if roles is not None:
            await sponsor_seen(data, member.principal, roles, at)
        with suppress(PreconditionFailed):  # another process does the same at this moment, or the next visit does
            await data.records.put(member.principal, person, etag=found.etag if found else None)


async def groups_now(data: TenantData) -> frozenset[str]:
    """Return the groups that the principal of `data` was last seen in, by any process; those of its proof if never."""
    principal = data.context.principal
    found = await data.records.get(PersonRecord, principal.id)
    return frozenset(found.value.groups) if found else principal.groups


async def member_name(data: TenantData, member: PrincipalId) -> str | None:
    """Return the name of a member of the tenant, else their user name; None if it is not known or was erased."""
    found = await data.records.get(PersonRecord, member)
    if found is None:
        return None
    try:
        profile: dict[str, str] = orjson.loads(await data.content.get(found.value.profile))
    except NotFound:
        return None
    return profile["name"] or profile["username"]
