"""Money that agents move: counted exactly, whoever moves it at the same time."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from clocks import MovableClock
from control import Amount, Budgets, Money, TenantRecord, contexts
from control.money import MOST, WINDOW
from core import PrincipalId, TenantId, derived_id
from core.errors import Conflict
from data import Store, TenantData
from data.sqlite import open_store
from entitled import by_plan

ANNA, BEN = PrincipalId("prn_anna"), PrincipalId("prn_ben")


START = datetime(2026, 11, 30, 12, 3, tzinfo=UTC)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(tmp_path / "store.db") as opened:
        yield opened


def of(store: Store, name: str = "contoso") -> TenantData:
    record = TenantRecord(id=TenantId(derived_id("ten", name)), name=name, plan="team", region="local")
    return store.tenant(contexts.platform(record, "test"))


async def moved(money: Money, data: TenantData, user: PrincipalId = ANNA) -> tuple[object, object]:
    facts = await money.set_aside(data, "looking", user, 0)
    await money.give_back(data, "looking")
    return facts["moved_by_user_cents"], facts["moved_by_tenant_cents"]


async def test_what_was_moved_is_told_by_person_and_in_all_for_a_day(store: Store) -> None:
    clock = MovableClock(START)
    money, data = Money(clock), of(store)
    assert await money.set_aside(data, "run/1", ANNA, 300) == {"moved_by_user_cents": 0, "moved_by_tenant_cents": 0}
    assert await money.set_aside(data, "run/2", BEN, 50) == {"moved_by_user_cents": 0, "moved_by_tenant_cents": 300}
    assert await moved(money, data) == (300, 350)
    assert await moved(money, of(store, "fabrikam")) == (0, 0)
    clock.time += WINDOW
    assert await moved(money, data) == (300, 350)
    clock.time += timedelta(milliseconds=1)
    assert await moved(money, data) == (0, 0)


async def test_setting_aside_again_after_a_crash_counts_once_and_what_failed_counts_not(store: Store) -> None:
    data, clock = of(store), MovableClock(START)
    await Money(clock).set_aside(data, "run/1", ANNA, 300)
    assert (await Money(clock).set_aside(data, "run/1", ANNA, 300))["moved_by_user_cents"] == 0
    assert await moved(Money(clock), data) == (300, 300)
    await Money(clock).give_back(data, "run/1")
    assert await moved(Money(clock), data) == (0, 0)


async def test_of_many_at_once_in_many_processes_each_sees_all_before_it(store: Store) -> None:
    clock, limit = MovableClock(START), 500

    async def process(number: int) -> bool:
        facts = await Money(clock).set_aside(of(store), f"run/{number}", ANNA, 100)
        before = facts["moved_by_tenant_cents"]
        assert isinstance(before, int)
        return before + 100 <= limit

    allowed = await asyncio.gather(*(process(number) for number in range(12)))
    assert sum(allowed) == limit // 100


async def test_a_clock_that_is_set_back_frees_nothing(store: Store) -> None:
    clock = MovableClock(START)
    money, data = Money(clock), of(store)
    await money.set_aside(data, "run/1", ANNA, 300)
    clock.time -= timedelta(days=3)
    assert await moved(money, data) == (300, 300)


async def test_an_amount_that_takes_money_back_frees_nothing(store: Store) -> None:
    money, data = Money(MovableClock(START)), of(store)
    await money.set_aside(data, "run/1", ANNA, 300)
    await money.set_aside(data, "run/2", ANNA, -300)
    assert await moved(money, data) == (300, 300)


async def test_more_than_can_be_counted_is_refused(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    assert MOST > 1000
    monkeypatch.setattr("control.money.MOST", 2)
    money, data = Money(MovableClock(START)), of(store)
    for number in range(2):
        await money.set_aside(data, f"run/{number}", ANNA, 1)
    with pytest.raises(Conflict) as refused:
        await money.set_aside(data, "run/2", ANNA, 1)
    assert refused.value.code == "limit.moves"


async def test_tool_calls_are_counted_for_an_hour_by_all_processes(store: Store) -> None:
    clock, limits = MovableClock(START), by_plan({"team": Amount(micros=1000, tokens=1000)})
    mine, others = Budgets(clock, limits), Budgets(clock, limits)
    data = of(store)
    for _ in range(3):
        mine.count_call(data)
    await mine.reserve(data, "run/1", 1)
    others.count_call(data)
    await others.flush(data)
    assert await mine.calls_in_hour(data) == 3, "what another process counted is seen within five seconds"
    clock.time += timedelta(seconds=5)
    assert await mine.calls_in_hour(data) == await others.calls_in_hour(data) == 4
    clock.time += timedelta(minutes=56)
    assert await mine.calls_in_hour(data) == 4, "counted by five minutes, so up to five more"
    clock.time += timedelta(minutes=6)
    assert await mine.calls_in_hour(data) == 0
