"""Agents as principals: each version has an identity, a sponsor, a scope, an end, and no more than the person has."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clocks import MovableClock
from control import (
    ActionRequest,
    AgentFacts,
    AgentScope,
    Checked,
    Directory,
    Gate,
    Granted,
    IdentityState,
    NewPolicies,
    Policies,
    Principals,
    Refused,
    Situation,
    Sponsorship,
    Switches,
    TenantRecord,
    Verdict,
    contexts,
    load_agents,
    scope_of,
    sponsor_gone,
    state_of,
)
from control.switch_records import Switch
from core import (
    ActionKind,
    Actor,
    Confidentiality,
    ContentRef,
    Effect,
    Label,
    PrincipalId,
    PrincipalKind,
    Role,
    RunId,
    TenantContext,
    TenantId,
    derived_id,
    new_id,
    timestamp,
)
from core.bodies import RunOpened
from core.errors import Conflict, Forbidden, NotFound, Unprocessable
from core.parts import RunKind, Versions
from data import RunWriter, Store, TenantData
from data.sqlite import open_store
from entitled import ENTITLED
from tool_calls import trusted_call
from web import VerifiedToken

AGENTS = load_agents(Path(__file__).parents[2] / "agents")
CONTOSO = TenantRecord(
    id=TenantId(derived_id("ten", "principals")),
    name="Contoso",
    plan="team",
    region="local",
    groups={"entra-finance": "finance"},
)
TID = "11111111-1111-4111-8111-111111111111"
START = datetime(2026, 11, 26, tzinfo=UTC)
SITUATION = Situation(label=Label(), budget_left_micros=1000, entitled=ENTITLED, checked=Checked(guards=("local",)))
SUPPORT = replace(AGENTS["support"].facts(CONTOSO.id), claims=())


@dataclass
class Company:
    store: Store
    clock: MovableClock
    directory: Directory
    principals: Principals

    def data(self, context: TenantContext) -> TenantData:
        return self.store.tenant(context)

    async def person(self, name: str, *roles: Role, issued: timedelta = timedelta(), groups: str = "") -> TenantContext:
        """Let somebody come in with a token that names these roles."""
        token = VerifiedToken(
            tenant_id=TID,
            object_id=name,
            audience="api://mandate",
            app_id="app",
            roles=frozenset(roles),
            groups=frozenset(groups.split()),
            name=name,
            username=name,
            issued_at=(START + issued).timestamp(),
            expires_at=2e9,
            is_app=False,
        )
        return await self.directory.resolve(token, correlation="c")

    async def decide(
        self,
        context: TenantContext,
        *requests: ActionRequest,
        agent: AgentFacts = SUPPORT,
        policies: Policies | None = None,
    ) -> list[Verdict]:
        """Ask a gate that has just been started, as another process would be."""
        run = RunWriter(self.data(context), RunId(new_id("run")), actor=context.principal.actor)
        await run.append([RunOpened(kind=RunKind.TURN, versions=Versions(code="1"))])
        switches = Switches(self.store, self.clock, agents=AGENTS, tools=[])
        policies = policies or Policies(environment="", clock=self.clock)
        gate = Gate(policies=policies, switches=switches, environment="local", clock=self.clock)
        return await gate.authorize(run, agent, requests, situation=SITUATION)

    async def ended_by(self, context: TenantContext) -> str:
        """Return the code with which a run ends now at its next decision; empty if it goes on."""
        (verdict,) = await self.decide(context, MODEL)
        return verdict.ends if isinstance(verdict, Refused) else ""


@pytest.fixture
async def company(tmp_path: Path) -> AsyncIterator[Company]:
    clock = MovableClock(START)
    async with open_store(tmp_path / "store.db") as store:
        directory = Directory(store, clock)
        await directory.create_tenant(CONTOSO)
        await directory.bind(TID, CONTOSO.id)
        yield Company(store, clock, directory, Principals(store, clock, AGENTS))


MODEL = ActionRequest(kind=ActionKind.CALL_MODEL, target="chat", step=1, arguments={}, facts={})


def search(*collections: str) -> ActionRequest:
    return ActionRequest(
        kind=ActionKind.RETRIEVE, target="knowledge", step=0, arguments={}, facts={"collections": collections}
    )


# An identity of its own.


async def test_each_version_acts_under_a_pseudonym_of_its_own_in_each_organisation() -> None:
    now, other = AGENTS["support"], TenantId(derived_id("ten", "other"))
    later = now.model_copy(update={"version": "9.0.0"})
    ids = {now.principal(CONTOSO.id), later.principal(CONTOSO.id), now.principal(other)}
    assert len(ids) == 3
    assert all(one.startswith("agt_") for one in ids)


async def test_a_decision_says_which_identity_acted_for_what_and_for_whom(company: Company) -> None:
    admin, user = await company.person("ada", Role.ADMIN), await company.person("uma", Role.USER)
    await company.principals.take_on(admin, "support", days=30)
    (verdict,) = await company.decide(user, MODEL)
    facts = verdict.decision.facts
    assert (facts["agent_identity"], facts["agent_id"]) == ("active", AGENTS["support"].principal(CONTOSO.id))
    assert (facts["agent_purpose"], facts["on_behalf_of"]) == ("staff_support", user.principal.id)


# A sponsor, and an end.


async def test_an_agent_that_nobody_answers_for_does_nothing(company: Company) -> None:
    user = await company.person("uma", Role.USER)
    assert await company.ended_by(user) == "refused.agent_unsponsored"
    for verdict in await company.decide(user, search("policies"), trusted_call("lookup_order")):
        assert isinstance(verdict, Refused)
        assert verdict.ends == "refused.agent_unsponsored"


async def test_what_a_person_does_themselves_needs_no_sponsor(company: Company) -> None:
    user = await company.person("uma", Role.USER)
    (verdict,) = await company.decide(user, search("policies"), agent=AgentFacts(kind=PrincipalKind.USER))
    assert isinstance(verdict, Granted)
    assert verdict.decision.facts["agent_identity"] == "none"


async def test_only_an_owner_or_admin_takes_an_agent_on_and_only_one_that_there_is(company: Company) -> None:
    for role in (Role.USER, Role.APPROVER, Role.AUDITOR):
        with pytest.raises(Forbidden):
            await company.principals.take_on(await company.person(role, role), "support", days=30)
    with pytest.raises(NotFound):
        await company.principals.take_on(await company.person("ada", Role.OWNER), "nobody", days=30)


async def test_what_was_agreed_ends_by_itself_and_can_be_renewed(company: Company) -> None:
    admin = await company.person("ada", Role.ADMIN)
    await company.principals.take_on(admin, "support", days=30)
    company.clock.time += timedelta(days=29, hours=23)
    assert await company.ended_by(admin) == ""
    company.clock.time += timedelta(hours=1)
    assert await company.ended_by(admin) == "refused.agent_expired"
    await company.principals.take_on(admin, "support", days=30)
    assert await company.ended_by(admin) == ""


async def test_a_version_ends_on_its_last_day_whoever_sponsors_it(company: Company) -> None:
    admin, last = await company.person("ada", Role.ADMIN), AGENTS["support"].identity.valid_until
    company.clock.time = datetime(last.year, last.month, last.day, 12, tzinfo=UTC)
    await company.principals.take_on(admin, "support", days=30)
    assert await company.ended_by(admin) == ""
    company.clock.time += timedelta(days=1)
    assert await company.ended_by(admin) == "refused.agent_expired"


async def test_a_sponsor_who_lost_the_role_answers_for_nothing_any_more_until_somebody_else_does(
    company: Company,
) -> None:
    admin, other = await company.person("ada", Role.ADMIN), await company.person("otto", Role.OWNER)
    await company.principals.take_on(admin, "support", days=30)
    await company.person("ada", Role.USER, issued=timedelta(hours=1))
    assert await company.ended_by(other) == "refused.agent_unsponsored"
    company.clock.time += timedelta(minutes=1)
    await company.person("ada", Role.ADMIN, issued=timedelta(hours=2))
    assert await company.ended_by(other) == "refused.agent_unsponsored", "it does not come back by itself"
    await company.principals.take_on(other, "support", days=30)
    assert await company.ended_by(other) == ""


async def test_a_sponsor_without_any_role_is_refused_and_answers_for_nothing_any_more(company: Company) -> None:
    admin = await company.person("ada", Role.ADMIN)
    await company.principals.take_on(admin, "support", days=30)
    with pytest.raises(Forbidden):
        await company.person("ada", issued=timedelta(hours=1))
    assert await company.ended_by(admin) == "refused.agent_unsponsored"


async def test_an_old_token_takes_no_sponsor_away(company: Company) -> None:
    admin = await company.person("ada", Role.ADMIN, issued=timedelta(hours=2))
    await company.principals.take_on(admin, "support", days=30)
    await company.person("ada", Role.USER, issued=timedelta(hours=1))
    assert await company.ended_by(admin) == ""


async def test_a_sponsor_who_was_not_seen_for_three_months_counts_as_gone_and_one_who_was_does_not(
    company: Company,
) -> None:
    admin, other = await company.person("ada", Role.ADMIN), await company.person("otto", Role.USER)
    await company.principals.take_on(admin, "support", days=300)
    company.clock.time += timedelta(days=89)
    await company.person("ada", Role.ADMIN, issued=timedelta(days=89))
    company.clock.time += timedelta(days=89)
    assert await company.ended_by(other) == ""
    company.clock.time += timedelta(days=2)
    assert await company.ended_by(other) == "refused.agent_unsponsored"


async def test_a_sponsor_who_is_erased_answers_for_nothing_any_more(company: Company) -> None:
    admin, other = await company.person("ada", Role.ADMIN), await company.person("otto", Role.ADMIN)
    await company.principals.take_on(admin, "support", days=30)
    assert await sponsor_gone(company.data(other), other.principal.id) == 0
    assert await company.ended_by(other) == ""
    assert await sponsor_gone(company.data(other), admin.principal.id) == 1
    assert await company.ended_by(other) == "refused.agent_unsponsored"


# Revoked.


async def test_a_revoked_agent_does_nothing_from_the_next_decision_on_in_any_process(company: Company) -> None:
    admin = await company.person("ada", Role.ADMIN)
    await company.principals.take_on(admin, "support", days=30)
    await company.principals.revoke(admin, "support", "It read what it should not.")
    for verdict in await company.decide(admin, MODEL, search("policies"), trusted_call("lookup_order")):
        assert isinstance(verdict, Refused)
        assert verdict.ends == "refused.agent_revoked"
    with pytest.raises(Conflict):
        await company.principals.revoke(admin, "support", "Again.")
    await company.principals.take_on(admin, "support", days=30)
    assert await company.ended_by(admin) == ""


async def test_what_nobody_sponsors_cannot_be_revoked(company: Company) -> None:
    with pytest.raises(NotFound):
        await company.principals.revoke(await company.person("ada", Role.ADMIN), "support", "Why not.")


async def test_revoking_and_switching_at_once_lose_nothing(company: Company) -> None:
    admin = await company.person("ada", Role.ADMIN)
    switches = Switches(company.store, company.clock, agents=AGENTS, tools=[])
    await company.principals.take_on(admin, "support", days=30)
    await asyncio.gather(
        company.principals.revoke(admin, "support", "Now."),
        *(switches.switch_off(admin, name, "Now.") for name in switches.names),
    )
    thrown = await switches.thrown(company.data(admin))
    assert set(thrown.own) == set(switches.names)
    assert thrown.agents["support"].revoked is not None


# The intersection of both.


async def test_an_agent_may_not_do_more_than_its_sponsor_lets_it(company: Company) -> None:
    admin = await company.person("ada", Role.ADMIN)
    narrow = AgentScope(
        tools=frozenset({"lookup_order", "create_ticket"}),
        effects=frozenset({Effect.READ}),
        collections=frozenset({"policies"}),
        confidentiality_ceiling=Confidentiality.INTERNAL,
    )
    await company.principals.take_on(admin, "support", days=30, scope=narrow)
    asked = [
        trusted_call("lookup_order"),
        trusted_call("create_ticket", Effect.WRITE),
        trusted_call("read_page"),
        search("policies"),
        search("inbox"),
    ]
    found = await company.decide(admin, *asked)
    assert [verdict.decision.policies[0] for verdict in found] == [
        "publisher/tools-that-read",
        "publisher/effect-not-given",
        "publisher/tool-not-given",
        "publisher/members-may-search",
        "publisher/collection-not-given",
    ]


async def test_nobody_is_sponsored_for_more_than_the_agent_was_given(company: Company) -> None:
    admin = await company.person("ada", Role.ADMIN)
    wide = scope_of(SUPPORT).model_copy(update={"tools": SUPPORT.tools | {"open_vault"}})
    with pytest.raises(Unprocessable) as refused:
        await company.principals.take_on(admin, "support", days=30, scope=wide)
    assert refused.value.code == "agent.scope"


async def test_a_new_version_gets_nothing_that_its_sponsor_did_not_agree_to(company: Company) -> None:
    admin = await company.person("ada", Role.ADMIN)
    await company.principals.take_on(admin, "support", days=30)
    wider = AGENTS["support"].model_copy(update={"version": "9.0.0", "tools": (*AGENTS["support"].tools, "open_vault")})
    (verdict,) = await company.decide(admin, trusted_call("open_vault"), agent=wider.facts(CONTOSO.id))
    assert verdict.decision.policies == ("publisher/tool-not-given",)


async def test_an_auditor_makes_nothing_happen_through_an_agent(company: Company) -> None:
    admin, auditor = await company.person("ada", Role.ADMIN), await company.person("aud", Role.AUDITOR)
    await company.principals.take_on(admin, "support", days=30)
    assert await company.ended_by(auditor) == "refused.no_role"


TOOLS, PLACES = sorted(SUPPORT.tools), sorted(SUPPORT.collections)
RULES = {
    tool: f"""@id("no-{tool.replace("_", "-")}") @lane("never") @reason("Not for you.")
    forbid (principal, action == Mandate::Action::"call_tool", resource == Mandate::Tool::"{tool}")
    unless {{ context.user_groups.contains("finance") }};"""
    for tool in TOOLS
}
"""What a person may not do who is not in finance, as the organisation says it."""


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    scope=st.builds(
        AgentScope,
        tools=st.frozensets(st.sampled_from(TOOLS)),
        effects=st.frozensets(st.sampled_from(Effect)),
        collections=st.frozensets(st.sampled_from(PLACES)),
        confidentiality_ceiling=st.sampled_from([level for level in Confidentiality if level.rank <= 2]),
    ),
    forbidden=st.frozensets(st.sampled_from(TOOLS)),
    finance=st.booleans(),
    tool=st.sampled_from(TOOLS),
    effect=st.sampled_from([Effect.READ, Effect.WRITE]),
    collections=st.frozensets(st.sampled_from(PLACES), min_size=1),
)
async def test_for_a_person_an_agent_has_what_both_have_and_nothing_else(
    company: Company,
    scope: AgentScope,
    forbidden: frozenset[str],
    finance: bool,
    tool: str,
    effect: Effect,
    collections: frozenset[str],
) -> None:
    admin = await company.person("ada", Role.ADMIN)
    user = contexts.from_directory(
        CONTOSO,
        PrincipalId(derived_id("prn", "uma")),
        roles=[Role.USER],
        groups=["finance"] if finance else [],
        correlation="c",
    )
    policies, data = Policies(environment="", clock=company.clock), company.data(admin)
    current = await policies.read(data)
    text = "\n".join(RULES[name] for name in sorted(forbidden)) or "// nothing"
    await policies.save(data, NewPolicies(text, "Tried."), etag=current.etag if current else None)
    await company.principals.take_on(admin, "support", days=30, scope=scope)
    called, searched = await company.decide(
        user, trusted_call(tool, effect), search(*sorted(collections)), policies=policies
    )
    the_agent, the_person = tool in scope.tools and effect in scope.effects, finance or tool not in forbidden
    assert isinstance(called, Granted) is (the_agent and the_person)
    assert isinstance(searched, Granted) is (collections <= scope.collections)


@given(
    days=st.integers(-400, 400),
    revoked=st.booleans(),
    lost=st.booleans(),
)
def test_an_identity_is_active_only_if_nothing_speaks_against_it(days: int, revoked: bool, lost: bool) -> None:
    by = Actor(kind=PrincipalKind.USER, id="prn_x")
    ref = ContentRef.model_construct()
    found = Sponsorship(
        sponsor=PrincipalId("prn_x"),
        since=timestamp(START),
        until=timestamp(START + timedelta(days=days)),
        seen_until="" if lost else timestamp(START + timedelta(days=1)),
        scope=scope_of(SUPPORT),
        revoked=Switch.model_construct(by=by, at="", reason=ref) if revoked else None,
    )
    active = state_of(SUPPORT, found, START) is IdentityState.ACTIVE
    assert active is (days > 0 and not revoked and not lost)
    assert state_of(SUPPORT, None, START) is IdentityState.UNSPONSORED


def test_an_agent_has_no_more_than_the_manifest_whatever_was_agreed() -> None:
    everything = AgentScope(
        tools=frozenset({*TOOLS, "open_vault"}),
        effects=frozenset(Effect),
        collections=frozenset({*PLACES, "payroll"}),
        confidentiality_ceiling=Confidentiality.RESTRICTED,
    )
    assert SUPPORT.within(everything) == SUPPORT
