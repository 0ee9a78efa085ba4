"""An agent as a principal of the organisation's: who sponsors it, what it may do, until when; an admin changes it."""

from contextlib import suppress
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import Field, StringConstraints

from control import MOST_DAYS, AgentManifest, AgentScope, IdentityState, Sponsorship, SwitchesRecord, scope_of, state_of
from core import Actor, Confidentiality, Effect, TenantContext, timestamp
from core.errors import NotFound, Unavailable
from interaction.answers import Given, Told, problems
from interaction.authority import Admin
from interaction.dependencies import Deps, InteractionDependencies
from interaction.people import names_in
from web import WHOLE

router = APIRouter(prefix="/v1/agents", tags=["agents"])

CALL_TIME = timedelta(seconds=30)

_Text = Annotated[str, StringConstraints(min_length=1, max_length=2000, pattern=r"\S")]
_Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,63}$")]
_ObjectId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
_Names = Annotated[list[_Name], Field(max_length=200)]


class Sponsoring(Given):
    """What you take the agent on for. What you leave out is all that it was given; what you list is all it keeps.

    Attributes:
        days: until it ends by itself.
        search_in: collections, of those that the agent was given.
        entra_object_id: of the agent's identity in your own Microsoft Entra tenant, if you gave it one.
    """

    days: Annotated[int, Field(ge=1, le=MOST_DAYS), WHOLE] = Field(examples=[180])
    tools: _Names | None = Field(default=None, examples=[["lookup_order", "create_ticket"]])
    effects: Annotated[list[Annotated[Effect, Field(strict=False)]], Field(max_length=len(Effect))] | None = None
    search_in: _Names | None = Field(default=None, examples=[["policies", "manuals"]])
    confidentiality_ceiling: Annotated[Confidentiality, Field(strict=False)] | None = None
    entra_object_id: _ObjectId | None = None


class Revoking(Given):
    """The reason is shown to everybody whom it stops."""

    reason: _Text = Field(examples=["It was given another owner's documents."])


class ScopeTold(Told):
    tools: list[str]
    effects: list[Effect]
    collections: list[str]
    confidentiality_ceiling: Confidentiality


class Revoked(Told):
    """`reason` is null if it was erased, or its time was up."""

    by: Actor
    at: str
    reason: str | None


class AgentIdentity(Told):
    """An agent's version as a principal of your organisation.

    Attributes:
        id: its pseudonym, under which it stands in the evidence; each version has another.
        state: `active`, or why it may do nothing.
        purpose: the one word that policies read.
        valid_until: the last day of this version, whoever sponsors it.
        sponsor: pseudonym of who answers for it in your organisation; their name is null where it is not known now.
        since: when they took it on, or changed it last.
        until: when that ends by itself.
        scope: what it may do and read at most; for a person it has no more than that person has either.
        entra_object_id: of its identity in your own Microsoft Entra tenant.
    """

    id: str
    state: IdentityState
    purpose: str
    valid_until: str
    sponsor: str | None
    sponsor_name: str | None
    since: str | None
    until: str | None
    scope: ScopeTold
    revoked: Revoked | None
    entra_object_id: str | None


@router.put(
    "/{name}/sponsorship",
    status_code=204,
    responses={204: {"description": "You sponsor it"}, **problems(404, 409, 413, 415, 422)},
)
async def sponsor(name: str, body: Sponsoring, me: Admin, deps: Deps) -> Response:
    """Take an agent on as its sponsor, renew it, or let it do less or more; holds from the next decision on.

    Roles: owner, admin. You answer for it from then on, in place of whoever did.
    """
    await sponsor_for(me, deps, name, body)
    return Response(status_code=204)


@router.post(
    "/{name}/revoke",
    status_code=204,
    responses={204: {"description": "It may do nothing more"}, **problems(404, 409, 413, 415, 422)},
)
async def revoke(name: str, body: Revoking, me: Admin, deps: Deps) -> Response:
    """Take away all that an agent may do, at once; its runs end as `refused`. Roles: owner, admin."""
    await revoke_for(me, deps, name, body)
    return Response(status_code=204)


async def sponsor_for(me: TenantContext, deps: InteractionDependencies, name: str, body: Sponsoring) -> None:
    """Make somebody the sponsor of an agent, and write down that they are; raises as `Principals.take_on`."""
    if (agent := deps.agents.get(name)) is None:
        raise NotFound("There is no such agent. See GET /v1/agents for those that you can talk to.")
    await deps.principals.take_on(
        me, name, days=body.days, scope=_asked(me, agent, body), entra_object_id=body.entra_object_id or ""
    )
    await deps.access.admin(me, SwitchesRecord.kind, f"agent/{name}", "sponsored")


async def revoke_for(me: TenantContext, deps: InteractionDependencies, name: str, body: Revoking) -> None:
    """Revoke an agent for somebody, write down that they did, and end its runs; raises as `Principals.revoke`."""
    await deps.principals.revoke(me, name, body.reason)
    await deps.access.admin(me, SwitchesRecord.kind, f"agent/{name}", "revoked")
    deadline = deps.clock.now() + CALL_TIME
    with suppress(Unavailable):  # then each run ends at its next decision
        await deps.orchestration.call(me, "POST", f"/internal/agents/{name}/end", deadline=deadline)


async def identity_of(
    me: TenantContext, agent: AgentManifest, found: Sponsorship | None, deps: InteractionDependencies
) -> AgentIdentity:
    """Return an agent as a principal of the organisation of who asks."""
    facts, data = agent.facts(me.tenant), deps.store.tenant(me)
    scoped = facts.within(found.scope) if found else facts
    return AgentIdentity(
        id=facts.id,
        state=state_of(facts, found, deps.clock.now()),
        purpose=facts.purpose,
        valid_until=agent.identity.valid_until.isoformat(),
        sponsor=found.sponsor if found else None,
        sponsor_name=await names_in(data)(found.sponsor) if found else None,
        since=found.since if found else None,
        until=min(found.until, timestamp(facts.valid_until)) if found else None,
        scope=ScopeTold(
            tools=[name for name in agent.tools if name in scoped.tools],
            effects=[effect for effect in Effect if effect in scoped.effects],
            collections=[name for name in agent.data.collections if name in scoped.collections],
            confidentiality_ceiling=scoped.confidentiality_ceiling,
        ),
        revoked=await _revoked(me, found, deps),
        entra_object_id=(found.entra_object_id or None) if found else None,
    )


def _asked(me: TenantContext, agent: AgentManifest, body: Sponsoring) -> AgentScope:
    given = scope_of(agent.facts(me.tenant))
    return AgentScope(
        tools=given.tools if body.tools is None else frozenset(body.tools),
        effects=given.effects if body.effects is None else frozenset(body.effects),
        collections=given.collections if body.search_in is None else frozenset(body.search_in),
        confidentiality_ceiling=body.confidentiality_ceiling or given.confidentiality_ceiling,
    )


async def _revoked(me: TenantContext, found: Sponsorship | None, deps: InteractionDependencies) -> Revoked | None:
    if found is None or found.revoked is None:
        return None
    try:
        reason = (await deps.store.tenant(me).content.get(found.revoked.reason)).decode()
    except NotFound:
        reason = None
    return Revoked(by=found.revoked.by, at=found.revoked.at, reason=reason)
