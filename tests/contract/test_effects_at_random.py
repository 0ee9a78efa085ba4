"""Whatever a hostile model proposes, whoever decides and wherever the process dies: no effect without a stored yes.

Where the rules ask for two people, none without two of them.

The check is made where it counts: when a write arrives at the back office, what must allow it is read from the store.
"""

import asyncio
import secrets
from collections import Counter
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent_world import CLOCK, World, open_office, open_world, person
from core import ActionKind, Lane, Permit, Role, RunId, TenantContext, TenantId, action_digest, derived_id, new_id
from core.bodies import ApprovalGiven, ApprovalResolved, DecisionMade
from core.events import Event
from core.parts import RunState
from data import Store, read_run
from emulators.backoffice import BackofficeSeed
from orchestration import ApprovalRecord, Carriers
from orchestration.live import Hub
from orchestration.runs import Runs
from scripted_calls import follow
from tools import Arguments, Caller, Executor, Tool, ToolOutcome, idempotency_key

TENANT, OTHER = TenantId(derived_id("ten", "random")), TenantId(derived_id("ten", "random, another"))
ASKER, APPROVER = person(TENANT, "asker", Role.USER, Role.APPROVER), person(TENANT, "approver", Role.APPROVER)
SECOND = person(TENANT, "second", Role.OWNER)
DECIDERS = {
    "asker": ASKER,
    "approver": APPROVER,
    "second": SECOND,
    "member": person(TENANT, "m"),
    "other": person(OTHER, "o", Role.OWNER),
}

TWO_FOR_MORE = """
@id("more-needs-two") @lane("approval") @approvers("2") @reason("More than 20.00 takes two.")
permit (principal, action == Mandate::Action::"call_tool", resource)
when { context has amount_cents && context.amount_cents > 2000 };
"""

SEED = """{"tickets": [],
"customers": [{"id": "C-1", "name": "Ada", "email": "ada@berg.example", "since": "2024-01-01"}],
"orders": [{"id": "AB-100", "customer": "C-1", "placed": "2026-09-21", "status": "delivered", "currency": "EUR",
"city": "Turku", "total_cents": 9000, "items": [{"sku": "S", "name": "Lamp", "quantity": 1, "price_cents": 9000}]}]}"""

CALLS = (
    "[[lookup_order order_id=AB-100]]",
    "[[read_page url=PAGES/seen]]",
    "[[create_ticket subject=Lamp body=Lamp order_id=AB-100]]",
    "[[create_ticket subject=Lamp body='See http://evil.example' order_id=AB-100]]",
    "[[create_ticket subject=Lamp body=Broken]]",
    "[[issue_refund order_id=AB-100 amount_cents=1250 reason=Lamp]]",
    "[[issue_refund order_id=AB-100 amount_cents=2500 reason=Lamp]]",
    "[[issue_refund order_id=AB-100 amount_cents=700000 reason=Lamp]]",
    "[[send_email to=ada@berg.example subject=Lamp body={customer}]]",
    "[[delete_customer customer_id=C-1]]",
    "[[no_such_tool a=b]]",
    "[[issue_refund order_id=AB-100]]",
)
MESSAGES = (
    "Open a ticket for AB-100: Lamp",
    "Refund 12.50 EUR of AB-100",
    "Read PAGES/seen",
    "Write to ada@berg.example",
)

Die = str
"""Where the process dies: `before` the effect, `after` it, or it `breaks` inside it by a fault of ours."""


class MortalExecutor(Executor):
    """Dies where it is told to, one order for each call: a kill, after which nothing that is not on disk is left."""

    deaths: list[Die]
    died: Counter[Die]

    async def execute(
        self, permit: Permit, tool: Tool, arguments: Arguments, caller: Caller, **more: object
    ) -> ToolOutcome:
        death = self.deaths.pop() if self.deaths else ""
        self.died[death or "lived"] += 1
        if death == "before":
            raise asyncio.CancelledError
        outcome = await super().execute(permit, tool, arguments, caller, **more)  # pyright: ignore[reportArgumentType] - passed on
        if death == "after":
            raise asyncio.CancelledError
        if death == "breaks":
            raise RuntimeError("broken")
        return outcome


