"""What an agent did is taken back by a person, through the gate, once; or it is said why it cannot be."""

import asyncio
import secrets
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from agent_world import CLOCK, World, open_office, open_world, person
from clocks import MovableClock
from core import Effect, Lane, Role, RunId, TenantContext, TenantId, derived_id
from core.bodies import ApprovalRequested, DecisionMade, RunOpened
from core.errors import Conflict, Defect, NotFound
from core.parts import RunState, Undoes
from data import Store, read_run
from emulators.backoffice import BackofficeSeed
from interaction.effects import EffectTold, effects_told
from orchestration import fetcher
from orchestration.undoing import UndoRequest, effects_of
from scripted_calls import follow
from tools import Refusal, Registry, ToolCall, Undo, tool

TENANT = TenantId(derived_id("ten", "undoing"))
ASKER, OTHER = person(TENANT, "asker", Role.USER), person(TENANT, "other", Role.USER)
OWNER, APPROVER = person(TENANT, "owner", Role.OWNER), person(TENANT, "approver", Role.APPROVER)
AUDITOR = person(TENANT, "auditor", Role.AUDITOR)
STRANGER = person(TenantId(derived_id("ten", "strangers")), "stranger", Role.OWNER)
REFUND = "[[issue_refund order_id=AB-100 amount_cents=1250 reason=Lamp]]"
TICKET = "[[create_ticket subject=Lamp body=Lamp order_id=AB-100]]"
EMAIL = "[[send_email to=ada@berg.example subject=Lamp body=Sorry]]"
SEED = """{"tickets": [],
"customers": [{"id": "C-1", "name": "Ada", "email": "ada@berg.example", "since": "2024-01-01"}],
"orders": [{"id": "AB-100", "customer": "C-1", "placed": "2026-09-21", "status": "delivered", "currency": "EUR",
"city": "Turku", "total_cents": 9000, "items": [{"sku": "S", "name": "Lamp", "quantity": 1, "price_cents": 9000}]}]}"""


@dataclass
class Company:
    world: World
    clock: MovableClock = field(default_factory=lambda: MovableClock(CLOCK.now()))

    async def did(self, call: str, message: str) -> RunId:
        """Have an agent do something, with a colleague's approval where it takes one."""
        self.world.model.script = lambda request: follow([call], request)
        run = await self.world.ask(ASKER, message)
        if waits := await self.world.waiting(ASKER, run):
            await self.world.decide(APPROVER, waits)
        assert (await self.world.progress(ASKER, run)).state is RunState.COMPLETED
        return run

    async def undo(self, run: RunId, who: TenantContext = ASKER, reason: str = "It was the wrong order.") -> RunId:
        """Have the one effect of a run taken back, as far as it goes without a colleague."""
        (done,) = effects_of(await read_run(self.world.store.tenant(ASKER), run))
        async with asyncio.TaskGroup() as group:
            return await self.world.runs(group).undo(who, UndoRequest(run, done.seq, reason), secrets.token_hex(16))

    async def told(self, run: RunId, who: TenantContext = ASKER) -> EffectTold:
        data = self.world.store.tenant(who)
        (one,) = await effects_told(await read_run(data, run), data, fetcher(data), self.world.services.registry)
        return one

    async def state(self, run: RunId) -> RunState:
        return (await self.world.progress(ASKER, run)).state

    def kinds(self) -> list[str]:
        return [kind for kind, _, _ in self.world.office.effects(TENANT)]


@pytest.fixture
async def company(store: Store, tmp_path: Path) -> AsyncGenerator[Company]:
    seeds: dict[str, BackofficeSeed] = {TENANT: BackofficeSeed.model_validate_json(SEED)}
    clock = MovableClock(CLOCK.now())
    async with open_office(tmp_path / "office", seeds, clock) as office, open_world(store, office) as world:
        yield Company(world, clock)


async def refunded(company: Company) -> RunId:
    return await company.did(REFUND, "Refund 12.50 EUR of AB-100")


async def test_a_refund_is_taken_back_once_a_colleague_has_approved_that_too(company: Company) -> None:
    run = await refunded(company)
    assert (await company.told(run)).undo.possible
    undoing = await company.undo(run)
    assert (await company.state(undoing), company.kinds()) == (RunState.PARKED, ["refund"])
    assert (await company.told(run)).undo.state == "under_way"
    waits = await company.world.waiting(ASKER, undoing)
    assert waits
    await company.world.decide(APPROVER, waits)
    assert await company.state(undoing) is RunState.COMPLETED
    assert company.kinds() == ["refund", "refund_cancellation"]
    told = (await company.told(run)).undo
    assert (told.possible, told.state, told.run) == (False, "done", undoing)


async def test_the_run_that_takes_it_back_names_what_and_was_decided_like_any_other(company: Company) -> None:
    run = await refunded(company)
    undoing = await company.undo(run)
    events = await read_run(company.world.store.tenant(ASKER), undoing)
    opened = events[0].event.body
    assert isinstance(opened, RunOpened)
    (done,) = effects_of(await read_run(company.world.store.tenant(ASKER), run))
    assert opened.undoes == Undoes(run=run, seq=done.seq, did="issue_refund", tool="cancel_refund")
    bodies = [stored.event.body for stored in events]
    (decision,) = [body for body in bodies if isinstance(body, DecisionMade)]
    assert decision.decision.lane is Lane.APPROVAL
    assert decision.decision.facts["agent_tools"] == ("cancel_refund",)
    assert any(isinstance(body, ApprovalRequested) and body.tool == "cancel_refund" for body in bodies)


