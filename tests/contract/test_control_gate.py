"""The gate over a real store: a permit exists only after its decision is on disk, and only for exactly that."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from clocks import MovableClock
from control import (
    ActionRequest,
    AgentFacts,
    Approval,
    ApprovalNeeded,
    Checked,
    Gate,
    Granted,
    NewPolicies,
    Policies,
    Principals,
    Refused,
    Ruleset,
    Ruling,
    Situation,
    Switches,
    TenantRecord,
    Used,
    contexts,
    load_agents,
    publisher_text,
)
from core import (
    PUBLISHER,
    ActionKind,
    Actor,
    ApprovalId,
    Content,
    ContentClass,
    Effect,
    Facts,
    Json,
    Label,
    Lane,
    PrincipalId,
    PrincipalKind,
    Role,
    RunId,
    SystemClock,
    TenantContext,
    TenantId,
    canonical,
    derived_id,
    new_id,
)
from core.bodies import Body, DecisionMade, RunOpened, RunParked
from core.errors import Conflict, Defect, NotFound, PreconditionFailed, Unavailable, Unprocessable
from core.parts import Limits, RunKind, Versions
from data import Record, RunWriter, Seen, Store, TenantData, read_run
from data.sqlite import open_store
from entitled import ENTITLED
from tool_calls import trusted_facts

AGENT = AgentFacts(
    name="support",
    tools=frozenset({"lookup_order", "issue_refund"}),
    effects=frozenset(Effect),
    collections=frozenset({"manuals", "policies"}),
)
SITUATION = Situation(label=Label(), budget_left_micros=1000, entitled=ENTITLED, checked=Checked(guards=("local",)))
ADMIN = PrincipalId(new_id("prn"))
ROOT = Path(__file__).parents[2]
LIMITS = Limits(steps=2, tool_calls=2, tokens=100, output_tokens=10, cost_micros=100, seconds=100)
TOOLS = ["issue_refund", "lookup_order"]
REFUND: Json = {"order": "A-1", "amount_cents": 2500}


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(tmp_path / "store.db") as opened:
        yield opened


@dataclass
class Setting:
    store: Store
    data: TenantData
    run: RunWriter
    policies: Policies
    switches: Switches
    gate: Gate
    principals: Principals
    admin: TenantContext


@pytest.fixture
async def setting(store: Store) -> Setting:
    record = TenantRecord(id=TenantId(derived_id("ten", "contoso")), name="Contoso", plan="team", region="local")
    context = contexts.from_directory(
        record, PrincipalId(new_id("prn")), roles=[Role.USER], groups=["support"], correlation="c"
    )
    data = store.tenant(context)
    run = RunWriter(data, RunId(new_id("run")), actor=context.principal.actor)
    await run.append([RunOpened(kind=RunKind.TURN, versions=Versions(code="1"))])
    clock = SystemClock()
    policies, switches = Policies(environment="", clock=clock), Switches(store, clock, agents=["support"], tools=TOOLS)
    gate = Gate(policies=policies, switches=switches, environment="local", clock=clock)
    principals = Principals(store, clock, load_agents(ROOT / "agents"))
    admin = contexts.from_directory(record, ADMIN, roles=[Role.ADMIN], groups=[], correlation="c")
    await principals.take_on(admin, "support", days=30)
    return Setting(store, data, run, policies, switches, gate, principals, admin)


def tool(
    name: str, effect: Effect, *, content: Content | None = None, approval: Approval | None = None, **facts: int
) -> ActionRequest:
    moved: Facts = dict.fromkeys(("moved_by_user_cents", "moved_by_tenant_cents"), 0) if "amount_cents" in facts else {}
    own: Facts = {**trusted_facts(effect), **moved, **facts}
    return ActionRequest(
        kind=ActionKind.CALL_TOOL,
        target=name,
        step=1,
        arguments=REFUND,
        facts=own,
        stored_arguments=content.ref if content else None,
        approval=approval,
    )


def arguments_content(value: Json = REFUND) -> Content:
    return Content.new(canonical(value), kind=ContentClass.ARGUMENTS, owner=PrincipalId("prn_x"))


async def test_each_request_gets_its_verdict_and_one_append_holds_them_all(setting: Setting) -> None:
    seen: list[Ruling] = []

    def park(rulings: Sequence[Ruling]) -> Sequence[Body]:
        seen.extend(rulings)
        return [RunParked(cause="approval", until="2026-11-26T00:00:00.000Z")]

    setting.run.stage([RunOpened(kind=RunKind.TURN, versions=Versions(code="the step before"))])
    read, refund, other = await setting.gate.authorize(
        setting.run,
        AGENT,
        [
            tool("lookup_order", Effect.READ),
            tool("issue_refund", Effect.WRITE, amount_cents=2500),
            tool("delete_customer", Effect.IRREVERSIBLE),
        ],
        situation=SITUATION,
        following=park,
    )
    assert isinstance(read, Granted)
    assert isinstance(refund, ApprovalNeeded)
    assert isinstance(other, Refused)
    assert [ruling.lane for ruling in seen] == [Lane.AUTOMATIC, Lane.APPROVAL, Lane.NEVER]

    events = await read_run(setting.data, setting.run.run)
    assert [stored.event.body.type for stored in events[1:]] == [
        "run_opened",
        "decision_made",
        "decision_made",
        "decision_made",
        "run_parked",
    ]
    for verdict in (read, refund, other):
        body = events[verdict.seq - 1].event.body
        assert isinstance(body, DecisionMade)
        assert body.decision == verdict.decision
    assert read.permit.decision_seq == read.seq
    read.permit.spend(ActionKind.CALL_TOOL, "lookup_order", REFUND)


async def test_a_decision_names_who_asked_and_with_what(setting: Setting) -> None:
    (verdict,) = await setting.gate.authorize(
        setting.run, AGENT, [tool("lookup_order", Effect.READ)], situation=SITUATION
    )
    facts = verdict.decision.facts
    assert (facts["environment"], facts["plan"], facts["user_roles"], facts["user_groups"]) == (
        "local",
        "team",
        ("user",),
        ("support",),
    )
    assert (facts["agent"], facts["tool"], facts["same_tenant"], facts["on_behalf_of_user"]) == (
        "support",
        "lookup_order",
        True,
        True,
    )
    assert verdict.decision.policy_version == await setting.gate.policy_version(setting.data)


@pytest.mark.parametrize("name", ["same_tenant", "user_roles", "agent_tools", "entitled", "tool", "environment"])
async def test_an_action_cannot_state_what_only_the_gate_knows(setting: Setting, name: str) -> None:
    request = tool("lookup_order", Effect.READ)
    with pytest.raises(Defect, match=name):
        await setting.gate.authorize(
            setting.run, AGENT, [replace(request, facts={**request.facts, name: True})], situation=SITUATION
        )
    assert setting.run.seq == 1


async def test_an_append_that_fails_gives_no_permit(setting: Setting) -> None:
    faster = await RunWriter.load(setting.data, setting.run.run, actor=setting.run.actor)
    await faster.append([RunOpened(kind=RunKind.TURN, versions=Versions(code="faster"))])
    with pytest.raises(Conflict):
        await setting.gate.authorize(setting.run, AGENT, [tool("lookup_order", Effect.READ)], situation=SITUATION)

    class Broken(RunWriter):
        async def append(self, *_: object, **__: object) -> list[object]:  # pyright: ignore[reportIncompatibleMethodOverride] - never returns
            raise Unavailable("The disk is full.")

    broken = Broken(setting.data, RunId(new_id("run")), actor=setting.run.actor)
    with pytest.raises(Unavailable):
        await setting.gate.authorize(broken, AGENT, [tool("lookup_order", Effect.READ)], situation=SITUATION)


async def approval_for(setting: Setting, content: Content) -> Approval:
    return Approval(
        id=ApprovalId(new_id("apr")),
        tool="issue_refund",
        arguments_commitment=content.ref.commitment,
        policy_version=await setting.gate.policy_version(setting.data),
        requester=setting.data.context.principal.id,
        approvers=(Actor(kind=PrincipalKind.USER, id="prn_a_colleague"),),
    )


async def test_an_approval_for_exactly_this_lets_it_go_ahead(setting: Setting) -> None:
    content = arguments_content()
    await setting.data.content.put([content])
    approval = await approval_for(setting, content)
    (verdict,) = await setting.gate.authorize(
        setting.run,
        AGENT,
        [tool("issue_refund", Effect.WRITE, amount_cents=2500, content=content, approval=approval)],
        situation=SITUATION,
    )
    assert isinstance(verdict, Granted)
    assert verdict.decision.lane is Lane.APPROVAL
    body = setting.run.events[verdict.seq - 1].event.body
    assert isinstance(body, DecisionMade)
    assert body.approval == approval.id


@pytest.mark.parametrize(
    "change",
    [
        {"tool": "send_email"},
        {"arguments_commitment": "0" * 64},
        {"policy_version": "older"},
        {"requester": PrincipalId("prn_somebody_else")},
        {"approvers": ()},
        {"approvers": (Actor(kind=PrincipalKind.AGENT, id="support"),)},
        {"approvers": (Actor(kind=PrincipalKind.SERVICE, id="a service"),)},
    ],
)
async def test_an_approval_for_something_else_or_by_no_person_is_none(
    setting: Setting, change: dict[str, object]
) -> None:
    content = arguments_content()
    await setting.data.content.put([content])
    approval = replace(await approval_for(setting, content), **change)
    (verdict,) = await setting.gate.authorize(
        setting.run,
        AGENT,
        [tool("issue_refund", Effect.WRITE, amount_cents=2500, content=content, approval=approval)],
        situation=SITUATION,
    )
    assert isinstance(verdict, ApprovalNeeded)


async def test_an_approval_does_not_cover_arguments_that_the_approver_did_not_read(setting: Setting) -> None:
    content = arguments_content({"order": "A-1", "amount_cents": 1})
    await setting.data.content.put([content])
    approval = await approval_for(setting, content)
    request = tool("issue_refund", Effect.WRITE, amount_cents=2500, content=content, approval=approval)
    (verdict,) = await setting.gate.authorize(setting.run, AGENT, [request], situation=SITUATION)
    assert isinstance(verdict, ApprovalNeeded)
    (verdict,) = await setting.gate.authorize(
        setting.run, AGENT, [replace(request, stored_arguments=None)], situation=SITUATION
    )
    assert isinstance(verdict, ApprovalNeeded)


async def test_what_never_happens_is_not_approved_either(setting: Setting) -> None:
    content = arguments_content()
    await setting.data.content.put([content])
    approval = await approval_for(setting, content)
    (verdict,) = await setting.gate.authorize(
        setting.run,
        AGENT,
        [tool("issue_refund", Effect.WRITE, amount_cents=200_000, content=content, approval=approval)],
        situation=SITUATION,
    )
    assert isinstance(verdict, Refused)
    assert verdict.decision.policies == ("publisher/money-ceiling",)


TIGHTER = '@id("no-reads") @lane("never") @reason("Not here.") forbid (principal, action, resource);'


async def test_a_tenants_own_policy_is_in_force_at_once_and_guarded_by_its_etag(setting: Setting) -> None:
    before = await setting.gate.policy_version(setting.data)
    saved = await setting.policies.save(setting.data, NewPolicies(TIGHTER, "because"), etag=None)
    (verdict,) = await setting.gate.authorize(
        setting.run, AGENT, [tool("lookup_order", Effect.READ)], situation=SITUATION
    )
    assert verdict.decision.policies == ("tenant/no-reads",)
    assert await setting.gate.policy_version(setting.data) != before

    with pytest.raises(PreconditionFailed):
        await setting.policies.save(setting.data, NewPolicies("", "because"), etag=None)
    with pytest.raises(Unprocessable):
        await setting.policies.save(
            setting.data, NewPolicies(TIGHTER.replace("never", "automatic"), ""), etag=saved.etag
        )
    await setting.policies.save(setting.data, NewPolicies("", "because"), etag=saved.etag)
    assert await setting.gate.policy_version(setting.data) == before


async def lookup(setting: Setting, gate: Gate) -> str:
    (verdict,) = await gate.authorize(setting.run, AGENT, [tool("lookup_order", Effect.READ)], situation=SITUATION)
    return verdict.decision.policies[0] if isinstance(verdict, Refused) else ""


def another_switches(setting: Setting) -> Switches:
    return Switches(setting.store, SystemClock(), agents=["support"], tools=TOOLS)


def another_process(setting: Setting) -> Gate:
    switches = another_switches(setting)
    return Gate(policies=setting.policies, switches=switches, environment="local", clock=SystemClock())


@pytest.mark.parametrize(
    ("name", "policy"),
    [
        ("tenant", "publisher/organisation-off"),
        ("agent/support", "publisher/agent-off"),
        ("tool/lookup_order", "publisher/tool-off"),
        ("capability/tools", "publisher/tool-off"),
    ],
)
@pytest.mark.parametrize("by_publisher", [False, True])
async def test_what_is_switched_off_is_refused_at_the_next_decision_of_any_process_and_then_not(
    setting: Setting, name: str, policy: str, by_publisher: bool
) -> None:
    other = another_process(setting)
    assert await lookup(setting, other) == ""
    context = contexts.publisher("test", "operator") if by_publisher else setting.data.context
    await setting.switches.switch_off(context, name, "Something is wrong with it.")
    assert await lookup(setting, other) == policy
    (told,) = await setting.switches.told(setting.data)
    assert (told.name, told.by_publisher, told.reason) == (name, by_publisher, "Something is wrong with it.")
    await setting.switches.switch_on(context, name)
    assert await lookup(setting, other) == ""


async def test_what_stops_one_thing_does_not_stop_another(setting: Setting) -> None:
    for name in ("tool/issue_refund", "capability/money", "capability/sending", "capability/models"):
        await setting.switches.switch_off(setting.data.context, name, "Not now.")
    assert await lookup(setting, setting.gate) == ""
    (verdict,) = await setting.gate.authorize(
        setting.run, AGENT, [tool("issue_refund", Effect.WRITE, amount_cents=1)], situation=SITUATION
    )
    assert verdict.decision.facts["switched_off"] == ("capability", "tool")


async def test_the_publisher_stops_one_tenant_and_leaves_the_others_alone(setting: Setting, store: Store) -> None:
    operator = contexts.publisher("test", "operator")
    other = TenantId(derived_id("ten", "somebody else"))
    await setting.switches.switch_off(operator, f"tenant/{other}", "Unpaid.")
    assert await lookup(setting, setting.gate) == ""
    assert await setting.switches.told(setting.data) == []
    await setting.switches.switch_off(operator, f"tenant/{setting.data.context.tenant}", "Unpaid.")
    assert [one.name for one in await setting.switches.told(setting.data)] == [f"tenant/{setting.data.context.tenant}"]
    assert await lookup(setting, setting.gate) == "publisher/organisation-off"


async def test_nobody_switches_what_is_not_there_or_what_the_publisher_switched(setting: Setting) -> None:
    own = setting.data.context
    for name in ("tool/made_up", "tool/", "agent/", "nothing", f"tenant/{own.tenant}"):
        with pytest.raises(NotFound):
            await setting.switches.switch_off(own, name, "Why not.")
    await setting.switches.switch_off(contexts.publisher("test"), "agent/support", "Ours.")
    with pytest.raises(NotFound):
        await setting.switches.switch_on(own, "agent/support")
    await setting.switches.switch_off(own, "agent/support", "Ours too.")
    with pytest.raises(Conflict):
        await setting.switches.switch_off(own, "agent/support", "Again.")
    await setting.switches.switch_on(contexts.publisher("test"), "agent/support")
    assert await lookup(setting, setting.gate) == "publisher/agent-off"


async def test_many_who_switch_at_once_lose_nothing(setting: Setting) -> None:
    names = setting.switches.names
    await asyncio.gather(*(setting.switches.switch_off(setting.data.context, name, "All at once.") for name in names))
    assert set((await setting.switches.thrown(setting.data)).own) == set(names)


async def test_a_change_freeze_lets_nothing_but_reading_through(setting: Setting) -> None:
    await setting.switches.switch_off(setting.data.context, "change_freeze", "The year ends.")
    assert await lookup(setting, setting.gate) == ""
    (verdict,) = await setting.gate.authorize(
        setting.run, AGENT, [tool("issue_refund", Effect.WRITE)], situation=SITUATION
    )
    assert verdict.decision.policies == ("publisher/change-freeze",)


async def test_a_switch_thrown_while_a_decision_is_on_its_way_to_the_disk_counts(setting: Setting) -> None:
    assert await lookup(setting, setting.gate) == ""  # so that the gate knows that nothing is switched off
    lanes: list[Lane] = []

    def meanwhile(rulings: Sequence[Ruling]) -> Sequence[Body]:
        lanes.extend(ruling.lane for ruling in rulings)
        return [RunParked(cause="approval", until=f"2026-11-26T00:00:0{len(lanes)}.000Z")]

    await another_switches(setting).switch_off(setting.admin, "tool/lookup_order", "Something is wrong with it.")
    before = setting.run.seq
    setting.run.stage([RunOpened(kind=RunKind.TURN, versions=Versions(code="the step before"))])
    (verdict,) = await setting.gate.authorize(
        setting.run,
        AGENT,
        [tool("lookup_order", Effect.READ)],
        situation=SITUATION,
        following=meanwhile,
    )
    assert isinstance(verdict, Refused)
    bodies = [stored.event.body for stored in (await read_run(setting.data, setting.run.run))[before:]]
    assert [body.type for body in bodies] == ["run_opened", "decision_made", "run_parked"]
    assert (verdict.seq, bodies[2]) == (before + 2, RunParked(cause="approval", until="2026-11-26T00:00:02.000Z"))
    assert lanes == [Lane.AUTOMATIC, Lane.NEVER]


async def test_what_one_organisation_switched_off_is_off_for_no_other_in_the_same_process(setting: Setting) -> None:
    record = TenantRecord(id=TenantId(derived_id("ten", "fabrikam")), name="Fabrikam", plan="team", region="local")
    context = contexts.from_directory(record, PrincipalId(new_id("prn")), roles=[Role.USER], groups=[], correlation="c")
    await setting.principals.take_on(
        contexts.from_directory(record, ADMIN, roles=[Role.ADMIN], groups=[], correlation="c"), "support", days=30
    )
    run = RunWriter(setting.store.tenant(context), RunId(new_id("run")), actor=context.principal.actor)
    await run.append([RunOpened(kind=RunKind.TURN, versions=Versions(code="1"))])
    await setting.switches.switch_off(setting.admin, "tool/lookup_order", "Something is wrong with it.")
    for _ in range(2):
        assert await lookup(setting, setting.gate) == "publisher/tool-off"
        assert await lookup(replace(setting, run=run), setting.gate) == ""


async def test_where_switches_change_all_the_time_nothing_is_allowed(setting: Setting) -> None:
    class Overtaken(RunWriter):
        async def commit(self, *, resting_on: Sequence[Seen] = ()) -> None:
            assert [seen.tenant for seen in resting_on] == [self.data.context.tenant, PUBLISHER]
            raise PreconditionFailed("Again.")

    overtaken = Overtaken(setting.data, RunId(new_id("run")), actor=setting.run.actor)
    with pytest.raises(Unavailable):
        await setting.gate.authorize(overtaken, AGENT, [tool("lookup_order", Effect.READ)], situation=SITUATION)
    assert overtaken.seq == 0


async def test_a_decision_waits_for_no_read_of_a_record_whatever_is_decided(setting: Setting) -> None:
    clock = MovableClock(SystemClock().now())
    switches = Switches(setting.store, clock, agents=["support"], tools=TOOLS)
    gate = Gate(policies=setting.policies, switches=switches, environment="local", clock=SystemClock())
    await lookup(setting, gate)  # policies and switches are known now, and the writer has the tenant's key
    clock.time += timedelta(hours=1)  # what was read is as good as it was: its age decides nothing
    reads: list[str] = []
    original = type(setting.data.records).get

    async def counted(self: object, model: type[Record], key: str) -> object:
        reads.append(model.kind)
        return await original(self, model, key)  # pyright: ignore[reportArgumentType] - it is what it was

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(setting.data.records), "get", counted)
        many = [tool("lookup_order", Effect.READ), tool("issue_refund", Effect.WRITE, amount_cents=1)]
        await gate.authorize(setting.run, AGENT, many, situation=SITUATION)
    assert reads == []


@pytest.mark.parametrize(
    ("used", "code"),
    [
        (Used(limits=LIMITS, tokens=100), "limit.tokens"),
        (Used(limits=LIMITS, cost_micros=100), "limit.cost"),
        (Used(limits=LIMITS, seconds=100), "limit.seconds"),
    ],
)
async def test_a_run_at_its_limit_is_refused_with_the_code_that_ends_it(
    setting: Setting, used: Used, code: str
) -> None:
    request = ActionRequest(kind=ActionKind.CALL_MODEL, target="chat", step=1, arguments={}, facts={})
    for where, expected in ((replace(SITUATION, used=used), code), (SITUATION, "")):
        (verdict,) = await setting.gate.authorize(setting.run, AGENT, [request], situation=where)
        assert (verdict.ends if isinstance(verdict, Refused) else "") == expected


async def test_time_and_person_are_facts(setting: Setting) -> None:
    (verdict,) = await setting.gate.authorize(
        setting.run, AGENT, [tool("lookup_order", Effect.READ)], situation=SITUATION
    )
    facts, now = verdict.decision.facts, SystemClock().now()
    assert (facts["hour"], facts["weekday"]) in {
        (now.hour, f"{now:%A}".lower()),
        ((now.hour - 1) % 24, facts["weekday"]),
    }
    assert facts["on_behalf_of"] == setting.data.context.principal.id


# Versions.


async def test_every_version_is_kept_and_an_earlier_one_can_be_put_back(setting: Setting) -> None:
    data, policies = setting.data, setting.policies
    assert await policies.versions(data) == []
    first = await policies.save(data, NewPolicies(TIGHTER, "No reads here."), etag=None)
    second = await policies.save(data, NewPolicies("// nothing", "Reads again."), etag=first.etag)
    old = await policies.version(data, 1)
    third = await policies.save(data, NewPolicies(old.text, "Back.", restored=1), etag=second.etag)
    versions = await policies.versions(data)
    assert [(one.number, one.restored, one.text) for one in versions] == [
        (3, 1, TIGHTER),
        (2, 0, "// nothing"),
        (1, 0, TIGHTER),
    ]
    assert all(one.by == data.context.principal.actor and one.at for one in versions)
    reasons = [(await data.content.get(one.reason)).decode() for one in versions if one.reason]
    assert reasons == ["Back.", "Reads again.", "No reads here."]
    assert third.value.number == 3
    with pytest.raises(NotFound):
        await policies.version(data, 4)


async def test_the_policies_that_a_decision_names_can_be_found(setting: Setting) -> None:
    named: list[str] = []
    etag = None
    for text in ("", TIGHTER):
        etag = (await setting.policies.save(setting.data, NewPolicies(text, "Because."), etag=etag)).etag
        (verdict,) = await setting.gate.authorize(
            setting.run, AGENT, [tool("lookup_order", Effect.READ)], situation=SITUATION
        )
        named.append(verdict.decision.policy_version)
    for version, text in zip(named, ("", TIGHTER), strict=True):
        found = await setting.policies.named(setting.data, version)
        assert (found.tenant, found.publisher) == (text, publisher_text())
        assert Ruleset.compose(publisher=found.publisher, environment=found.environment, tenant=text).version == version
    with pytest.raises(NotFound):
        await setting.policies.named(setting.data, "0" * 64)
