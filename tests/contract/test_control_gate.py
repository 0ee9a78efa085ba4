"""The gate over a real store: a permit exists only after its decision is on disk, and only for exactly that."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from control import (
    ActionRequest,
    AgentFacts,
    Approval,
    ApprovalNeeded,
    Gate,
    Granted,
    NewPolicies,
    Policies,
    Refused,
    Ruling,
    Situation,
    Switches,
    TenantRecord,
    contexts,
)
from core import (
    ActionKind,
    ApprovalId,
    Content,
    ContentClass,
    Effect,
    Facts,
    Json,
    Label,
    Lane,
    PrincipalId,
    Role,
    RunId,
    SystemClock,
    TenantId,
    canonical,
    derived_id,
    new_id,
)
from core.bodies import Body, DecisionMade, RunOpened, RunParked
from core.errors import Conflict, Defect, PreconditionFailed, Unavailable, Unprocessable
from core.parts import RunKind, Versions
from data import RunWriter, Store, TenantData, read_run
from data.sqlite import open_store

AGENT = AgentFacts(
    name="support", tools=frozenset({"lookup_order", "issue_refund"}), collections=frozenset({"manuals"})
)
SITUATION = Situation(label=Label(), budget_left_micros=1000, entitled=True)
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
    return Setting(store, data, run, policies, switches, gate)


def tool(
    name: str, effect: Effect, *, content: Content | None = None, approval: Approval | None = None, **facts: int
) -> ActionRequest:
    labels: Facts = {"untrusted_arguments": (), "arguments_rank": 1, "tool_ceiling": 2}
    moved: Facts = dict.fromkeys(("moved_by_user_cents", "moved_by_tenant_cents"), 0) if "amount_cents" in facts else {}
    own: Facts = {"effect": effect.value, "reversible": True, **labels, **moved, **facts}
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

    read, refund, other = await setting.gate.authorize(
        setting.run,
        AGENT,
        [
            tool("lookup_order", Effect.READ),
            tool("issue_refund", Effect.WRITE, amount_cents=2500),
            tool("delete_customer", Effect.IRREVERSIBLE),
        ],
        situation=SITUATION,
        preceding=[RunOpened(kind=RunKind.TURN, versions=Versions(code="preceding"))],
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
    ],
)
async def test_an_approval_for_something_else_is_none(setting: Setting, change: dict[str, str]) -> None:
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
