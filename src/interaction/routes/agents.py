"""The register of agents: what each is for, what it must not be used for, who answers for it."""

from collections.abc import Container
from datetime import date

from fastapi import APIRouter, Response

from control import AgentManifest, Claim, ClaimState, IdentityState, state_of
from core import Confidentiality, Effect, TenantContext
from core.errors import NotFound
from interaction.answers import Told, answer, described
from interaction.authority import Me
from interaction.dependencies import Deps, InteractionDependencies
from interaction.routes.agent_identity import AgentIdentity, identity_of
from interaction.routes.switches import SwitchTold, switched_off

router = APIRouter(prefix="/v1/agents", tags=["agents"])


class AgentLine(Told):
    """`available` is false while it is switched off, or its identity here is not active."""

    name: str
    version: str
    title: str
    purpose: str
    available: bool


class AgentList(Told):
    items: list[AgentLine]


class AgentTool(Told):
    """One tool.

    Attributes:
        reversible: whether the agent, or the person it acts for, can undo the effect.
        taken_back_until: until when a person can have it taken back from here, in words; null if nobody can.
        confidentiality_ceiling: the most confidential that it may be given.
    """

    name: str
    description: str
    effect: Effect
    reversible: bool
    taken_back_until: str | None
    confidentiality_ceiling: Confidentiality


class AgentOwner(Told):
    publisher: str
    customer: str


class AgentData(Told):
    collections: list[str]
    confidentiality_ceiling: Confidentiality


class AgentVersions(Told):
    """`prompts` names each prompt file's SHA-256; `digest` covers all that makes the agent."""

    agent: str
    prompts: dict[str, str]
    digest: str


class KnownErrorTold(Told):
    name: str
    what: str


class ClaimTold(Told):
    """Something that the publisher claims of the agent.

    Attributes:
        metric: what is counted; `at_most` or `at_least` is the threshold, in `unit`.
        measured: the last value; null where nobody has measured it yet, with the day `measured_on`.
        evidence: the test or evaluation that measures it, in the publisher's source.
        review_by: the last day on which it counts without a new review.
        switches_off: what stops with it: `agent`, `search` or `tool/<name>`.
        state: `lapsed` and `failed` have switched that off, in all organisations.
    """

    id: str
    claim: str
    metric: str
    unit: str
    at_most: int | None
    at_least: int | None
    measured: int | None
    measured_on: str | None
    evidence: str
    review_by: str
    switches_off: str
    state: ClaimState


class AgentEntry(Told):
    """An entry of the register.

    Attributes:
        model: the logical model; which one answers is in each run's `versions`.
        limits: for one run.
        disclosure: what people are told they talk to.
        objection: how somebody affected can object.
        examples: questions to begin with.
        known_errors: what is known to go wrong, and what to do about it.
        claims: what is claimed of it, on what evidence, and whether it holds.
        identity: the agent as a principal of your organisation: sponsor, scope, until when.
        switched_off: what of it does not work at this moment, and why.
    """

    name: str
    title: str
    purpose: str
    intended_use: list[str]
    prohibited_use: list[str]
    owner: AgentOwner
    data: AgentData
    tools: list[AgentTool]
    model: str
    limits: dict[str, int]
    disclosure: str
    objection: str
    examples: list[str]
    versions: AgentVersions
    known_errors: list[KnownErrorTold]
    claims: list[ClaimTold]
    identity: AgentIdentity
    switched_off: list[SwitchTold]


@router.get("", responses=described(AgentList))
async def list_agents(me: Me, deps: Deps) -> Response:
    """List the agents that you can talk to. Any member."""
    off, agreed, now = (
        await switched_off(me, deps),
        await deps.principals.sponsorships(deps.store.tenant(me)),
        deps.clock.now(),
    )
    lines = [
        AgentLine(
            name=agent.name,
            version=agent.version,
            title=agent.title,
            purpose=agent.purpose,
            available=off.keys().isdisjoint(("tenant", f"agent/{agent.name}"))
            and state_of(agent.facts(me.tenant), agreed.get(agent.name), now) is IdentityState.ACTIVE,
        )
        for agent in deps.agents.values()
    ]
    return answer(AgentList(items=lines))


@router.get("/{name}", responses=described(AgentEntry, 404))
async def read_agent(name: str, me: Me, deps: Deps) -> Response:
    """Read an agent's entry in the register. Any member."""
    return answer(await register_entry(me, agent_named(deps, name), deps))


def agent_named(deps: InteractionDependencies, name: str) -> AgentManifest:
    agent = deps.agents.get(name)
    if agent is None:
        raise NotFound("There is no such agent. See GET /v1/agents for those that you can talk to.")
    return agent


async def register_entry(me: TenantContext, agent: AgentManifest, deps: InteractionDependencies) -> AgentEntry:
    """Return the entry of an agent, and what of it is switched off for who asks."""
    off, agreed = await switched_off(me, deps), await deps.principals.sponsorships(deps.store.tenant(me))
    claims = [claim.switch for claim in agent.claimed.claims]
    concerned = (*claims, "tenant", f"agent/{agent.name}", "change_freeze", *(f"tool/{tool}" for tool in agent.tools))
    return AgentEntry(
        known_errors=[KnownErrorTold(name=one.name, what=one.what) for one in agent.claimed.known_errors],
        claims=[_claim(claim, off, deps.clock.now().date()) for claim in agent.claimed.claims],
        identity=await identity_of(me, agent, agreed.get(agent.name), deps),
        switched_off=[one for name, one in off.items() if name in concerned or name.startswith("capability/")],
        name=agent.name,
        title=agent.title,
        purpose=agent.purpose,
        intended_use=list(agent.intended_use),
        prohibited_use=list(agent.prohibited_use),
        owner=AgentOwner(publisher=agent.owner.publisher, customer=agent.owner.customer),
        data=AgentData(
            collections=list(agent.data.collections), confidentiality_ceiling=agent.data.confidentiality_ceiling
        ),
        tools=_tools(agent, deps),
        model=agent.model,
        limits=agent.limits.model_dump(),
        disclosure=agent.disclosure,
        objection=agent.objection,
        examples=list(agent.examples),
        versions=AgentVersions(agent=agent.version, prompts=dict(agent.prompts), digest=agent.digest),
    )


def _claim(claim: Claim, off: Container[str], today: date) -> ClaimTold:
    measured = claim.measured
    return ClaimTold(
        **claim.model_dump(exclude={"measured", "review_by"}),
        measured=measured.value if measured else None,
        measured_on=measured.day.isoformat() if measured else None,
        review_by=claim.review_by.isoformat(),
        state=claim.state(off, today),
    )


def _tools(agent: AgentManifest, deps: InteractionDependencies) -> list[AgentTool]:
    found = [tool for name in agent.tools if (tool := deps.registry.get(name))]
    return [
        AgentTool(
            name=tool.name,
            description=tool.description,
            effect=tool.effect,
            reversible=tool.reversible,
            taken_back_until=tool.undone_by.until if tool.undone_by else None,
            confidentiality_ceiling=tool.ceiling,
        )
        for tool in found
    ]
