"""Which tenants reach the candidate revision, and for which rings it is announced."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from clocks import MovableClock
from control import ChangeBounds, ChangeWindow, Directory, Features, Flag, Flags, contexts
from control.records import TenantRecord
from core import SystemClock, TenantContext, TenantId
from core.errors import Conflict, NotFound
from data import Store
from data.sqlite import open_store
from data.sqlite.records import SqliteRecords
from mandate.compose import candidate_of
from mandate.configuration.candidate import candidate
from mandate.host import Host
from web import AssertionSigner, Candidate, Network, PeerClient, PeerRequest
from web.transports import PeerAnswer

RINGS = ("internal", "early", "general")
MONDAY = datetime(2026, 11, 23, 9, tzinfo=UTC)
BOUNDS = ChangeBounds(least_hours_a_week=4, most_wait_days=30, longest_freeze_days=28)
TUESDAY_NIGHT = ChangeWindow(day="tue", start="22:00", hours=4)
INTERNAL, PATIENT, GENERAL = (
    TenantRecord(id=TenantId(f"ten_{'0' * 25}{n}"), name="A", plan="team", region="eu", ring=ring)
    for n, ring in (("a", "internal"), ("b", "internal"), ("c", "general"))
)
OTHER = Flag(id="newer", description="A newer model.", enabled=True)


@dataclass
class Way:
    """A revision that answers with its name, and remembers for whom it was asked."""

    name: str
    asked: list[str] = field(default_factory=list[str])

    @asynccontextmanager
    async def exchange(self, request: PeerRequest) -> AsyncGenerator[PeerAnswer]:
        self.asked.append(request.path)
        yield PeerAnswer(200, {}, self._said())

    async def _said(self) -> AsyncIterator[bytes]:
        yield self.name.encode()


class Tokens:
    async def token(self, scope: str) -> str:
        return scope


@dataclass
class World:
    store: Store
    clock: MovableClock = field(default_factory=lambda: MovableClock(MONDAY))
    flags: list[Flag] = field(default_factory=list[Flag])
    reads: int = 0

    @property
    def host(self) -> Host:
        """What composition asks of its host here."""
        directory = Directory(self.store, self.clock)
        features = Features(directory, self.clock, lambda: Flags(self.flags), lambda: BOUNDS)
        settings = SimpleNamespace(orchestration_candidate_url="https://candidate.example")
        configuration = SimpleNamespace(flags=Flags(self.flags))
        host = SimpleNamespace(
            settings=settings, configuration=configuration, features=features, store=self.store, session=None
        )
        return cast("Host", host)

    async def onboarded(self, *tenants: TenantRecord) -> None:
        for tenant in tenants:
            await Directory(self.store, self.clock).create_tenant(tenant)

    def announce(self, ring: str, *, urgent: bool = False) -> None:
        self.flags.append(candidate(None, [ring], ring, self.clock.time, urgent=urgent))


def of(tenant: TenantRecord) -> TenantContext:
    return contexts.platform(tenant, "test")


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[World]:
    async with open_store(tmp_path / "store.db") as store:
        world, get = World(store), SqliteRecords.get

        async def counted(records: SqliteRecords, model: Any, key: str) -> Any:
            world.reads += 1
            return await get(records, model, key)

        monkeypatch.setattr(SqliteRecords, "get", counted)
        yield world


async def reached(client: PeerClient, tenant: TenantRecord) -> str:
    soon = SystemClock().now() + timedelta(seconds=5)
    return (await client.call(of(tenant), "GET", f"/{tenant.id}", deadline=soon)).decode()


def client(way: Way, candidate: Candidate | None) -> PeerClient:
    signer = AssertionSigner("interaction", SystemClock())
    return PeerClient(
        transport=way,
        audience_service="orchestration",
        scope="api://inner",
        tokens=Tokens(),
        signer=signer,
        candidate=candidate,
    )


async def test_each_tenants_calls_go_to_the_revision_that_is_for_it() -> None:
    stable, newer = Way("stable"), Way("candidate")

    async def is_for(context: TenantContext) -> bool:
        return context.tenant == INTERNAL.id

    both = client(stable, Candidate(newer, is_for))
    assert [await reached(both, one) for one in (INTERNAL, GENERAL, INTERNAL)] == ["candidate", "stable", "candidate"]
    soon = SystemClock().now() + timedelta(seconds=5)
    async with both.stream(of(INTERNAL), "GET", "/events", deadline=soon) as pieces:
        assert [piece async for piece in pieces] == [b"candidate"]
    assert stable.asked == [f"/{GENERAL.id}"]
    assert await reached(client(stable, None), INTERNAL) == "stable"


async def test_the_candidate_is_for_the_ring_that_it_is_announced_to_within_each_organisations_windows(
    world: World,
) -> None:
    await world.onboarded(INTERNAL, PATIENT, GENERAL)
    await world.host.features.save(world.store.tenant(of(PATIENT)), [TUESDAY_NIGHT], [])
    world.announce("internal")
    asked = candidate_of(world.host)
    assert asked
    assert isinstance(asked.transport, Network)
    assert [await asked.is_for(of(one)) for one in (INTERNAL, PATIENT, GENERAL)] == [True, False, False]
    world.clock.time = MONDAY + timedelta(days=1, hours=13)
    assert await asked.is_for(of(PATIENT)), "its window is open"


async def test_an_urgent_candidate_waits_for_no_window(world: World) -> None:
    await world.onboarded(PATIENT)
    await world.host.features.save(world.store.tenant(of(PATIENT)), [TUESDAY_NIGHT], [])
    world.announce("internal", urgent=True)
    asked = candidate_of(world.host)
    assert asked
    assert await asked.is_for(of(PATIENT))


async def test_who_reaches_the_candidate_costs_a_turn_no_read_each_time_and_none_without_the_flag(
    world: World,
) -> None:
    await world.onboarded(INTERNAL)
    world.flags, world.reads = [OTHER], 0
    asked = candidate_of(world.host)
    assert asked
    assert not await asked.is_for(of(INTERNAL))
    assert world.reads == 0, "nobody has it, so nothing is asked"
    world.announce("internal")
    asked = candidate_of(world.host)
    assert asked
    assert [await asked.is_for(of(INTERNAL)) for _ in range(100)] == [True] * 100
    assert world.reads == 2, "the ring and the windows, once for five seconds"


def test_without_an_address_there_is_no_candidate(world: World) -> None:
    host: Any = world.host
    host.settings.orchestration_candidate_url = ""
    assert candidate_of(host) is None


def has_come(_announced: datetime, _urgent: bool) -> bool:
    return True


def test_it_goes_from_ring_to_ring_and_those_before_keep_their_time() -> None:
    first = candidate(None, RINGS, "internal", MONDAY, urgent=False)
    later = MONDAY + timedelta(hours=1)
    second = candidate(first, RINGS, "early", later, urgent=False)
    assert second.announced
    assert second.announced.since == {"internal": MONDAY, "early": later}
    assert Flags([second]).on(INTERNAL.id, "general", has_come) == frozenset()
    assert Flags([second]).on(INTERNAL.id, "early", has_come) == {"candidate"}
    again = candidate(second, RINGS, "early", later + timedelta(hours=1), urgent=False)
    assert again == second, "run again it changes nothing"
    assert candidate(second, RINGS, "internal", later, urgent=False) == first, "those after it lose it"


def test_it_comes_to_no_ring_before_those_that_come_first_and_to_none_that_is_not_there() -> None:
    with pytest.raises(Conflict, match="internal") as caught:
        candidate(None, RINGS, "early", MONDAY, urgent=False)
    assert caught.value.code == "promotion.ring"
    with pytest.raises(NotFound, match="internal, early, general; or `nobody`"):
        candidate(None, RINGS, "ring-0", MONDAY, urgent=False)