@dataclass
class Watched:
    """A product, whose writes are checked against the store as they arrive."""

    world: World
    executor: MortalExecutor
    seen: Counter[str] = field(default_factory=Counter[str])
    unallowed: list[str] = field(default_factory=list[str])

    async def arriving(self, tenant: TenantId, run: RunId, key: str) -> None:
        events = [stored.event for stored in await read_run(self.world.store.tenant(ASKER), run)]
        yes = "".join([await self._yes(events, event) for event in events if _key(run, event) == key])
        self.seen[yes] += 1
        if not yes or tenant != TENANT:
            self.unallowed.append(key)

    async def _yes(self, events: Sequence[Event], at: Event) -> str:
        """Return what allows an effect: the rules, or a colleague; empty if nothing does."""
        made = at.body
        assert isinstance(made, DecisionMade)
        if made.decision.lane is Lane.AUTOMATIC:
            return "the rules"
        if made.decision.lane is Lane.NEVER or made.approval is None or made.arguments is None:
            return ""
        found = await self.world.store.tenant(ASKER).records.get(ApprovalRecord, made.approval)
        asked = (found.value.tool, found.value.arguments.commitment) if found else None
        same = asked == (made.target, made.arguments.commitment)
        amount = made.decision.facts.get("amount_cents", 0)
        needed = 2 if isinstance(amount, int) and amount > 2000 else 1
        said = _approving([event for event in events if event.seq < at.seq], made)
        by = said & {APPROVER.principal.id, SECOND.principal.id}
        return ("a colleague" if needed == 1 else "two") if same and said == by and len(by) >= needed else ""


def _approving(events: Sequence[Event], made: DecisionMade) -> set[str]:
    """Return who approved what was decided on, of which the last word must be a yes."""
    bodies = [event.body for event in events]
    last = [one for one in bodies if isinstance(one, ApprovalResolved) and one.approval == made.approval]
    if [one.verdict for one in last] != ["approved"]:
        return set()
    given = [one for one in bodies if isinstance(one, ApprovalGiven) and one.approval == made.approval]
    return {one.approver.id for one in (*given, *last) if one.approver}


def _key(run: RunId, event: Event) -> str:
    made = event.body
    if not isinstance(made, DecisionMade) or made.kind is not ActionKind.CALL_TOOL or made.arguments is None:
        return ""
    return idempotency_key(run, made.step, made.call, made.arguments.commitment)


@pytest.fixture
async def watched(store: Store, tmp_path: Path) -> AsyncGenerator[Watched]:
    seeds: Mapping[str, BackofficeSeed] = {TENANT: BackofficeSeed.model_validate_json(SEED)}
    async with (
        open_office(tmp_path / "office", seeds) as office,
        open_world(store, office, environment=TWO_FOR_MORE) as world,
    ):
        office.pages["seen"] = "<p>Hello</p>"
        executor = MortalExecutor(world.services.registry, world.egress, CLOCK)
        executor.deaths, executor.died = [], Counter()
        world.services = replace(world.services, executor=executor)
        found = Watched(world, executor)
        office.arriving = found.arriving
        yield found


async def restart(world: World) -> None:
    """Have another process of the same name take the place of the one that died."""
    carriers = Carriers(world.store, CLOCK, "orchestration-1")
    await carriers.begin()
    world.services = replace(world.services, carriers=carriers, hub=Hub())


async def carry(world: World, run: RunId, moves: Sequence[str]) -> None:
    """Let time pass: who is asked decides, or tries to; a run that was left behind is taken up again."""
    for move in moves:
        progress = await world.progress(ASKER, run)
        if progress.state not in (RunState.RUNNING, RunState.PARKED):
            return
        if waits := await world.waiting(ASKER, run):
            who, _, answer = move.partition(" ")
            with suppress(ExceptionGroup):
                await world.decide(DECIDERS[who], waits, approve=answer == "yes")
        else:
            await restart(world)
            async with asyncio.TaskGroup() as group:
                await Runs(world.services, group).look(ASKER, run)


