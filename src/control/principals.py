"""Agents as principals: who at the customer answers for one, what it may do for them at most, and whether it still may.

An agent's version has a pseudonym of its own in each tenant. It acts only while an owner or admin sponsors it. What was
agreed stands in the record of switches, on which each decision rests: no copy, no further read.
"""

from collections.abc import Collection, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from control.agents import AgentManifest
from control.asking import AgentFacts
from control.switch_records import AgentScope, Sponsorship, Switch, SwitchesRecord
from control.switches import changed, read_switches
from core import (
    Clock,
    Content,
    ContentClass,
    PrincipalId,
    Role,
    TenantContext,
    timestamp,
)
from core.errors import Conflict, Forbidden, NotFound, Unprocessable
from data import Store, TenantData

MOST_DAYS = 366
"""How long a sponsorship lasts at most, until somebody looks at it again."""

UNSEEN = timedelta(days=90)
"""After that long without a token of theirs a sponsor counts as gone."""

SPONSORS = (Role.OWNER, Role.ADMIN)


class IdentityState(StrEnum):
    """Whether an agent may act; `none` for a person who acts themselves."""

    ACTIVE = "active"
    EXPIRED = "expired"
    REVOKED = "revoked"
    UNSPONSORED = "unsponsored"
    NONE = "none"


def state_of(agent: AgentFacts, found: Sponsorship | None, now: datetime) -> IdentityState:
    """Return whether an agent may act at `now` under what was agreed for it."""
    moment = timestamp(now)
    if found is None:
        return IdentityState.UNSPONSORED
    if found.revoked:
        return IdentityState.REVOKED
    if now > agent.valid_until or moment >= found.until:
        return IdentityState.EXPIRED
    return IdentityState.ACTIVE if moment < found.seen_until else IdentityState.UNSPONSORED


async def is_revoked(data: TenantData, agent: str) -> bool:
    found = await read_switches(data)
    sponsorship = found.value.agents.get(agent) if found else None
    return sponsorship is not None and sponsorship.revoked is not None


class Principals:
    """Sponsorships of agents: taken on, narrowed, renewed, revoked; durable on return, and in force at once."""

    def __init__(self, store: Store, clock: Clock, agents: Mapping[str, AgentManifest]) -> None:
        self._store = store
        self._clock = clock
        self._agents = agents

    async def sponsorships(self, data: TenantData) -> Mapping[str, Sponsorship]:
        """Return what was agreed with a tenant, by the agent's name."""
        found = await read_switches(data)
        return found.value.agents if found else {}

    async def take_on(
        self,
        context: TenantContext,
        name: str,
        *,
        days: int,
        scope: AgentScope | None = None,
        entra_object_id: str = "",
    ) -> None:
        """Make the principal the agent's sponsor for `days`; again, it renews, narrows, widens or takes over.

        Args:
            context: of an owner or admin.
            name: of the agent.
            days: until it ends by itself.
            scope: what the agent may do; all that its manifest gives it if None.
            entra_object_id: of its identity in the customer's own Entra tenant; empty for none.

        Raises:
            Forbidden: they are neither owner nor admin.
            NotFound: there is no such agent.
            Unprocessable: the scope has something that the agent was not given (`agent.scope`).
        """
        if not context.has(*SPONSORS):
            raise Forbidden("Only an owner or admin sponsors an agent.", code="access.role")
        facts, now = self._agent(name).facts(context.tenant), self._clock.now()
        scope = scope or scope_of(facts)
        if scope_of(facts.within(scope)) != scope:
            raise Unprocessable("This is more than the agent was given; see GET /v1/agents.", code="agent.scope")
        taken = Sponsorship(
            sponsor=context.principal.id,
            since=timestamp(now),
            until=timestamp(now + timedelta(days=days)),
            seen_until=timestamp(now + UNSEEN),
            scope=scope,
            entra_object_id=entra_object_id,
        )
        await changed(self._store.tenant(context), lambda record: _with(record, {name: taken}))

    async def revoke(self, context: TenantContext, name: str, reason: str) -> None:
        """Take away at once all that the agent may do; nobody turns this back, an admin takes the agent on anew.

        Raises:
            NotFound: there is no such agent, or nobody sponsors it.
            Conflict: it is revoked already (`agent.revoked`).
        """
        self._agent(name)
        data = self._store.tenant(context)
        why = Content.new(reason.encode(), kind=ContentClass.REASON, owner=context.principal.id)
        await data.content.put([why])
        by = Switch(by=context.principal.actor, at=timestamp(self._clock.now()), reason=why.ref)

        def revoked(record: SwitchesRecord) -> SwitchesRecord:
            if (found := record.agents.get(name)) is None:
                raise NotFound("Nobody sponsors this agent, so there is nothing to revoke.")
            if found.revoked:
                raise Conflict("This agent is revoked already.", code="agent.revoked")
            return _with(record, {name: found.model_copy(update={"revoked": by})})

        try:
            await changed(data, revoked)
        except (NotFound, Conflict):
            with suppress(Conflict):
                await data.content.erase([why.ref.id])
            raise

    def _agent(self, name: str) -> AgentManifest:
        if name not in self._agents:
            raise NotFound("There is no such agent. See GET /v1/agents.")
        return self._agents[name]


def scope_of(agent: AgentFacts) -> AgentScope:
    """Return all that an agent was given."""
    return AgentScope(
        tools=agent.tools,
        effects=agent.effects,
        collections=agent.collections,
        confidentiality_ceiling=agent.confidentiality_ceiling,
    )


async def sponsor_seen(data: TenantData, person: PrincipalId, roles: Collection[Role], at: float) -> None:
    """Take note of a sponsor's token, issued at `at` in seconds since 1970: without the role they are none any more.

    A sponsorship that was lost so stays lost, whatever roles come later: somebody takes it on anew.
    """
    until = timestamp(datetime.fromtimestamp(at, UTC) + UNSEEN) if set(roles) & set(SPONSORS) else ""
    await _seen(data, person, until)


async def sponsor_gone(data: TenantData, person: PrincipalId) -> int:
    """End what a person sponsored who is erased; returns how many agents lost their sponsor."""
    return await _seen(data, person, "")


async def _seen(data: TenantData, person: PrincipalId, until: str) -> int:
    theirs: dict[str, Sponsorship] = {}

    def noted(record: SwitchesRecord) -> SwitchesRecord:
        theirs.clear()
        for name, one in record.agents.items():
            # To the day: a sponsor who is here every hour is not written down every hour.
            if one.sponsor == person and one.seen_until and (not until or until[:10] > one.seen_until[:10]):
                theirs[name] = one.model_copy(update={"seen_until": until})
        return _with(record, theirs) if theirs else record

    if await read_switches(data):
        await changed(data, noted)
    return len(theirs)


def _with(record: SwitchesRecord, agents: Mapping[str, Sponsorship]) -> SwitchesRecord:
    return record.model_copy(update={"agents": {**record.agents, **agents}})
