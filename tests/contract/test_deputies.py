"""Deputies of approvers who are away, and what waits for long: no right grows, nobody is counted twice."""

import asyncio
import secrets
from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from agent_world import CLOCK, World, open_office, open_world, person
from clocks import MovableClock
from control import PersonRecord
from core import (
    ApprovalId,
    Content,
    ContentClass,
    PrincipalId,
    Role,
    RunId,
    TenantContext,
    TenantId,
    derived_id,
    timestamp,
)
from core.bodies import ApprovalEscalated, ApprovalResolved
from core.errors import Conflict, Forbidden, NotFound, Unprocessable
from core.parts import RunState
from data import APPROVALS, ApprovalSummary, Projector, Store, read_run
from emulators.backoffice import BackofficeSeed
from orchestration import ApprovalRecord, DeputyRecord, deputies_of, name_deputy, places_taken
from orchestration.approvals import ESCALATES_AFTER, LIFETIME, Verdict, decide
from scripted_calls import follow

TENANT = TenantId(derived_id("ten", "deputies"))
ASKER = person(TENANT, "asker", Role.USER)
AWAY, OTHER = person(TENANT, "away", Role.APPROVER), person(TENANT, "other", Role.APPROVER)
DEPUTY, NEXT = person(TENANT, "deputy", Role.USER), person(TENANT, "next", Role.USER)
AUDITOR = person(TENANT, "auditor", Role.AUDITOR)
ASKS_AND_APPROVES = person(TENANT, "both", Role.USER, Role.APPROVER)
EVERYBODY = (ASKER, AWAY, OTHER, DEPUTY, NEXT, AUDITOR, ASKS_AND_APPROVES)
SEED = """{"tickets": [],
"customers": [{"id": "C-1", "name": "Ada", "email": "ada@berg.example", "since": "2024-01-01"}],
"orders": [{"id": "AB-100", "customer": "C-1", "placed": "2026-09-21", "status": "delivered", "currency": "EUR",
"city": "Turku", "total_cents": 9000, "items": [{"sku": "S", "name": "Lamp", "quantity": 1, "price_cents": 9000}]}]}"""
TWO = (
    '@id("two") @lane("approval") @approvers("2") @reason("Two have to look.")'
    'permit (principal, action == Mandate::Action::"call_tool", resource) when { context.effect != "read" };'
)


@dataclass
class Company:
    world: World

    async def asks(self, context: TenantContext = ASKER) -> tuple[RunId, ApprovalId]:
        run = await self.world.ask(context, "Refund 12.50 EUR of AB-100")
        approval = await self.world.waiting(context, run)
        assert approval
        return run, approval

    async def seen_as(self, context: TenantContext, *roles: Role) -> None:
        """Have somebody last seen with these roles."""
        data = self.world.store.tenant(context)
        profile = Content.new(b'{"name": "A"}', kind=ContentClass.PROFILE, owner=context.principal.id)
        await data.content.put([profile])
        found = await data.records.get(PersonRecord, context.principal.id)
        record = PersonRecord(profile=profile.ref, groups=(), groups_at=1.0, roles=roles)
        await data.records.put(context.principal.id, record, etag=found.etag if found else None)

    async def names(self, absent: TenantContext, deputy: TenantContext, *, begins: int = -1, days: int = 7) -> None:
        since = CLOCK.now() + timedelta(days=begins)
        data = self.world.store.tenant(absent)
        await name_deputy(data, CLOCK, deputy=deputy.principal.id, since=since, until=since + timedelta(days=days))

    async def decides(self, who: TenantContext, approval: ApprovalId, *, approve: bool = True) -> ApprovalRecord:
        verdict = Verdict(approve=approve, reason="Seen.", nonce=secrets.token_hex(16))
        return await decide(self.world.services, who, approval, verdict)

    async def look(self, run: RunId) -> None:
        async with asyncio.TaskGroup() as group:
            await self.world.runs(group).look(ASKER, run)


async def opened(store: Store, folder: Path, environment: str) -> AsyncGenerator[Company]:
    seeds: dict[str, BackofficeSeed] = {TENANT: BackofficeSeed.model_validate_json(SEED)}
    async with open_office(folder, seeds) as office, open_world(store, office, environment=environment) as world:
        world.model.script = lambda request: follow(
            ["[[issue_refund order_id=AB-100 amount_cents=1250 reason=Lamp]]"], request
        )
        company = Company(world)
        for one in EVERYBODY:
            await company.seen_as(one, *one.principal.roles)
        yield company


