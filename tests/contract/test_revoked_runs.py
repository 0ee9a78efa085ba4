"""What becomes of runs whose agent is revoked in the middle of whatever they do; and of agents sent beyond a scope."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from agent_world import CLOCK, World, open_office, open_world, person
from control import AgentFacts, AgentScope, BudgetRecord, Gate, Principals, Switches, scope_of
from control.records import BUDGET_KEY
from core import Effect, Lane, Role, RunId, TenantId, derived_id
from core.bodies import CancelRequested, DecisionMade
from core.parts import RunState
from data import Projector, Store, TenantData, read_run
from emulators.backoffice import BackofficeSeed
from models import ChatRequest, Completion
from orchestration.opening import TurnRequest
from orchestration.runs import Runs
from scripted_calls import follow, said

TENANT = TenantId(derived_id("ten", "revoked"))
ASKER, ADMIN, APPROVER = person(TENANT, "asker"), person(TENANT, "boss", Role.ADMIN), person(TENANT, "b", Role.APPROVER)
SEED = """{"tickets": [],
"customers": [{"id": "C-1", "name": "Ada", "email": "ada@berg.example", "since": "2024-01-01"}],
"orders": [{"id": "AB-100", "customer": "C-1", "placed": "2026-09-21", "status": "delivered", "currency": "EUR",
"city": "Turku", "total_cents": 9000, "items": [{"sku": "S", "name": "Lamp", "quantity": 1, "price_cents": 9000}]}]}"""
TICKET = "[[create_ticket subject=Lamp body=Lamp order_id=AB-100]]"
REFUND = "[[issue_refund order_id=AB-100 amount_cents=1250 reason=Lamp]]"


@pytest.fixture
async def world(store: Store, tmp_path: Path) -> AsyncIterator[World]:
    seeds = {str(TENANT): BackofficeSeed.model_validate_json(SEED)}
    async with open_office(tmp_path / "office", seeds) as office, open_world(store, office) as world:
        await world.sponsored(ASKER)
        yield world


async def revoke(world: World) -> None:
    await Principals(world.store, CLOCK, world.services.agents).revoke(ADMIN, "support", "It goes too far.")


async def narrowed(world: World, **scope: object) -> None:
    agents = world.services.agents
    full = scope_of(agents["support"].facts(TENANT))
    narrow = AgentScope.model_validate({**full.model_dump(), **scope})
    await Principals(world.store, CLOCK, agents).take_on(ADMIN, "support", days=30, scope=narrow)


async def ended(world: World, run: RunId) -> tuple[RunState, str]:
    progress = await world.progress(ASKER, run)
    assert progress.ended
    return progress.ended.state, progress.ended.code


async def decisions(world: World, run: RunId) -> list[DecisionMade]:
    bodies = [stored.event.body for stored in await read_run(world.store.tenant(ASKER), run)]
    return [body for body in bodies if isinstance(body, DecisionMade)]


async def test_a_run_whose_agent_is_revoked_in_the_middle_ends_by_name_and_does_no_more(world: World) -> None:
    async def revoked(*_: str) -> None:
        await revoke(world)

    world.office.arriving = revoked
    world.model.script = lambda request: follow([TICKET, TICKET], request)
    run = await world.ask(ASKER, "Open a ticket for AB-100: Lamp")
    assert await ended(world, run) == (RunState.REFUSED, "refused.agent_revoked")
    assert [kind for kind, _, _ in world.office.effects(TENANT)] == ["ticket"], "and the second is not there"
    lanes = [decision.decision.lane for decision in await decisions(world, run)]
    assert lanes == [*[Lane.AUTOMATIC] * 2, Lane.NEVER], "the model, the ticket, and what was decided once more"
    budget = await world.store.tenant(ASKER).records.get(BudgetRecord, BUDGET_KEY)
    assert budget
    assert budget.value.reserved == {}, "what was set aside beside the decision that was refused is free again"


async def test_what_was_decided_once_more_since_a_switch_was_thrown_waits_and_is_done_once(world: World) -> None:
    async def meanwhile(request: ChatRequest) -> Completion:
        switches = Switches(world.store, CLOCK, agents=["support"], tools=["create_ticket"])
        if not (await switches.thrown(world.store.tenant(ADMIN))).own:
            await switches.switch_off(ADMIN, "tool/create_ticket", "Not now.")
        return follow([REFUND], request)

    world.model.slowly = meanwhile
    run = await world.ask(ASKER, "Refund 12.50 EUR of AB-100")
    asked = [e.event.body.type for e in await read_run(world.store.tenant(ASKER), run)]
    assert (asked.count("decision_made"), asked.count("approval_requested")) == (2, 1)
    approval = await world.waiting(ASKER, run)
    assert approval
    await world.decide(APPROVER, approval)
    assert (await world.progress(ASKER, run)).state is RunState.COMPLETED
    assert [kind for kind, _, _ in world.office.effects(TENANT)] == ["refund"]


async def test_what_a_colleague_approves_afterwards_is_not_done(world: World) -> None:
    world.model.script = lambda request: follow([REFUND], request)
    run = await world.ask(ASKER, "Refund 12.50 EUR of AB-100")
    approval = await world.waiting(ASKER, run)
    assert approval
    await revoke(world)
    await world.decide(APPROVER, approval)
    assert await ended(world, run) == (RunState.REFUSED, "refused.agent_revoked")
    assert world.office.effects(TENANT) == []


async def test_a_run_that_waits_for_a_person_ends_when_its_agent_is_revoked(world: World) -> None:
    world.model.script = lambda request: follow([REFUND], request)
    run = await world.ask(ASKER, "Refund 12.50 EUR of AB-100")
    await Projector(world.store.platform).catch_up()
    async with asyncio.TaskGroup() as group:
        await Runs(world.services, group).end_all(ADMIN, "support")
    assert (await world.progress(ASKER, run)).state is RunState.PARKED, "nobody has revoked it"
    await revoke(world)
    async with asyncio.TaskGroup() as group:
        await Runs(world.services, group).end_all(ADMIN, "support")
    assert await ended(world, run) == (RunState.REFUSED, "refused.agent_revoked")
    asked = [
        e.event for e in await read_run(world.store.tenant(ASKER), run) if isinstance(e.event.body, CancelRequested)
    ]
    assert [event.actor for event in asked] == [ADMIN.principal.actor], "and the log says who did it"


async def test_an_answer_that_is_being_written_is_cut_short(world: World) -> None:
    began = asyncio.Event()

    async def slow(request: ChatRequest) -> Completion:
        began.set()
        await asyncio.sleep(30)
        return said("Too late.")

    world.model.slowly = slow
    run = RunId(derived_id("run", secrets.token_hex(8)))
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        runs = Runs(world.services, group)
        await runs.start(ASKER, TurnRequest(run, "support", "Hello", use_knowledge=False), secrets.token_hex(16))
        await began.wait()
        await Projector(world.store.platform).catch_up()
        await revoke(world)
        await runs.end_all(ADMIN, "support")
    assert await ended(world, run) == (RunState.REFUSED, "refused.agent_revoked")


async def test_events_name_the_identity_of_the_agent_and_whom_it_acts_for(world: World) -> None:
    run = await world.ask(ASKER, "Hello")
    events = [stored.event for stored in await read_run(world.store.tenant(ASKER), run)]
    identity = world.services.agents["support"].principal(TENANT)
    assert events[0].actor == ASKER.principal.actor
    assert {event.actor.id for event in events[1:]} == {identity}
    chain = (await world.progress(ASKER, run)).run.chain
    assert [actor.id for actor in chain] == [identity]


# Confused deputies.


async def test_a_tool_outside_what_was_agreed_is_neither_offered_nor_done(world: World) -> None:
    offered: set[str] = set()

    def script(request: ChatRequest) -> Completion:
        offered.update(tool.name for tool in request.tools)
        return follow([TICKET], request)

    world.model.script = script
    await narrowed(world, tools={"lookup_order", "issue_refund"}, effects=[Effect.READ])
    run = await world.ask(ASKER, "Open a ticket for AB-100: Lamp")
    refused = [one.decision.policies for one in await decisions(world, run) if one.target == "create_ticket"]
    assert offered == {"lookup_order"}
    assert [rules[0] for rules in refused] == ["publisher/tool-not-given"]
    assert world.office.effects(TENANT) == []


async def test_a_wider_person_does_not_widen_the_agent_and_a_wider_agent_not_the_person(world: World) -> None:
    world.model.script = lambda request: said("Nothing.") if not request.tools else follow([TICKET], request)
    await narrowed(world, tools=[])
    owner = person(TENANT, "owner", Role.OWNER, Role.ADMIN, Role.USER)
    run = await world.ask(owner, "Open a ticket for AB-100: Lamp")
    assert (await world.progress(owner, run)).state is RunState.COMPLETED
    await narrowed(world)
    auditor = replace(person(TENANT, "eye", Role.AUDITOR), correlation="c2")
    run = await world.ask(auditor, "Open a ticket for AB-100: Lamp")
    assert await ended(world, run) == (RunState.REFUSED, "refused.no_role")
    assert world.office.effects(TENANT) == []


async def test_a_collection_outside_what_was_agreed_is_not_searched(world: World) -> None:
    await world.letters(ASKER, [("Lamp", "The lamp is yellow.")])
    seen: list[str] = []

    def script(request: ChatRequest) -> Completion:
        seen.append("\n".join(message.text for message in request.messages))
        return said("Read.")

    world.model.script = script
    await world.ask(ASKER, "Which colour?", knowledge=True)
    await narrowed(world, collections={"policies"})
    await world.ask(ASKER, "Which colour?", knowledge=True)
    await narrowed(world, confidentiality_ceiling="public")
    await world.ask(ASKER, "Which colour?", knowledge=True)
    assert ["The lamp is yellow." in text for text in seen] == [True, False, False]


async def test_a_search_goes_no_further_than_what_was_agreed_when_it_was_decided(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.letters(ASKER, [("Lamp", "The lamp is yellow.")])
    seen: list[str] = []

    def script(request: ChatRequest) -> Completion:
        seen.append("\n".join(message.text for message in request.messages))
        return said("Read.")

    asked = type(world.services.gate).scoped

    async def narrowed_right_after(gate: Gate, data: TenantData, agent: AgentFacts) -> AgentFacts:
        scope = await asked(gate, data, agent)
        await narrowed(world, confidentiality_ceiling="public")
        return scope

    monkeypatch.setattr(Gate, "scoped", narrowed_right_after)
    world.model.script = script
    await world.ask(ASKER, "Which colour?", knowledge=True)
    assert len(seen) == 1
    assert "The lamp is yellow." not in seen[0]
