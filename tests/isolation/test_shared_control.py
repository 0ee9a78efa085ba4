"""What the control plane holds in memory for all tenants at once: caches, batches, sessions. None mixes two of them."""

import asyncio
import time
from dataclasses import replace
from typing import Any, cast

import pytest
from fastapi import FastAPI, Request
from fastapi.routing import APIRoute
from store_samples import member, opened

from control import (
    PERSONAL_ACCOUNTS,
    AccessLog,
    ActionRequest,
    AgentFacts,
    Amount,
    BudgetRecord,
    Budgets,
    Directory,
    NewPolicies,
    Policies,
    SessionRecord,
    Sessions,
    Situation,
    Switches,
    TenantRecord,
    contexts,
    load_agents,
    owner_mark,
)
from control.access import log_run
from control.callers import EDGE, ControlServices, UserCaller, edge
from control.gate_facts import Asked, question
from control.policy_text import publisher_text
from control.records import BUDGET_KEY
from core import (
    GENESIS,
    ActionKind,
    Actor,
    Label,
    PrincipalId,
    PrincipalKind,
    Role,
    RunId,
    SystemClock,
    TenantContext,
    TenantId,
    derived_id,
    new_id,
)
from core.bodies import AccessRefused
from core.errors import Conflict, Defect, Forbidden
from core.events import Event, Stored
from core.parts import RunKind
from data import RunWriter, Store, read_run
from entitled import ENTITLED, by_plan
from mandate.settings import ROOT
from web import Tokens, VerifiedAssertion, VerifiedToken

CLOCK = SystemClock()
Both = tuple[TenantContext, TenantContext]
LIMIT = Amount(micros=1000, tokens=1000)


@pytest.fixture
def both() -> Both:
    """One person of each of two tenants, who happen to have the same id."""
    first, second = member(), member()
    return first, replace(second, principal=first.principal)


def tenant_id(name: str) -> TenantId:
    return TenantId(derived_id("ten", "of a test", name))


# Who belongs to which tenant


def token(tid: str, oid: str, name: str) -> VerifiedToken:
    roles = frozenset({"user"})
    return VerifiedToken(
        tid, oid, "api://mandate", "app", roles, frozenset(), name, f"{name}@x.example", 0, 0, is_app=False
    )


async def onboarded(directory: Directory, name: str, tid: str, oid: str = "") -> TenantId:
    record = TenantRecord(id=tenant_id(name), name=name, plan=name, region="eu")
    await directory.create_tenant(record)
    await directory.bind(tid, record.id, oid=oid)
    return record.id


async def test_an_identity_leads_to_its_own_tenant_and_member_whoever_came_before(store: Store) -> None:
    """Two organisations with the same object id in both, and two people with personal accounts, who share a `tid`."""
    directory = Directory(store, CLOCK)
    people = [
        ("a", "tid-a", "oid-1"),
        ("b", "tid-b", "oid-1"),
        ("c", PERSONAL_ACCOUNTS, "oid-2"),
        ("d", PERSONAL_ACCOUNTS, "oid-3"),
    ]
    ids = {
        name: await onboarded(directory, name, tid, oid if tid == PERSONAL_ACCOUNTS else "")
        for name, tid, oid in people
    }
    found = [await directory.resolve(token(tid, oid, "same"), correlation="c") for _, tid, oid in people]
    assert [context.tenant for context in found] == list(ids.values())
    assert [context.plan for context in found] == list(ids)
    assert len({context.principal.id for context in found}) == len(people)
    again = [await directory.resolve(token(tid, oid, "same"), correlation="c") for _, tid, oid in people]
    assert again == found
    for tid, oid in (("tid-nobody", "oid-1"), (PERSONAL_ACCOUNTS, "oid-1")):
        with pytest.raises(Forbidden) as refused:
            await directory.resolve(token(tid, oid, "x"), correlation="c")
        assert refused.value.code == "access.unbound"