@pytest.fixture
async def company(store: Store, tmp_path: Path) -> AsyncGenerator[Company]:
    async for one in opened(store, tmp_path / "office", ""):
        yield one


@pytest.fixture
async def strict(store: Store, tmp_path: Path) -> AsyncGenerator[Company]:
    """A company where everything takes two people."""
    async for one in opened(store, tmp_path / "office", TWO):
        yield one


async def test_a_deputy_decides_in_the_others_place_and_the_log_says_so(company: Company) -> None:
    await company.names(AWAY, DEPUTY)
    run, approval = await company.asks()
    await company.world.decide(DEPUTY, approval)
    assert len(company.world.office.effects(TENANT)) == 1
    bodies = [stored.event.body for stored in await read_run(company.world.store.tenant(ASKER), run)]
    (resolved,) = [body for body in bodies if isinstance(body, ApprovalResolved)]
    assert (resolved.approver, resolved.in_place_of) == (DEPUTY.principal.actor, AWAY.principal.id)


@pytest.mark.parametrize(("begins", "days"), [(-8, 7 + 0), (1, 7)], ids=["it is over", "it has not begun"])
async def test_a_deputy_decides_only_in_the_time_that_was_named(company: Company, begins: int, days: int) -> None:
    await company.names(AWAY, DEPUTY)
    data = company.world.store.tenant(AWAY)
    found = await data.records.get(DeputyRecord, AWAY.principal.id)
    assert found
    since = CLOCK.now() + timedelta(days=begins)
    times = {"since": timestamp(since), "until": timestamp(since + timedelta(days=days))}
    await data.records.put(AWAY.principal.id, found.value.model_copy(update=times), etag=found.etag)
    _, approval = await company.asks()
    with pytest.raises(Forbidden):
        await company.decides(DEPUTY, approval)


async def test_a_deputy_has_no_more_right_than_the_one_who_is_away(company: Company) -> None:
    await company.names(AWAY, DEPUTY)
    _, approval = await company.asks()
    await company.seen_as(AWAY, Role.USER)  # somebody took the role from them
    with pytest.raises(Forbidden):
        await company.decides(DEPUTY, approval)


async def test_nobody_gets_a_decision_on_their_own_request_by_a_deputy(company: Company) -> None:
    """Neither as the deputy who asked, nor by being the one whose deputy decides."""
    await company.names(AWAY, ASKER)
    _, approval = await company.asks(ASKER)
    with pytest.raises(Forbidden, match="asked for this yourself"):
        await company.decides(ASKER, approval)
    await company.names(ASKS_AND_APPROVES, DEPUTY)
    _, theirs = await company.asks(ASKS_AND_APPROVES)
    with pytest.raises(Forbidden):
        await company.decides(DEPUTY, theirs)


async def test_a_deputy_can_name_nobody_in_turn(company: Company) -> None:
    await company.names(AWAY, DEPUTY)
    with pytest.raises(Forbidden):
        await company.names(DEPUTY, NEXT)
    await company.names(OTHER, AWAY)  # and whoever is away passes on only what is their own
    _, approval = await company.asks()
    await company.seen_as(AWAY, Role.USER)
    with pytest.raises(Forbidden):
        await company.decides(DEPUTY, approval)


async def test_an_auditor_takes_nobodys_place(company: Company) -> None:
    with pytest.raises(Unprocessable, match="may not decide anything"):
        await company.names(AWAY, AUDITOR)
    await company.seen_as(AUDITOR, Role.USER)
    await company.names(AWAY, AUDITOR)  # and whoever was made one since does not either
    _, approval = await company.asks()
    with pytest.raises(Forbidden):
        await company.decides(AUDITOR, approval)


async def test_a_deputy_and_the_one_who_is_away_count_as_one(strict: Company) -> None:
    await strict.names(AWAY, DEPUTY)
    _, approval = await strict.asks()
    await strict.decides(DEPUTY, approval)
    with pytest.raises(Conflict, match="in your place"):
        await strict.decides(AWAY, approval)
    with pytest.raises(Conflict, match="approved this already"):
        await strict.decides(DEPUTY, approval)
    assert (await strict.decides(OTHER, approval)).status == "approved"


