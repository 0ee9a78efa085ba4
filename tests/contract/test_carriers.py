"""Two processes over one store: each run is one's, passes to the other when its carrier has died, and not before."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from store_samples import member, opened, run_id

from clocks import MovableClock
from core import ApprovalId, Content, ContentClass, Effect, RunId, TenantId, new_id, timestamp
from core.bodies import ApprovalEscalated, ApprovalRequested, RunParked
from core.errors import NotFound
from data import Projector, RunWriter, Store
from orchestration import Carriers, StoreDriver
from orchestration.carriers import LEASE, SKEW

DEAD = LEASE + SKEW
CONTEXT = member()


START = datetime(2026, 11, 24, 8, tzinfo=UTC)


@dataclass
class Process:
    """What carries runs in one process; `looked` are the runs that its driver had it look at."""

    store: Store
    carriers: Carriers
    driver: StoreDriver
    looked: list[RunId] = field(default_factory=list[RunId])
    mine: bool = True

    async def look(self, tenant: TenantId, run: RunId) -> bool:
        assert tenant == CONTEXT.tenant
        self.looked.append(run)
        return self.mine

    async def opens(self, *, parked: bool = False) -> RunId:
        """Open a run in this process, and have the views take it in."""
        writer = RunWriter(self.store.tenant(CONTEXT), run_id(), actor=CONTEXT.principal.actor)
        later = "2027-01-01T00:00:00.000Z"
        first = opened().model_copy(update={"carrier": self.carriers.lease.id, "deadline": later})
        await writer.append([first, *([RunParked(cause="approval", until=later)] if parked else [])])
        await Projector(self.store.platform).catch_up()
        return writer.run

    async def waits(self, *, escalates: str) -> RunWriter:
        """Open a run that waits for a person, of whom more are told at `escalates`."""
        writer = RunWriter(self.store.tenant(CONTEXT), run_id(), actor=CONTEXT.principal.actor)
        later = "2027-01-01T00:00:00.000Z"
        asked = ApprovalRequested(
            approval=ApprovalId(new_id("apr")),
            step=1,
            call=0,
            tool="issue_refund",
            effect=Effect.WRITE,
            arguments=Content.new(b"{}", kind=ContentClass.ARGUMENTS, owner=CONTEXT.principal.id).ref,
            policy_version="1",
            expires_at=later,
            escalates_at=escalates,
        )
        await writer.append([opened(), asked, RunParked(cause="approval", until=later)])
        await Projector(self.store.platform).catch_up()
        return writer

    async def scans(self) -> list[RunId]:
        self.looked.clear()
        await self.driver.scan(self.look)
        return self.looked


async def process(store: Store, clock: MovableClock, name: str = "") -> Process:
    carriers = Carriers(store, clock, name)
    await carriers.begin()
    driver = StoreDriver(store, clock, carriers, Projector(store.platform))
    found = Process(store, carriers, driver)
    await driver.start(found.look)
    found.looked.clear()
    return found


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock(START)


async def test_a_run_passes_on_when_its_carrier_is_dead_and_not_before(
    store: Store, neighbour: Store, clock: MovableClock
) -> None:
    one, other = await process(store, clock), await process(neighbour, clock)
    run = await one.opens()
    for _ in range(3):
        clock.time += LEASE / 2
        await one.carriers.renew()
        await other.carriers.renew()
        assert await other.scans() == []
    clock.time += LEASE - timedelta(seconds=1)
    await other.carriers.renew()
    assert await other.scans() == [], "it may be heard of again"
    clock.time += SKEW + timedelta(seconds=1)
    assert await other.scans() == [run]


async def test_a_lease_that_ran_out_is_lost_for_good_also_for_its_own_process(
    store: Store, clock: MovableClock
) -> None:
    one = await process(store, clock)
    run, lease = await one.opens(), one.carriers.lease
    clock.time += LEASE
    await one.carriers.renew()
    assert not lease.held
    assert one.carriers.lease.held
    assert one.carriers.lease.id != lease.id
    clock.time += SKEW
    assert await one.scans() == [run], "whoever comes first takes it up, its old carrier among them"


async def test_after_a_restart_under_the_same_name_nobody_waits_for_the_lease(
    store: Store, neighbour: Store, clock: MovableClock
) -> None:
    killed = await process(store, clock, "orchestration-1")
    run = await killed.opens()
    restarted = await process(neighbour, clock, "orchestration-1")
    assert await restarted.scans() == [run]


async def test_who_finds_its_name_taken_holds_nothing_any_more_and_leaves_the_name(
    store: Store, neighbour: Store, clock: MovableClock
) -> None:
    frozen = await process(store, clock, "orchestration-1")
    lease = frozen.carriers.lease
    successor = await process(neighbour, clock, "orchestration-1")
    await frozen.carriers.renew()
    assert not lease.held
    await successor.carriers.renew()
    assert successor.carriers.lease.held
    assert {frozen.carriers.lease.id, successor.carriers.lease.id} == await successor.carriers.living()


async def test_a_process_that_stops_in_good_order_leaves_its_runs_at_once(
    store: Store, neighbour: Store, clock: MovableClock
) -> None:
    one, other = await process(store, clock), await process(neighbour, clock)
    run = await one.opens()
    await one.carriers.end()
    assert await other.scans() == [run]


async def test_when_a_process_died_parked_runs_are_looked_at_once(
    store: Store, neighbour: Store, clock: MovableClock
) -> None:
    one, other = await process(store, clock), await process(neighbour, clock)
    run = await one.opens(parked=True)
    assert await other.scans() == []
    for _ in range(2):
        clock.time += DEAD / 2
        await other.carriers.renew()
    assert await other.scans() == [run], "it may have died between a decision and telling the run"
    assert await other.scans() == []


async def test_a_bell_rings_until_the_process_that_has_the_run_has_answered(
    store: Store, neighbour: Store, clock: MovableClock
) -> None:
    one, other = await process(store, clock), await process(neighbour, clock)
    run, other.mine = await one.opens(), False
    await other.driver.wake(CONTEXT.tenant, run)
    await other.driver.wake(CONTEXT.tenant, run)
    await other.driver.answer(other.look)
    await one.driver.answer(one.look)
    await one.driver.answer(one.look)
    assert (one.looked, other.looked) == ([run], [run])


async def test_bells_for_runs_of_the_same_id_ring_in_each_tenant(store: Store, clock: MovableClock) -> None:
    one, run, tenants = await process(store, clock), run_id(), [member().tenant for _ in range(2)]
    looks: list[tuple[TenantId, RunId]] = []

    async def look(tenant: TenantId, found: RunId) -> bool:
        looks.append((tenant, found))
        return True

    for tenant in tenants:
        await one.driver.wake(tenant, run)
    await one.driver.answer(look)
    assert sorted(looks) == sorted((tenant, run) for tenant in tenants)


async def test_a_bell_for_a_run_that_is_gone_falls_silent(store: Store, clock: MovableClock) -> None:
    one = await process(store, clock)
    await one.driver.wake(CONTEXT.tenant, run_id())
    looks: list[RunId] = []

    async def gone(_: TenantId, run: RunId) -> bool:
        looks.append(run)
        raise NotFound("There is no such run.")

    await one.driver.answer(gone)
    await one.driver.answer(gone)
    assert len(looks) == 1


async def test_what_waits_for_long_is_looked_at_until_that_is_told(store: Store, clock: MovableClock) -> None:
    one = await process(store, clock)
    waits = await one.waits(escalates=timestamp(START + timedelta(hours=36)))
    assert await one.scans() == []
    clock.time += timedelta(hours=37)
    await one.carriers.renew()
    await one.scans()  # its own lease was renewed late, and all parked runs are looked at
    assert await one.scans() == [waits.run]
    asked = waits.events[1].event.body
    assert isinstance(asked, ApprovalRequested)
    await waits.append([ApprovalEscalated(approval=asked.approval, step=1, call=0)])
    await Projector(store.platform).catch_up()
    assert await one.scans() == []