async def test_what_was_taken_back_is_not_taken_back_again(company: Company) -> None:
    run = await refunded(company)
    undoing = await company.undo(run)
    with pytest.raises(ExceptionGroup) as meanwhile:
        await company.undo(run, OWNER)
    assert meanwhile.group_contains(Conflict, match="already")
    waits = await company.world.waiting(ASKER, undoing)
    assert waits
    await company.world.decide(APPROVER, waits)
    with pytest.raises(ExceptionGroup) as afterwards:
        await company.undo(run, OWNER)
    assert afterwards.group_contains(Conflict, match="taken back already")
    assert company.kinds() == ["refund", "refund_cancellation"]


async def test_of_two_who_take_it_back_at_once_one_does(company: Company) -> None:
    run = await company.did(TICKET, "Open a ticket for AB-100: Lamp")
    tries = await asyncio.gather(*(company.undo(run, who) for who in (ASKER, OWNER)), return_exceptions=True)
    assert sorted(isinstance(one, str) for one in tries) == [False, True]
    assert company.kinds() == ["ticket", "ticket_closure"]


async def test_what_the_rules_let_go_ahead_needs_nobody(company: Company) -> None:
    run = await company.did(TICKET, "Open a ticket for AB-100: Lamp")
    assert await company.state(await company.undo(run)) is RunState.COMPLETED
    assert company.kinds() == ["ticket", "ticket_closure"]


async def test_after_a_no_it_can_be_tried_again_and_whoever_asks_does_not_decide(company: Company) -> None:
    run = await refunded(company)
    first = await company.undo(run, OWNER)
    waits = await company.world.waiting(OWNER, first)
    assert waits
    with pytest.raises(ExceptionGroup):
        await company.world.decide(OWNER, waits)
    await company.world.decide(APPROVER, waits, approve=False)
    assert await company.state(first) is RunState.REFUSED
    assert (await company.told(run)).undo.state == "refused"
    second = await company.undo(run)
    assert second != first
    waits = await company.world.waiting(ASKER, second)
    assert waits
    await company.world.decide(APPROVER, waits)
    assert company.kinds() == ["refund", "refund_cancellation"]


async def test_what_is_paid_out_stays_and_the_other_system_says_so(company: Company) -> None:
    run = await refunded(company)
    company.clock.time += timedelta(hours=1)
    undoing = await company.undo(run)
    waits = await company.world.waiting(ASKER, undoing)
    assert waits
    await company.world.decide(APPROVER, waits)
    assert await company.state(undoing) is RunState.FAILED
    told = (await company.told(run)).undo
    assert (told.state, told.said) == ("failed", "The refund is paid out and cannot be taken back any more.")
    assert company.kinds() == ["refund"]


async def test_an_e_mail_cannot_be_taken_back(company: Company) -> None:
    run = await company.did(EMAIL, "Write to ada@berg.example that we are sorry")
    told = (await company.told(run)).undo
    assert (told.possible, told.because) == (False, "There is no way to take this back from here.")
    with pytest.raises(ExceptionGroup) as refused:
        await company.undo(run)
    assert refused.group_contains(Conflict)


@pytest.mark.parametrize(
    "who", [OTHER, APPROVER, AUDITOR, STRANGER], ids=["a member", "approver", "auditor", "stranger"]
)
async def test_it_is_for_who_asked_for_it_and_for_admins_and_the_owner(company: Company, who: TenantContext) -> None:
    run = await refunded(company)
    with pytest.raises(ExceptionGroup) as refused:
        await company.undo(run, who)
    assert refused.group_contains(NotFound)
    assert company.kinds() == ["refund"]


async def test_what_takes_back_is_offered_to_no_model(company: Company) -> None:
    """A model that calls it all the same is refused: the agent was not given it."""
    run = await refunded(company)
    (done,) = company.world.office.effects(TENANT)
    company.world.model.script = lambda request: follow(["[[cancel_refund refund_id=refund-1]]"], request)
    tried = await company.world.ask(ASKER, "Cancel the refund refund-1")
    assert (done[2], company.kinds()) == (run, ["refund"])
    bodies = [stored.event.body for stored in await read_run(company.world.store.tenant(ASKER), tried)]
    (decision,) = [one for one in bodies if isinstance(one, DecisionMade) and one.target == "cancel_refund"]
    assert (decision.decision.lane, decision.decision.policies) == (Lane.NEVER, ("publisher/tool-not-given",))


# What a tool may declare.


async def give(call: ToolCall, order: str) -> EffectTold | Refusal:
    """Give something."""
    return Refusal("no", "No.")


async def take(call: ToolCall, name: str) -> EffectTold | Refusal:
    """Take it back."""
    return Refusal("no", "No.")


@pytest.mark.parametrize(
    "undo",
    [
        Undo("give", {"name": "result.tool"}, "noon"),
        Undo("take", {"name": "result.nothing"}, "noon"),
        Undo("take", {"name": "arguments.nothing"}, "noon"),
        Undo("take", {}, "noon"),
        Undo("take", {"name": "result.tool", "more": "result.tool"}, "noon"),
        Undo("nobody", {"name": "result.tool"}, "noon"),
    ],
)
def test_a_tool_that_cannot_be_undone_as_it_says_is_a_defect(undo: Undo) -> None:
    with pytest.raises(Defect):
        Registry(
            [
                tool(effect=Effect.WRITE, reversible=True, consequence="Gives.", undone_by=undo)(give),
                tool(effect=Effect.WRITE, reversible=True, consequence="Takes.")(take),
            ]
        )
