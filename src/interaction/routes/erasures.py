"""Erasing a person or the whole organisation: asked for, carried out in the background, each store's receipt."""

from typing import Annotated, Literal

from fastapi import APIRouter, Response
from pydantic import Field, StringConstraints

from control import ErasureReason, ErasureRecord, PersonRecord
from core import Actor, PrincipalId, Role, TenantContext
from core.errors import Forbidden, Unprocessable
from interaction.answers import Given, Told, answer, described
from interaction.authority import Admin, Overseer
from interaction.dependencies import Deps, InteractionDependencies
from interaction.parameters import ErasurePath, no_such
from interaction.people import names_in
from orchestration import refuse_held

router = APIRouter(prefix="/v1/data/erasures", tags=["data"])


class NewErasure(Given):
    """What is to go for good.

    Attributes:
        person: a member's id; all that they said and were told, their profile and sessions. Documents that they
            brought stay. None: the whole organisation.
        confirm: the person's name as it is shown, else their id; the organisation's name.
        reason: why the organisation goes; it stays in the receipt.
    """

    person: Annotated[PrincipalId, StringConstraints(pattern=r"^prn_[0-9a-z]{26}$")] | None = None
    confirm: Annotated[str, StringConstraints(min_length=1, max_length=300)] = Field(examples=["Alder & Finch"])
    reason: ErasureReason | None = None


class StoreReceipt(Told):
    """What was destroyed in one store: `items` in its own measure, 0 where there was nothing."""

    store: str
    items: int
    at: str


class ErasureView(Told):
    """One erasure. All ids in it were minted by us, and mean nothing any more when it is done.

    Attributes:
        state: `waits` where a legal hold is in the way; it goes on when that is released.
        reason: why the organisation went, if somebody said so.
        settled: it was done once more, for what was under way at the time.
    """

    erasure: str
    subject: Literal["document", "person", "tenant"]
    target: str
    by: Actor
    asked_at: str
    reason: ErasureReason | None
    state: Literal["open", "waits", "done"]
    waits_for: str
    done_at: str
    settled: bool
    receipt: list[StoreReceipt]


class ErasureList(Told):
    """The oldest first."""

    items: list[ErasureView]


@router.post("", responses=described(ErasureView, 404, 409, 413, 415, 422, status=202, says="It is written down"))
async def request_erasure(body: NewErasure, me: Admin, deps: Deps) -> Response:
    """Have a person erased, or the organisation with all that it has here. Roles: admin, owner; the latter owner only.

    It is done for good, within seconds. Evidence stays: ids, times and decisions, without a word of anybody's.
    """
    return answer(view_erasure(await erasure_asked_for(me, deps, body)), 202)


async def erasure_asked_for(me: TenantContext, deps: InteractionDependencies, body: NewErasure) -> ErasureRecord:
    """Write an erasure down, for somebody who may and means it.

    Raises:
        NotFound: there is no such person.
        Forbidden: only an owner may erase the organisation.
        Conflict: a legal hold keeps some of it (`erasure.held`).
        Unprocessable: what was typed is not the name (`erasure.confirm`).
    """
    by = me.principal.actor
    if body.person:
        name = await _person(me, deps, body.person)
        _must_be(body.confirm, name)
        await refuse_held(deps.store, deps.store.tenant(me), "person", body.person)
        await deps.access.admin(me, "person", body.person, "erased")
        return await deps.eraser.erasures.request(me.tenant, "person", body.person, by)
    if not me.has(Role.OWNER):
        raise Forbidden("Only an owner may erase the organisation.", code="access.role")
    _must_be(body.confirm, (await deps.directory.tenant(me.tenant)).name)
    await refuse_held(deps.store, deps.store.tenant(me), "tenant", me.tenant)
    await deps.access.admin(me, "tenant", me.tenant, "erased")
    return await deps.eraser.erasures.request(me.tenant, "tenant", me.tenant, by, body.reason)


@router.get("", responses=described(ErasureList))
async def list_erasures(me: Overseer, deps: Deps) -> Response:
    """List what was erased, with the receipt of each store. Roles: owner, admin, auditor."""
    return answer(ErasureList(items=await erasures_of(me, deps)))


async def erasures_of(me: TenantContext, deps: InteractionDependencies) -> list[ErasureView]:
    return [view_erasure(record) for record in await deps.eraser.erasures.of(me.tenant, limit=100)]


@router.get("/{erasure}", responses=described(ErasureView, 404))
async def read_erasure(erasure: ErasurePath, me: Overseer, deps: Deps) -> Response:
    """Read how far an erasure has come, and its receipt. Roles: owner, admin, auditor."""
    found = await deps.eraser.erasures.find(me.tenant, erasure)
    if found is None:
        raise no_such("erasure")
    return answer(view_erasure(found))


def view_erasure(record: ErasureRecord) -> ErasureView:
    """Return an erasure as the API shows it."""
    return ErasureView(
        erasure=record.id,
        subject=record.subject,
        target=record.target,
        by=record.by,
        asked_at=record.at,
        reason=record.reason,
        state="done" if record.done_at else "waits" if record.waits else "open",
        waits_for=record.waits,
        done_at=record.done_at,
        settled=record.settled,
        receipt=[StoreReceipt.model_validate(line.model_dump()) for line in record.receipt],
    )


async def _person(me: TenantContext, deps: InteractionDependencies, person: PrincipalId) -> str:
    data = deps.store.tenant(me)
    if await data.records.get(PersonRecord, person) is None:
        raise no_such("person")
    return await names_in(data)(person) or person


def _must_be(typed: str, name: str) -> None:
    if typed.strip() != name:
        raise Unprocessable("What you typed is not the name. Type it exactly as it is shown.", code="erasure.confirm")