moves = st.sampled_from(
    ["approver yes", "approver yes", "second yes", "approver no", "second no", "asker yes", "member yes", "other yes"]
)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    calls=st.lists(st.sampled_from(CALLS), min_size=1, max_size=5),
    message=st.sampled_from(MESSAGES),
    quoted=st.booleans(),
    deaths=st.lists(st.sampled_from(["", "", "before", "after", "breaks"]), max_size=5),
    decisions=st.lists(moves, min_size=4, max_size=8),
)
async def test_no_effect_without_a_stored_yes_and_none_twice(
    watched: Watched, calls: list[str], message: str, quoted: bool, deaths: list[Die], decisions: list[str]
) -> None:
    world, pages = watched.world, f"{watched.world.office.url}/pages"
    script = [line.replace("PAGES", pages) for line in calls]
    world.model.script = lambda request: follow(script, request)
    watched.executor.deaths = list(deaths)
    asked = len(world.office.asked)
    run = await world.ask(ASKER, message.replace("PAGES", pages), quoted=["Do as you are told."] if quoted else [])
    await carry(world, run, decisions)
    assert watched.unallowed == []
    keys = world.office.keys(TENANT)
    assert len(keys) == len(set(keys)), "an effect was done twice"
    assert len(world.office.asked) - asked <= await pages_allowed(world, run)


async def pages_allowed(world: World, run: RunId) -> int:
    """Return how often the run was allowed to read a page."""
    made = [stored.event.body for stored in await read_run(world.store.tenant(ASKER), run)]
    allowed = [one for one in made if isinstance(one, DecisionMade) and one.target == "read_page"]
    return sum(one.decision.lane is Lane.AUTOMATIC or one.approval is not None for one in allowed)


@pytest.mark.parametrize("death", ["", "before", "after", "breaks"])
@pytest.mark.parametrize(
    ("message", "call", "yes"),
    [
        (MESSAGES[0], CALLS[2], "the rules"),
        (MESSAGES[1], CALLS[5], "a colleague"),
        (MESSAGES[1], CALLS[6], "two"),
    ],
    ids=["by the rules", "by a colleague", "by two of them"],
)
async def test_the_sequences_do_reach_the_back_office(
    watched: Watched, message: str, call: str, yes: str, death: Die
) -> None:
    """What the test above looks for is there to be found: effects of both kinds, and deaths around them."""
    world = watched.world
    world.model.script = lambda request: follow([call], request)
    watched.executor.deaths = [death]
    run = await world.ask(ASKER, message)
    await carry(world, run, ["approver yes", "second yes", "approver yes"])
    assert watched.executor.died[death or "lived"] == 1
    assert watched.seen == ({} if death == "before" else {yes: 1})
    state = (await world.progress(ASKER, run)).state
    assert state is (RunState.OUTCOME_UNKNOWN if death else RunState.COMPLETED)


async def test_an_effect_that_nobody_allowed_would_be_noticed(watched: Watched) -> None:
    world = watched.world
    run = await world.ask(ASKER, "Hello")
    tool = world.services.registry.get("create_ticket")
    assert tool
    arguments = tool.parse('{"subject": "Lamp", "body": "Lamp"}')
    forged = Permit(
        tenant=TENANT,
        run=run,
        decision_seq=1,
        digest=action_digest(TENANT, run, ActionKind.CALL_TOOL, tool.name, arguments.values),
    )
    await world.services.executor.execute(forged, tool, arguments, _caller(ASKER, run))
    assert len(watched.unallowed) == 1


def _caller(context: TenantContext, run: RunId) -> Caller:
    return Caller(
        tenant=context.tenant,
        run=run,
        on_behalf_of=context.principal.id,
        correlation="c",
        idempotency_key=new_id("idem") + secrets.token_hex(4),
        deadline=CLOCK.now() + timedelta(minutes=1),
        held=lambda: True,
    )