async def test_the_deputy_of_two_people_is_one_person(strict: Company) -> None:
    await strict.names(AWAY, DEPUTY)
    await strict.names(OTHER, DEPUTY)
    _, approval = await strict.asks()
    await strict.decides(DEPUTY, approval)
    with pytest.raises(Conflict):
        await strict.decides(DEPUTY, approval)


async def test_two_deputies_of_the_same_place_are_one(strict: Company) -> None:
    await strict.names(AWAY, DEPUTY)
    _, approval = await strict.asks()
    await strict.decides(DEPUTY, approval)
    await strict.names(AWAY, NEXT)
    with pytest.raises(Forbidden):
        await strict.decides(NEXT, approval)


@pytest.mark.parametrize(
    ("deputy", "begins", "days", "error"),
    [
        (AWAY, -1, 7, Unprocessable),
        (DEPUTY, -8, 7, Unprocessable),
        (DEPUTY, 0, 91, Unprocessable),
        (DEPUTY, 2, 0, Unprocessable),
        (person(TENANT, "nobody"), -1, 7, NotFound),
        (person(TenantId(derived_id("ten", "strangers")), "stranger"), -1, 7, NotFound),
    ],
    ids=["oneself", "a time that is over", "for too long", "no time", "nobody", "a stranger"],
)
async def test_a_deputy_is_a_colleague_for_a_time_to_come(
    company: Company, deputy: TenantContext, begins: int, days: int, error: type[Exception]
) -> None:
    with pytest.raises(error):
        await company.names(AWAY, deputy, begins=begins, days=days)


async def test_a_new_deputy_replaces_the_one_before(company: Company) -> None:
    await company.names(AWAY, DEPUTY)
    await company.names(AWAY, NEXT)
    store = company.world.store
    assert [one.deputy async for one in deputies_of(store.tenant(OTHER), CLOCK)] == [NEXT.principal.id]
    assert await places_taken(store.tenant(NEXT), CLOCK) == (PrincipalId(AWAY.principal.id),)
    assert await places_taken(store.tenant(DEPUTY), CLOCK) == ()


# What waits for long.


async def test_owners_and_admins_are_told_once_when_half_of_the_time_is_over(company: Company) -> None:
    run, approval = await company.asks()
    world, clock = company.world, MovableClock(CLOCK.now() + ESCALATES_AFTER - timedelta(minutes=1))
    world.services = replace(world.services, clock=clock)
    await company.look(run)
    assert await told(world, run) == 0
    clock.time += timedelta(minutes=2)
    await company.look(run)
    await company.look(run)
    assert await told(world, run) == 1
    assert (await world.progress(ASKER, run)).state is RunState.PARKED
    await Projector(world.store.platform).catch_up()
    (row,) = (await world.store.tenant(ASKER).views.list(APPROVALS.view)).items
    line = ApprovalSummary.model_validate_json(row.body)
    assert (line.approval, line.escalated, line.verdict) == (approval, True, "pending")
    await world.decide(OTHER, approval)
    assert (await world.progress(ASKER, run)).state is RunState.COMPLETED


async def test_waiting_for_long_gives_an_admin_no_right_to_decide(company: Company) -> None:
    run, approval = await company.asks()
    world = company.world
    world.services = replace(world.services, clock=MovableClock(CLOCK.now() + ESCALATES_AFTER + timedelta(hours=1)))
    await company.look(run)
    with pytest.raises(Forbidden):
        await company.decides(person(TENANT, "admin", Role.ADMIN), approval)


async def test_what_was_told_still_expires(company: Company) -> None:
    run, _ = await company.asks()
    world, clock = company.world, MovableClock(CLOCK.now() + ESCALATES_AFTER + timedelta(minutes=1))
    world.services = replace(world.services, clock=clock)
    await company.look(run)
    clock.time = CLOCK.now() + LIFETIME + timedelta(minutes=1)
    await company.look(run)
    assert (await world.progress(ASKER, run)).state is RunState.COMPLETED
    assert world.office.effects(TENANT) == []


async def told(world: World, run: RunId) -> int:
    events = await read_run(world.store.tenant(ASKER), run)
    return sum(isinstance(stored.event.body, ApprovalEscalated) for stored in events)
