"""Legal holds: what neither expiry nor erasure touches, set and released by an owner or admin."""

from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import Field, StringConstraints

from control import PersonRecord
from core import Actor, Content, ContentClass, RunId, TenantContext, new_id, timestamp
from core.errors import NotFound
from data import TenantData
from interaction.answers import Given, Told, answer, described, problems
from interaction.authority import Admin, Overseer
from interaction.dependencies import Deps, InteractionDependencies
from interaction.parameters import HoldPath, no_such
from orchestration import (
    ConversationRecord,
    DocumentRecord,
    HoldRecord,
    HoldScope,
    fetcher,
    holds_of,
    release_hold,
    set_hold,
)

router = APIRouter(prefix="/v1/data/holds", tags=["data"])

_RECORDS = {"person": PersonRecord, "document": DocumentRecord, "conversation": ConversationRecord}


class NewHold(Given):
    """What is to be kept.

    Attributes:
        target: id of the person, document, conversation or run; empty for the whole organisation.
        reason: why, for whoever looks at it later.
    """

    scope: HoldScope
    target: Annotated[str, StringConstraints(max_length=40, pattern=r"^([a-z]{3}_[0-9a-z]{26})?$")] = ""
    reason: Annotated[str, StringConstraints(min_length=1, max_length=2000, pattern=r"\S")] = Field(
        examples=["Dispute over order A-20398"]
    )


class HoldView(Told):
    """One hold; `reason` is null if it was erased."""

    hold: str
    scope: HoldScope
    target: str
    reason: str | None
    by: Actor
    at: str


class HoldList(Told):
    """The oldest first."""

    items: list[HoldView]


@router.post("", responses=described(HoldView, 404, 413, 415, 422, status=201, says="It holds"))
async def add_hold(body: NewHold, me: Admin, deps: Deps) -> Response:
    """Keep something from expiry and erasure until the hold is released. Roles: admin, owner."""
    return answer(await hold_for(me, deps, body), 201)


async def hold_for(me: TenantContext, deps: InteractionDependencies, body: NewHold) -> HoldView:
    """Set a hold for somebody, and write down that they did; raises `NotFound` if there is nothing to hold."""
    data, target = deps.store.tenant(me), me.tenant if body.scope == "tenant" else body.target
    await _check(data, body)
    reason = Content.new(body.reason.encode(), kind=ContentClass.REASON, owner=me.principal.id)
    await data.content.put([reason])
    hold = HoldRecord(
        id=new_id("hld"),
        scope=body.scope,
        target=target,
        reason=reason.ref,
        by=me.principal.actor,
        at=timestamp(deps.clock.now()),
    )
    etag = await set_hold(deps.store, data, hold)
    await deps.access.admin(me, HoldRecord.kind, hold.id, etag)
    return await _view(data, hold)


@router.get("", responses=described(HoldList))
async def list_holds(me: Overseer, deps: Deps) -> Response:
    """List the holds. Roles: owner, admin, auditor."""
    return answer(HoldList(items=await holds_seen(me, deps)))


async def holds_seen(me: TenantContext, deps: InteractionDependencies) -> list[HoldView]:
    data = deps.store.tenant(me)
    return [await _view(data, hold) async for hold in holds_of(data)]


@router.delete("/{hold}", status_code=204, responses={204: {"description": "It is released"}, **problems(404, 412)})
async def delete_hold(hold: HoldPath, me: Admin, deps: Deps) -> Response:
    """Release a hold: what it kept expires and can be erased again. Roles: admin, owner."""
    await release_for(me, deps, hold)
    return Response(status_code=204)


async def release_for(me: TenantContext, deps: InteractionDependencies, hold: str) -> None:
    """Release a hold for somebody, and write down that they did; raises `NotFound`."""
    data = deps.store.tenant(me)
    found = await data.records.get(HoldRecord, hold)
    if found is None:
        raise no_such("hold")
    await deps.access.admin(me, HoldRecord.kind, hold, "released")
    await release_hold(deps.store, data, found)


async def _check(data: TenantData, body: NewHold) -> None:
    """Raise `NotFound` unless the tenant has what is to be held."""
    if body.scope == "run":
        there = bool(await data.log.read(RunId(body.target), limit=1))
    elif body.scope == "tenant":
        there = not body.target
    else:
        there = await data.records.get(_RECORDS[body.scope], body.target) is not None
    if not there:
        raise no_such(body.scope)


async def _view(data: TenantData, hold: HoldRecord) -> HoldView:
    try:
        reason = (await fetcher(data)(hold.reason)).decode()
    except NotFound:
        reason = None
    return HoldView(hold=hold.id, scope=hold.scope, target=hold.target, reason=reason, by=hold.by, at=hold.at)
