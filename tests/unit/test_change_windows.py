"""When a change comes to an organisation: its own windows and freezes, within the publisher's bounds."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clocks import MovableClock
from control import (
    ChangeBounds,
    ChangeFreeze,
    ChangeSchedule,
    ChangeWindow,
    ChangeWindowsRecord,
    Directory,
    Features,
    Flag,
    Flags,
    contexts,
)
from control.change_windows import DAYS, hours_a_week, takes_effect
from control.records import TenantRecord
from core import TenantId, timestamp
from core.errors import Unprocessable
from data import Store, TenantData
from data.sqlite import open_store

BOUNDS = ChangeBounds(least_hours_a_week=4, most_wait_days=30, longest_freeze_days=28)
MONDAY = datetime(2026, 11, 23, tzinfo=UTC)
TUESDAY_NIGHT = ChangeWindow(day="tue", start="22:00", hours=4)
TENANT = TenantId("ten_0000000000000000000000000a")


def since(moment: datetime, *windows: ChangeWindow, freezes: tuple[ChangeFreeze, ...] = ()) -> ChangeSchedule:
    return ChangeSchedule(since=timestamp(moment), windows=windows, freezes=freezes)


def frozen(first: datetime, days: int) -> ChangeFreeze:
    return ChangeFreeze(since=timestamp(first), until=timestamp(first + timedelta(days=days)))


def hour(day: int, of: int, minute: int = 0) -> datetime:
    return MONDAY + timedelta(days=day, hours=of, minutes=minute)


@pytest.mark.parametrize(
    ("announced", "comes"),
    [
        (hour(0, 9), hour(1, 22)),
        (hour(1, 22), hour(1, 22)),
        (hour(2, 1, 59), hour(2, 1, 59)),  # it goes on after midnight
        (hour(2, 2), hour(8, 22)),
    ],
)
def test_a_change_waits_for_the_window_to_open(announced: datetime, comes: datetime) -> None:
    assert takes_effect(announced, [since(MONDAY, TUESDAY_NIGHT)], BOUNDS) == comes


def test_a_freeze_holds_a_change_back_until_it_ends_and_a_window_opens() -> None:
    freeze = frozen(hour(1, 0), 3)
    assert takes_effect(hour(0, 9), [since(MONDAY, freezes=(freeze,))], BOUNDS) == hour(0, 9)
    assert takes_effect(hour(1, 9), [since(MONDAY, freezes=(freeze,))], BOUNDS) == hour(4, 0)
    assert takes_effect(hour(0, 9), [since(MONDAY, TUESDAY_NIGHT, freezes=(freeze,))], BOUNDS) == hour(8, 22)


def test_no_change_waits_for_longer_than_the_publisher_lets_it_and_an_urgent_one_not_at_all() -> None:
    back_to_back = tuple(frozen(hour(28 * n, 0), 28) for n in range(3))
    held = [since(MONDAY, freezes=back_to_back)]
    assert takes_effect(hour(0, 9), held, BOUNDS) == hour(30, 9)
    assert takes_effect(hour(0, 9), held, BOUNDS, urgent=True) == hour(0, 9)


def test_what_has_come_stays_whatever_is_chosen_later() -> None:
    before = takes_effect(hour(0, 9), [since(hour(-7, 0))], BOUNDS)
    later = [since(hour(-7, 0)), since(hour(1, 0), TUESDAY_NIGHT, freezes=(frozen(hour(1, 0), 20),))]
    assert takes_effect(hour(0, 9), later, BOUNDS) == before == hour(0, 9)
    assert takes_effect(hour(0, 9), [later[1]], BOUNDS) == hour(0, 9), "nothing was chosen yet when it came"


windows = st.builds(
    ChangeWindow,
    day=st.sampled_from(DAYS),
    start=st.builds("{:02}:{:02}".format, st.integers(0, 23), st.integers(0, 59)),
    hours=st.integers(1, 24),
)


@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(windows, min_size=1, max_size=3), st.integers(0, 7 * 24 * 60))
def test_a_change_never_comes_outside_of_a_window_and_never_before_its_time(
    chosen: list[ChangeWindow], minute: int
) -> None:
    announced = MONDAY + timedelta(minutes=minute)
    comes = takes_effect(announced, [since(MONDAY, *chosen)], BOUNDS)
    assert announced <= comes <= announced + timedelta(days=7)
    starts = [
        MONDAY + timedelta(weeks=week, days=DAYS.index(one.day), hours=int(one.start[:2]), minutes=int(one.start[3:]))
        for week in (-1, 0, 1, 2)
        for one in chosen
    ]
    lengths = [timedelta(hours=one.hours) for _ in range(4) for one in chosen]
    assert any(start <= comes < start + length for start, length in zip(starts, lengths, strict=True))
    assert 1 <= hours_a_week(chosen) <= 168


@dataclass
class World:
    store: Store
    clock: MovableClock = field(default_factory=lambda: MovableClock(MONDAY))
    flags: list[Flag] = field(default_factory=list[Flag])
    bounds: ChangeBounds = BOUNDS

    async def onboarded(self, ring: str, tenant: TenantId = TENANT) -> TenantData:
        record = TenantRecord(id=tenant, name="A", plan="team", region="westeurope", ring=ring)
        await Directory(self.store, self.clock).create_tenant(record)
        return self.store.tenant(contexts.platform(record, "test"))

    @property
    def features(self) -> Features:
        directory = Directory(self.store, self.clock)
        return Features(directory, self.clock, lambda: Flags(self.flags), lambda: self.bounds)

    @property
    def data(self) -> TenantData:
        record = TenantRecord(id=TENANT, name="A", plan="team", region="westeurope")
        return self.store.tenant(contexts.platform(record, "test"))


@pytest.fixture
async def world(tmp_path: Path) -> AsyncGenerator[World]:
    async with open_store(tmp_path / "store.db") as store:
        yield World(store)


def flag(*, targeted: bool = True, urgent: bool = False, **announced: datetime) -> Flag:
    audience = {"Audience": {"Groups": [{"Name": ring} for ring in announced]}}
    told: dict[str, Any] = {"From": {ring: at.isoformat() for ring, at in announced.items()}, "Urgent": urgent}
    filters: list[dict[str, Any]] = [{"name": "Mandate.ChangeWindow", "parameters": told}]
    if targeted:
        filters.append({"name": "Microsoft.Targeting", "parameters": audience})
    conditions = {"requirement_type": "All", "client_filters": filters}
    given: dict[str, Any] = {"id": "newer", "description": "A newer model.", "enabled": True, "conditions": conditions}
    return Flag.model_validate(given)


async def test_a_feature_comes_ring_by_ring_and_to_each_organisation_in_its_window(world: World) -> None:
    await world.onboarded("general")
    await world.features.save(world.data, [TUESDAY_NIGHT], [])
    world.flags = [flag(early=hour(0, 9))]
    assert await world.features.changes(world.data) == [], "it is not for this ring yet"

    world.flags = [flag(early=hour(0, 9), general=hour(0, 12))]
    (change,) = await world.features.changes(world.data)
    assert (change.state, change.announced, change.at) == ("announced", hour(0, 12), hour(1, 22))
    world.clock.time = hour(1, 12)
    assert (await world.features.changes(world.data))[0].state == "waiting"
    assert await world.features.on(world.data) == frozenset()

    world.clock.time = hour(1, 22)
    assert await world.features.on(world.data) == {"newer"}
    assert (await world.features.changes(world.data))[0].state == "here"


async def test_organisations_beside_each_other_have_their_own_features_and_windows(world: World) -> None:
    one = await world.onboarded("early")
    other = await world.onboarded("general", TenantId("ten_0000000000000000000000000b"))
    third = await world.onboarded("early", TenantId("ten_0000000000000000000000000c"))
    only: dict[str, Any] = {"Audience": {"Users": [third.context.tenant]}}
    targeted = {"requirement_type": "All", "client_filters": [{"name": "Microsoft.Targeting", "parameters": only}]}
    mine = {"id": "mine", "description": "Theirs alone.", "enabled": True, "conditions": targeted}
    world.flags = [flag(early=hour(0, 0)), Flag.model_validate(mine)]
    features = world.features
    assert [await features.on(data) for data in (one, other, third)] == [{"newer"}, frozenset(), {"newer", "mine"}]
    assert [len(await features.changes(data)) for data in (one, other, third)] == [1, 0, 2]
    world.clock.time = hour(7, 1)
    await features.save(third, [TUESDAY_NIGHT], [])
    world.flags = [flag(early=hour(7, 2))]
    world.clock.time = hour(7, 3)
    assert [await features.on(data) for data in (one, third)] == [{"newer"}, frozenset()]
    await features.save(third, [], [])
    assert await features.on(third) == {"newer"}, "what is saved here holds at once"


async def test_switching_a_flag_off_takes_it_back_at_once(world: World) -> None:
    await world.onboarded("general")
    world.flags = [flag(general=hour(-1, 0))]
    assert await world.features.on(world.data) == {"newer"}
    world.flags = [world.flags[0].model_copy(update={"enabled": False})]
    assert await world.features.on(world.data) == frozenset()


@pytest.mark.parametrize(
    ("windows", "freezes", "code"),
    [
        ([ChangeWindow(day="sun", start="03:00", hours=1)], [], "rollout.windows"),
        ([TUESDAY_NIGHT] * 15, [], "rollout.windows"),
        ([], [(hour(0, 0), hour(40, 0))], "rollout.freezes"),
        ([], [(hour(-9, 0), hour(-2, 0))], "rollout.freezes"),
        ([], [(hour(3, 0), hour(2, 0))], "rollout.freezes"),
    ],
)
async def test_what_is_not_within_the_bounds_is_refused(
    world: World, windows: list[ChangeWindow], freezes: list[tuple[datetime, datetime]], code: str
) -> None:
    with pytest.raises(Unprocessable) as refused:
        await world.features.save(world.data, windows, freezes)
    assert refused.value.code == code
    assert (await world.features.schedule(world.data)).since == ""


async def test_only_what_can_still_matter_is_kept_of_former_windows(world: World) -> None:
    for week in range(8):
        world.clock.time = hour(7 * week, 0)
        await replace(world).features.save(world.data, [TUESDAY_NIGHT], [])
    kept = await world.data.records.get(ChangeWindowsRecord, "current")
    assert kept is not None
    assert len(kept.value.schedules) == 6
