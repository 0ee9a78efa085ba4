"""Deputies: who decides on approvals in the place of an approver who is away."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import Field, StringConstraints

from core import PrincipalId, TenantContext, parse_timestamp
from core.errors import Forbidden
from core.tenancy import Role
from interaction.answers import Given, Moment, Told, answer, described, problems
from interaction.authority import Approver, Me, User, oversees
from interaction.dependencies import Deps, InteractionDependencies
from interaction.parameters import PersonPath
from interaction.people import NameOf, names_in
from orchestration import DeputyRecord, deputies_of, deputy_named_by, name_deputy

router = APIRouter(prefix="/v1/approvals/deputies", tags=["approvals"])


class NewDeputy(Given):
    """Whom you name, from when, and until when: 90 days at most. Whom you named before is replaced."""

    deputy: Annotated[PrincipalId, StringConstraints(pattern=r"^prn_[0-9a-z]{26}$")]
    since: Moment = Field(examples=["2026-12-01T08:00:00Z"])
    until: Moment = Field(examples=["2026-12-15T08:00:00Z"])


class DeputyView(Told):
    """Who decides in whose place; names are null where they are not known any more.

    Attributes:
        now: whether the time has begun.
    """

    absent: PrincipalId
    absent_name: str | None
    deputy: PrincipalId
    deputy_name: str | None
    since: str
    until: str
    now: bool


class DeputyList(Told):
    items: list[DeputyView]


@router.get("", responses=described(DeputyList))
async def list_deputies(me: Me, deps: Deps) -> Response:
    """List who is, or will be, whose deputy. Owners, admins, auditors: all; others, those that concern them."""
    return answer(DeputyList(items=await deputies_seen(me, deps)))


@router.put("", responses=described(DeputyView, 404, 409, 413, 415, 422))
async def put_deputy(body: NewDeputy, me: Approver, deps: Deps) -> Response:
    """Name who decides in your place while you are away. Roles: approver, owner, of your own.

    Your deputy decides as you could: nothing that you, or they themselves, asked for. They can name nobody in turn, and
    where several people have to approve, the two of you count as one.
    """
    return answer(await deputy_named(me, deps, body.deputy, body.since, body.until))


@router.delete("/{person}", status_code=204, responses={204: {"description": "It is over"}, **problems(404, 412)})
async def delete_deputy(person: PersonPath, me: User, deps: Deps) -> Response:
    """End that somebody is the deputy of `person`. That person; owners and admins, of anybody."""
    await end_deputy(me, deps, person)
    return Response(status_code=204)


async def deputies_seen(me: TenantContext, deps: InteractionDependencies) -> list[DeputyView]:
    data, now = deps.store.tenant(me), deps.clock.now()
    name = names_in(data)
    return [
        await _view(one, name, now)
        async for one in deputies_of(data, deps.clock)
        if oversees(me) or me.principal.id in (one.absent, one.deputy)
    ]


async def deputy_named(
    me: TenantContext, deps: InteractionDependencies, deputy: PrincipalId, since: datetime, until: datetime
) -> DeputyView:
    """Name a deputy for somebody, and write down that they did; raises as `name_deputy`."""
    data = deps.store.tenant(me)
    etag = await name_deputy(data, deps.clock, deputy=deputy, since=since, until=until)
    await deps.access.admin(me, DeputyRecord.kind, me.principal.id, etag)
    named = await deputy_named_by(data, me.principal.id)
    return await _view(named.value, names_in(data), deps.clock.now())


async def end_deputy(me: TenantContext, deps: InteractionDependencies, person: PrincipalId) -> None:
    """End it for somebody, and write down that they did; raises `NotFound`, `Forbidden`."""
    data = deps.store.tenant(me)
    found = await deputy_named_by(data, person)
    if person != me.principal.id and not me.has(Role.ADMIN, Role.OWNER):
        raise Forbidden("Only who named a deputy, an admin or the owner can end this.", code="access.role")
    await deps.access.admin(me, DeputyRecord.kind, person, "deleted")
    await data.records.delete(DeputyRecord, person, etag=found.etag)


async def _view(one: DeputyRecord, name: NameOf, now: datetime) -> DeputyView:
    return DeputyView(
        absent=one.absent,
        absent_name=await name(one.absent),
        deputy=one.deputy,
        deputy_name=await name(one.deputy),
        since=one.since,
        until=one.until,
        now=parse_timestamp(one.since) <= now,
    )
