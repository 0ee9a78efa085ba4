"""Budgets over a real store: exact, whoever reserves at the same time."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from clocks import MovableClock
from control import Amount, Budgets, TenantRecord, contexts
from control.budgets import SEEN_SECONDS
from core import TenantId, derived_id
from core.errors import BudgetSpent, Defect
from data import Store, TenantData
from data.sqlite import open_store
from entitled import by_plan

LIMITS = by_plan({"team": Amount(micros=1000, tokens=10_000)})


START = datetime(2026, 11, 30, 23, 59, tzinfo=UTC)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(tmp_path / "store.db") as opened:
        yield opened


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock(START)


def of(store: Store, name: str = "contoso", plan: str = "team") -> TenantData:
    record = TenantRecord(id=TenantId(derived_id("ten", name)), name=name, plan=plan, region="local")
    return store.tenant(contexts.platform(record, "test"))


async def test_what_is_reserved_is_gone_until_it_is_settled_for_what_it_cost(store: Store, clock: MovableClock) -> None:
    budgets, data = Budgets(clock, LIMITS), of(store)
    await budgets.reserve(data, "run/1", 600)
    assert await budgets.left(data) == 400
    with pytest.raises(BudgetSpent):
        await budgets.reserve(data, "run/2", 401)
    await budgets.settle(data, "run/1", 100)
    assert await budgets.left(data) == 900
    await budgets.settle(data, "run/1", 100)
    assert await budgets.left(data) == 900
    await budgets.reserve(data, "run/2", 900)
    assert await budgets.left(data) == 0


async def test_reserving_again_after_a_crash_does_not_pay_twice(store: Store, clock: MovableClock) -> None:
    data = of(store)
    await Budgets(clock, LIMITS).reserve(data, "run/1", 700)
    after = Budgets(clock, LIMITS)
    await after.reserve(data, "run/1", 700)
    assert await after.left(data) == 300


async def test_tokens_are_limited_as_well(store: Store, clock: MovableClock) -> None:
    budgets, data = Budgets(clock, LIMITS), of(store)
    await budgets.reserve(data, "run/1", 0, tokens=10_000)
    with pytest.raises(BudgetSpent) as refused:
        await budgets.reserve(data, "run/2", 0, tokens=1)
    assert refused.value.code == "budget.tokens"


async def test_a_hundred_reserves_at_once_from_two_processes_are_exact(store: Store, clock: MovableClock) -> None:
    budgets = [Budgets(clock, LIMITS), Budgets(clock, LIMITS)]
    data = of(store)
    results = await asyncio.gather(
        *(budgets[n % 2].reserve(data, f"run{n}/1", 30) for n in range(100)), return_exceptions=True
    )
    granted = [result for result in results if not isinstance(result, BaseException)]
    assert len(granted) == 33
    assert all(isinstance(result, BudgetSpent) for result in results if isinstance(result, BaseException))
    assert await budgets[0].left(data) == 10

    # Each is settled twice, by both processes, while others reserve.
    await asyncio.gather(
        *(which.settle(data, reservation.key, 20) for reservation in granted for which in budgets),
        *(budgets[0].reserve(data, f"late{n}/1", 1) for n in range(5)),
    )
    clock.time += timedelta(seconds=SEEN_SECONDS)  # what the other process did is known by then
    assert await budgets[1].left(data) == 1000 - 33 * 20 - 5


async def test_another_process_that_settles_makes_room_at_once(store: Store, clock: MovableClock) -> None:
    first, second, data = Budgets(clock, LIMITS), Budgets(clock, LIMITS), of(store)
    await first.reserve(data, "run/1", 1000)
    await second.settle(data, "run/1", 10)
    await first.reserve(data, "run/2", 990)


async def test_a_caller_who_goes_away_leaves_the_others_served(store: Store, clock: MovableClock) -> None:
    budgets, data = Budgets(clock, LIMITS), of(store)
    tasks = [asyncio.create_task(budgets.reserve(data, f"run{n}/1", 1)) for n in range(20)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(results[0], asyncio.CancelledError)
    assert not any(isinstance(result, BaseException) for result in results[1:])
    assert await budgets.left(data) in (980, 981)


async def test_a_new_month_starts_with_the_whole_budget_but_what_is_open_stays_open(
    store: Store, clock: MovableClock
) -> None:
    budgets, data = Budgets(clock, LIMITS), of(store)
    await budgets.reserve(data, "run/1", 500)
    await budgets.reserve(data, "run/2", 300)
    await budgets.settle(data, "run/1", 500)
    clock.time = datetime(2026, 12, 1, tzinfo=UTC)
    assert await budgets.left(data) == 700
    await budgets.settle(data, "run/2", 200)
    assert await budgets.left(data) == 800


async def test_tenants_do_not_share_a_budget_and_an_unknown_plan_has_none(store: Store, clock: MovableClock) -> None:
    budgets = Budgets(clock, LIMITS)
    await budgets.reserve(of(store), "run/1", 1000)
    await budgets.reserve(of(store, "fabrikam"), "run/1", 1000)
    with pytest.raises(Defect, match="free"):
        await budgets.reserve(of(store, "third", plan="free"), "run/1", 1)
    with pytest.raises(Defect):
        await budgets.reserve(of(store), "run/2", -1)