async def test_whether_a_tenant_is_active_is_said_of_each_by_itself(store: Store) -> None:
    directory = Directory(store, CLOCK)
    ids = [await onboarded(directory, name, f"tid-{name}") for name in ("active", "suspended")]
    await directory.update(ids[1], plan="team", status="suspended")
    assert [await directory.is_active(tenant) for tenant in ids] == [True, False]
    assert not await directory.is_active(tenant_id("nobody's"))


async def test_who_has_the_buyers_id_in_another_organisation_is_no_owner(store: Store) -> None:
    directory = Directory(store, CLOCK)
    record = TenantRecord(id=tenant_id("a"), name="a", plan="a", region="eu", owner=owner_mark("tid-b", "oid-1"))
    await directory.create_tenant(record)
    await directory.bind("tid-a", record.id)
    context = await directory.resolve(token("tid-a", "oid-1", "same"), correlation="c")
    assert context.principal.roles == {Role.USER}


async def test_an_identity_that_is_bound_is_not_bound_to_another_tenant(store: Store) -> None:
    directory = Directory(store, CLOCK)
    await onboarded(directory, "a", "tid-a")
    await onboarded(directory, "b", "tid-b")
    with pytest.raises(Conflict):
        await directory.bind("tid-a", tenant_id("b"))
    with pytest.raises(Conflict):
        await directory.create_tenant(TenantRecord(id=tenant_id("a"), name="other", plan="a", region="eu"))
    assert not (await directory.bind("tid-a", tenant_id("a"))).is_new


@pytest.mark.parametrize(("tid", "oid"), [(PERSONAL_ACCOUNTS, ""), ("tid-a", "oid-1")])
async def test_a_personal_account_is_never_bound_as_a_whole(store: Store, tid: str, oid: str) -> None:
    directory = Directory(store, CLOCK)
    await onboarded(directory, "a", "tid-x")
    with pytest.raises(Defect):
        await directory.bind(tid, tenant_id("a"), oid=oid)


def test_a_run_is_carried_on_for_its_own_tenant_alone() -> None:
    context = member()
    first = _first_event(context)
    assert contexts.from_run(context.tenant, first).tenant == context.tenant
    assert contexts.from_run(context.tenant, first).principal.id == context.principal.id
    with pytest.raises(Defect):
        contexts.from_run(member().tenant, first)


async def test_the_gate_knows_a_run_that_another_tenant_opened(store: Store, both: Both) -> None:
    switches = Switches(store, CLOCK, agents=(), tools=())
    agent = AgentFacts(name="support", tools=frozenset(), collections=frozenset())
    run = RunWriter(store.tenant(both[0]), RunId(new_id("run")), actor=both[0].principal.actor)
    situation, call = Situation(Label(), 0, entitled=ENTITLED), ActionRequest(ActionKind.CALL_MODEL, "chat", 1, {}, {})
    asked = Asked(run, agent, situation, await switches.thrown(run.data), CLOCK.now(), "local")
    for context, same in zip(both, (True, False), strict=True):
        run.events = [_first_event(context)]
        assert question(asked, call).facts["same_tenant"] is same
    assert "context.same_tenant" in publisher_text(), "and the publisher's rules forbid it"


def test_what_another_service_vouches_for_is_taken_as_it_stands() -> None:
    context = member()
    asserted = VerifiedAssertion(
        service="interaction", tenant=context.tenant, principal=context.principal.id, kind=context.principal.kind,
        roles=frozenset(), groups=frozenset(), plan="p", region="r", correlation="c", chain=(),
        deadline=CLOCK.now(), nonce="n",
    )  # fmt: skip
    assert contexts.from_assertion(asserted).tenant == context.tenant
    assert contexts.from_assertion(asserted).principal.id == context.principal.id


