"""Evidence of refused access and of administrative acts, over a real store."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from clocks import MovableClock
from control import MANY, AccessLog, TenantRecord, contexts, log_run
from core import PUBLISHER, Actor, PrincipalKind, TenantContext, TenantId, derived_id
from core.bodies import AccessRefused, RecordChanged, RunOpened
from core.events import Stored
from core.parts import RunKind
from data import Store, read_run
from data.sqlite import open_store

DAY = "2026-11-23"
SOMEBODY = Actor(kind=PrincipalKind.USER, id="prn_1")


START = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(tmp_path / "store.db") as opened:
        yield opened


@pytest.fixture
def log(store: Store) -> AccessLog:
    return AccessLog(store, MovableClock(START), code="1")


def contoso() -> TenantContext:
    return contexts.platform(
        TenantRecord(id=TenantId(derived_id("ten", "contoso")), name="Contoso", plan="team", region="local"), "test"
    )


async def refusals(store: Store, context: TenantContext, part: int = 0) -> list[Stored]:
    events = await read_run(store.tenant(context), log_run(context.tenant, RunKind.ACCESS, DAY, part))
    assert isinstance(events[0].event.body, RunOpened)
    return events[1:]


async def test_a_refusal_is_on_disk_with_who_and_what_when_it_returns(store: Store, log: AccessLog) -> None:
    await log.refused(contoso(), "access.forbidden", "GET /v1/runs/{run}", SOMEBODY)
    (stored,) = await refusals(store, contoso())
    assert stored.event.actor == SOMEBODY
    assert stored.event.body == AccessRefused(code="access.forbidden", operation="GET /v1/runs/{run}", count=1)


async def test_what_has_no_tenant_is_in_the_publishers_own_log(store: Store, log: AccessLog) -> None:
    await log.refused(None, "identity.unproved", "GET /v1/runs", SOMEBODY)
    (stored,) = await refusals(store, contexts.publisher("test"))
    assert stored.event.tenant == PUBLISHER


async def test_equal_refusals_at_the_same_time_are_counted_in_one_event(store: Store, log: AccessLog) -> None:
    await asyncio.gather(
        *(log.refused(contoso(), "access.forbidden", "GET /v1/runs", SOMEBODY) for _ in range(200)),
        log.refused(contoso(), "not_found", "GET /v1/runs/{run}", SOMEBODY),
    )
    bodies = [stored.event.body for stored in await refusals(store, contoso())]
    counts = [(body.code, body.count) for body in bodies if isinstance(body, AccessRefused)]
    assert sorted(counts) == [("access.forbidden", 200), ("not_found", 1)]


async def test_a_flood_costs_a_bounded_number_of_appends(store: Store, log: AccessLog) -> None:
    actors = [Actor(kind=PrincipalKind.USER, id=f"prn_{number}") for number in range(100)]
    await asyncio.gather(
        *(log.refused(contoso(), f"access.c{n % 70}", "GET /", actor) for n, actor in enumerate(actors))
    )
    events = await refusals(store, contoso())
    seen = {stored.event.actor.id for stored in events}
    assert len(seen) == 21
    assert MANY.id in seen
    bodies = [stored.event.body for stored in events]
    assert sum(body.count for body in bodies if isinstance(body, AccessRefused)) == 100
    assert any(isinstance(body, AccessRefused) and body.code == "access.flood" for body in bodies)

    began = time.monotonic()
    await log.refused(contoso(), "access.forbidden", "GET /", SOMEBODY)
    assert time.monotonic() - began > 0.5


async def test_tenants_do_not_wait_for_each_other(log: AccessLog) -> None:
    actors = [Actor(kind=PrincipalKind.USER, id=f"prn_{number}") for number in range(20)]
    await asyncio.gather(*(log.refused(contoso(), "access.forbidden", "GET /", actor) for actor in actors))
    began = time.monotonic()
    await log.refused(None, "access.forbidden", "GET /", SOMEBODY)
    assert time.monotonic() - began < 0.5


async def test_two_processes_write_one_log_and_a_long_day_goes_on_in_another(store: Store) -> None:
    logs = [AccessLog(store, MovableClock(START), code="1") for _ in range(2)]
    kinds = iter(range(10_000))
    for _ in range(5):
        await asyncio.gather(
            *(
                which.refused(contoso(), f"access.c{next(kinds)}", "GET /", SOMEBODY)
                for which in logs
                for _ in range(40)
            )
        )
    first, second = await refusals(store, contoso()), await refusals(store, contoso(), part=1)
    assert len(first) >= 249
    bodies = [stored.event.body for stored in [*first, *second]]
    assert sum(body.count for body in bodies if isinstance(body, AccessRefused)) == 400


async def test_an_administrative_act_names_the_record_and_who_changed_it(store: Store, log: AccessLog) -> None:
    context = contoso()
    await log.admin(context, "policy", "tenant", "abc")
    run = log_run(TenantId(context.tenant), RunKind.ADMIN, DAY)
    opened, changed = await read_run(store.tenant(context), run)
    assert isinstance(opened.event.body, RunOpened)
    assert opened.event.body.kind is RunKind.ADMIN
    assert changed.event.body == RecordChanged(kind="policy", key="tenant", version="abc")
    assert changed.event.actor == context.principal.actor
