"""How late one process learns what another wrote: each line of the table in the architecture, with a second store.

What is bounded by a clock is tried just before the bound, to see that something is kept, and at it. Passages are in
`test_store_knowledge`, the death of a carrier and its bell in `test_carriers`, all of it end to end in `test_replicas`.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest
from store_samples import member, opened, run_id

from clocks import MovableClock
from control import (
    Amount,
    Budgets,
    Directory,
    NewPolicies,
    Policies,
    Sessions,
    StoreKeys,
    TenantRecord,
    contexts,
)
from control.budgets import SEEN_SECONDS
from control.cache import LIFETIME
from core import PrincipalId, Role, TenantId, derived_id, new_id, timestamp
from core.bodies import RunEnded
from core.errors import Forbidden, Unauthenticated
from core.parts import RunState
from data import RUNS, Projector, Row, RunWriter, Store
from data.projections import IDLE_SECONDS
from entitled import by_plan
from interaction.changes import POLL_SECONDS as LIVE_SECONDS
from interaction.changes import Changes
from orchestration.live import Hub
from orchestration.runs import POLL_SECONDS, Runs
from orchestration.turn import Services
from web import PublishedKey, Tokens, VerifiedToken

CONTOSO = TenantRecord(
    id=TenantId(derived_id("ten", "contoso")), name="Contoso", plan="team", region="eu", groups={"entra": "support"}
)
TID = "11111111-1111-4111-8111-111111111111"
BEFORE = timedelta(milliseconds=1)
NOISE_SECONDS = 2.0


START = datetime(2026, 11, 24, 8, tzinfo=UTC)


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock(START)


def token() -> VerifiedToken:
    return VerifiedToken(
        tenant_id=TID,
        object_id="22222222-2222-4222-8222-222222222222",
        audience="api://mandate",
        app_id="app",
        roles=frozenset({Role.USER}),
        groups=frozenset({"entra"}),
        name="Alice",
        username="alice@contoso.example",
        issued_at=1.7e9,
        expires_at=1.8e9,
        is_app=False,
    )


async def test_policies_within_five_seconds(store: Store, neighbour: Store, clock: MovableClock) -> None:
    mine, others = (Policies(environment="", clock=clock) for _ in range(2))
    context = contexts.platform(CONTOSO, "test")
    before = (await others.ruleset(neighbour.tenant(context))).version
    notes = '@id("no-tools") @reason("Not here.") @lane("never")'
    text = f'{notes} forbid (principal, action == Mandate::Action::"call_tool", resource);'
    await mine.save(store.tenant(context), NewPolicies(text, "because"), etag=None)
    assert (await mine.ruleset(store.tenant(context))).version != before, "in the process itself at once"
    clock.time += LIFETIME - BEFORE
    assert (await others.ruleset(neighbour.tenant(context))).version == before
    clock.time += BEFORE
    assert (await others.ruleset(neighbour.tenant(context))).version != before


async def test_suspension_and_groups_of_a_tenant_within_five_seconds(
    store: Store, neighbour: Store, clock: MovableClock
) -> None:
    mine, others = Directory(store, clock), Directory(neighbour, clock)
    await mine.create_tenant(CONTOSO)
    await mine.bind(TID, CONTOSO.id)
    assert (await others.resolve(token(), correlation="c")).principal.groups == {"support"}
    records = store.tenant(contexts.publisher("test")).records

    async def change(**changes: object) -> None:
        found = await records.get(TenantRecord, CONTOSO.id)
        assert found
        await records.put(CONTOSO.id, found.value.model_copy(update=changes), etag=found.etag)

    await change(groups=dict[str, str]())
    clock.time += LIFETIME - BEFORE
    assert (await others.resolve(token(), correlation="c")).principal.groups
    clock.time += BEFORE
    assert not (await others.resolve(token(), correlation="c")).principal.groups
    await others.check_active(CONTOSO.id)
    await change(status="suspended")
    clock.time += LIFETIME
    with pytest.raises(Forbidden):
        await others.check_active(CONTOSO.id)


async def test_a_renewed_signing_key_within_five_seconds(store: Store, neighbour: Store, clock: MovableClock) -> None:
    mine, others = StoreKeys(store, clock), StoreKeys(neighbour, clock)

    async def publish(minutes: int) -> PublishedKey:
        key = PublishedKey(
            kid="k", service="interaction", public="x", expires=timestamp(clock.now() + timedelta(minutes=minutes))
        )
        await mine.publish(key)
        return key

    first = await publish(1)
    assert await others.key("k") == first
    renewed = await publish(60)
    assert await others.key("k") == first
    clock.time += LIFETIME
    assert await others.key("k") == renewed


async def test_what_is_left_of_a_budget_within_five_seconds(
    store: Store, neighbour: Store, clock: MovableClock
) -> None:
    mine, others = (Budgets(clock, by_plan({"team": Amount(micros=1000, tokens=1000)})) for _ in range(2))
    context = contexts.platform(CONTOSO, "test")
    assert await others.left(neighbour.tenant(context)) == 1000
    await mine.reserve(store.tenant(context), "run/1", 400)
    clock.time += timedelta(seconds=SEEN_SECONDS)
    assert await others.left(neighbour.tenant(context)) == 600


async def test_a_session_that_was_ended_elsewhere_at_once(store: Store, neighbour: Store, clock: MovableClock) -> None:
    class Nobody:
        async def renew(self, refresh_token: str) -> Tokens:
            raise AssertionError(refresh_token)

    mine, others = Sessions(store, clock, Nobody()), Sessions(neighbour, clock, Nobody())
    somebody = contexts.from_directory(CONTOSO, PrincipalId(new_id("prn")), roles=[], groups=[], correlation="c")
    cookie = await mine.begin(
        somebody, Tokens(access_token="a", refresh_token="r", expires_in=3600), browser="Firefox on Linux"
    )
    assert (await others.find(cookie)).access_token == "a"
    await mine.end(cookie)
    with pytest.raises(Unauthenticated):
        await others.find(cookie)


@asynccontextmanager
async def running(work: Callable[[], "asyncio.Future[None]"]) -> AsyncGenerator[None]:
    task = asyncio.ensure_future(work())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_lists_within_a_second_and_live_lists_half_a_second_later(store: Store, neighbour: Store) -> None:
    context, changes = member(), Changes(neighbour)
    async with (
        running(lambda: asyncio.ensure_future(Projector(neighbour.platform).run())),
        running(lambda: asyncio.ensure_future(changes.run())),
    ):
        with changes.listen(context, RUNS.view, owner=None) as queue:
            await changes.begun()
            writer = RunWriter(store.tenant(context), run_id(), actor=context.principal.actor)
            await writer.append([opened()])
            async with asyncio.timeout(IDLE_SECONDS + LIVE_SECONDS + NOISE_SECONDS):
                row: Row | None = await queue.get()
    assert row
    assert row.run == writer.run
    assert [item.run for item in (await store.tenant(context).views.list(RUNS.view)).items] == [writer.run]


@dataclass
class Follows:
    """What a follower needs of a process that does not carry the run."""

    store: Store
    hub: Hub = field(default_factory=Hub)


async def test_a_follower_within_a_second(store: Store, neighbour: Store) -> None:
    context = member()
    writer = RunWriter(store.tenant(context), run_id(), actor=context.principal.actor)
    await writer.append([opened()])
    runs = Runs(cast("Services", Follows(neighbour)), cast("asyncio.TaskGroup", None))
    pieces = runs.follow(context, writer.run, after=0, until_parked=True, seconds=30)
    assert b"event: run_opened" in await anext(pieces)
    await writer.append([RunEnded(state=RunState.COMPLETED)])
    async with asyncio.timeout(POLL_SECONDS + NOISE_SECONDS):
        assert b"event: run_ended" in await anext(pieces)
    assert [piece async for piece in pieces] == []