def _first_event(context: TenantContext) -> Stored:
    actor = context.principal.actor
    run, at = RunId(new_id("run")), "2026-11-23T00:00:00.000Z"
    event = Event(tenant=context.tenant, run=run, seq=1, at=at, actor=actor, prev=GENESIS, body=opened())
    return Stored.seal(event)


# What was refused, and what was changed


async def refusals(store: Store, context: TenantContext, part: int = 0) -> list[AccessRefused]:
    """Return what stands in the tenant's log of today."""
    run = log_run(context.tenant, RunKind.ACCESS, CLOCK.now().strftime("%Y-%m-%d"), part)
    bodies = [stored.event.body for stored in await read_run(store.tenant(context), run)]
    return [body for body in bodies if isinstance(body, AccessRefused)]


async def test_refusals_that_come_at_the_same_time_are_each_in_the_log_of_their_tenant(
    store: Store, both: Both
) -> None:
    access = AccessLog(store, CLOCK, code="1")
    for _ in range(2):
        await asyncio.gather(
            *(
                access.refused(context, "not_found", f"GET /{n}", context.principal.actor)
                for n, context in enumerate(both)
            )
        )
    for number, context in enumerate(both):
        assert {body.operation for body in await refusals(store, context)} == {f"GET /{number}"}
    first, second = (log_run(context.tenant, RunKind.ACCESS, "2026-11-23") for context in both)
    assert first != second
    assert log_run(both[0].tenant, RunKind.ACCESS, "2026-11-23", 1) != log_run(
        both[1].tenant, RunKind.ACCESS, "2026-11-23", 1
    )


async def test_a_long_day_goes_on_in_another_run_of_the_same_tenant(store: Store, both: Both) -> None:
    access, (context, other) = AccessLog(store, CLOCK, code="1"), both
    await access.refused(context, "not_found", "GET /", context.principal.actor)
    run = log_run(context.tenant, RunKind.ACCESS, CLOCK.now().strftime("%Y-%m-%d"))
    writer = await RunWriter.load(store.tenant(context), run, actor=context.principal.actor)
    for _ in range(5):
        await writer.append([AccessRefused(code="not_found", operation="GET /")] * 50)
    await access.refused(context, "not_found", "GET /second", context.principal.actor)
    await access.refused(other, "not_found", "GET /other", context.principal.actor)
    assert [body.operation for body in await refusals(store, context, 1)] == ["GET /second"]
    assert [body.operation for body in await refusals(store, other)] == ["GET /other"]


async def test_a_flood_of_refusals_slows_down_nobody_elses(store: Store, both: Both) -> None:
    access, (flooding, quiet) = AccessLog(store, CLOCK, code="1"), both
    actors = [Actor(kind=PrincipalKind.USER, id=new_id("prn")) for _ in range(20)]
    await asyncio.gather(*(access.refused(flooding, "not_found", "GET /", actor) for actor in actors))
    took: list[float] = []
    for context in (quiet, flooding):
        begun = time.monotonic()
        await access.refused(context, "not_found", "GET /", context.principal.actor)
        took.append(time.monotonic() - begun)
    assert took[0] < 0.4 < sum(took), took


# Money, rules, sessions


async def budget(store: Store, context: TenantContext) -> BudgetRecord:
    found = await store.tenant(context).records.get(BudgetRecord, BUDGET_KEY)
    assert found
    return found.value


async def test_what_one_tenant_spends_is_no_other_tenants_money(store: Store, both: Both) -> None:
    """The same keys at the same time, set aside and settled, at once and later."""
    budgets = Budgets(CLOCK, by_plan({"standard": LIMIT}))
    first, second = (store.tenant(context) for context in both)
    await asyncio.gather(
        budgets.reserve(first, "k", 900), budgets.reserve(second, "k", 10), budgets.reserve(second, "l", 5)
    )
    assert [await budgets.left(data) for data in (first, second)] == [100, 985]
    assert (await budget(store, both[0])).reserved == {"k": Amount(micros=900)}
    assert (await budget(store, both[1])).reserved == {"k": Amount(micros=10), "l": Amount(micros=5)}
    await asyncio.gather(budgets.settle(first, "k", 800), budgets.settle(second, "k", 7))
    budgets.settle_later(second, "l", 3)
    await budgets.flush(first)
    assert (await budget(store, both[1])).reserved == {"l": Amount(micros=5)}, "another's flush settled it"
    await budgets.flush(second)
    assert [(await budget(store, context)).spent.micros for context in both] == [800, 10]
    assert [await budgets.left(data) for data in (first, second)] == [200, 990]
    budgets.settle_later(second, "none", 1)
    await budgets.reserve(first, "m", 1)
    assert (await budget(store, both[1])).spent.micros == 10


async def test_each_tenant_is_decided_for_by_its_own_rules(store: Store, both: Both) -> None:
    policies = Policies(environment="", clock=CLOCK)
    first, second = (store.tenant(context) for context in both)
    common = await policies.ruleset(first)
    assert await policies.ruleset(second) is common
    saved = await policies.save(first, NewPolicies(FORBID, "because"), etag=None)
    mine = await policies.ruleset(first)
    assert mine is not common, "a change is in force at once"
    assert await policies.ruleset(second) is common
    await policies.save(first, NewPolicies(f"// Once more.\n{FORBID}", "because"), etag=saved.etag)
    assert await policies.ruleset(first) is not mine, "the next change as well"


FORBID = '@id("nothing") @lane("never") @reason("No.") forbid (principal, action, resource);'


class NoProvider:
    async def renew(self, refresh_token: str) -> Tokens:
        raise AssertionError(refresh_token)


async def test_sessions_of_people_with_the_same_id_are_not_each_others(
    store: Store, both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions = Sessions(store, CLOCK, NoProvider())
    cookies = [
        await sessions.begin(context, Tokens(access_token=f"of-{n}", expires_in=3600), browser="x")
        for n, context in enumerate(both)
    ]
    assert [len(await sessions.list(context)) for context in both] == [1, 1]
    records = (await store.tenant(contexts.publisher("test")).records.list(SessionRecord)).items
    assert {record.value.tenant for record in records} == {context.tenant for context in both}
    monkeypatch.setattr("control.sessions.MOST", 2)
    for _ in range(2):
        await sessions.begin(both[0], Tokens(access_token="of-0", expires_in=3600), browser="x")
    assert [len(await sessions.list(context)) for context in both] == [2, 1], "the oldest goes, of the same person"
    await sessions.end_all(both[0])
    assert [len(await sessions.list(context)) for context in both] == [0, 1]
    assert (await sessions.find(cookies[1])).access_token == "of-1"


# Who acts, and in whose name


def test_an_agent_has_a_name_of_its_own_in_each_tenant(both: Both) -> None:
    agent = load_agents(ROOT / "agents")["support"]
    assert len({agent.principal(context.tenant) for context in both}) == 2


async def test_a_member_who_is_called_as_the_edge_does_not_pass_for_it(both: Both, store: Store) -> None:
    posing = replace(both[0], principal=replace(both[0].principal, id=PrincipalId(EDGE)))

    async def authenticate(_: Request) -> UserCaller:
        return UserCaller(posing)

    access, unused = (
        AccessLog(store, CLOCK, code="1"),
        ("directory", "policies", "switches", "erasures", "rings", "entitlements", "units"),
    )
    services = ControlServices(
        store=store,
        access=access,
        authenticate=authenticate,
        version="1",
        **{name: cast("Any", None) for name in unused},
    )
    app = FastAPI()
    app.state.services = services
    scope: dict[str, object] = {
        "type": "http",
        "method": "POST",
        "path": "/",
        "headers": [],
        "app": app,
        "route": APIRoute("/", edge),
    }
    with pytest.raises(Forbidden, match="Only the edge"):
        await edge(Request(scope))
