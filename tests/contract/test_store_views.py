"""Views, and the projections that keep them: idempotent, rebuildable, never going back."""

import asyncio
import random
from dataclasses import replace

import pytest
from store_samples import member, opened, random_bodies, run_id, step

from core import RunId, TenantContext, TenantId
from core.bodies import RunEnded
from core.errors import BadRequest
from core.parts import RunState
from data import (
    CHECKPOINT,
    PROJECTIONS,
    RUNS,
    Projector,
    Row,
    RunSummary,
    RunWriter,
    Store,
    read_run,
    rebuild_differences,
)


def row(context: TenantContext, key: str, *, state: str = "running", owner: str = "usr_1", seq: int = 1) -> Row:
    return Row(context.tenant, key, sort=key, owner=owner, state=state, run=RunId("run_1"), seq=seq, body=b"{}")


async def write_random_runs(store: Store, rng: random.Random, contexts: list[TenantContext], runs: int) -> None:
    """Append the events of several runs, interleaved, in pieces of random size."""

    async def write() -> None:
        context = rng.choice(contexts)
        writer = RunWriter(store.tenant(context), run_id(), actor=context.principal.actor)
        bodies = random_bodies(rng)
        while bodies:
            size = rng.randint(1, 3)
            await writer.append(bodies[:size])
            del bodies[:size]

    await asyncio.gather(*(write() for _ in range(runs)))


async def appended(store: Store, count: int = 1) -> list[str]:
    """Append events of as many runs, and return the checkpoint behind each."""
    checkpoints: list[str] = []
    for _ in range(count):
        context = member()
        await RunWriter(store.tenant(context), run_id(), actor=context.principal.actor).append([opened()])
        after = checkpoints[-1] if checkpoints else ""
        checkpoints.append((await store.platform.feed(after=after)).checkpoint)
    return checkpoints


async def test_rows_never_go_back_and_a_checkpoint_is_where_reading_goes_on(store: Store) -> None:
    context, platform = member(), store.platform
    first, second = await appended(store, 2)
    await platform.project({"v": [row(context, "a", seq=5), row(context, "b", seq=5)]}, name="p", checkpoint=first)
    assert await platform.checkpoint("p") == first
    assert await platform.waiting("p") == 1
    again = [row(context, "a", seq=5, state="x"), row(context, "b", seq=6, state="x")]
    await platform.project({"v": again, "other": [row(context, "a")]}, name="p", checkpoint=second)
    assert await platform.waiting("p") == 0
    assert (await platform.feed(after=await platform.checkpoint("p"))).events == []
    views = store.tenant(context).views
    states = [found.state for key in ("a", "b") if (found := await views.get("v", key))]
    assert states == ["running", "x"]
    assert len(await platform.rows("other", [(context.tenant, "a")])) == 1
    assert await platform.checkpoint("q") == ""
    assert (await platform.waiting("q"), await platform.waiting("q", limit=1)) == (2, 1)


async def test_a_view_is_listed_newest_first_narrowed_and_paged(store: Store) -> None:
    context = member()
    rows = [
        row(context, f"{n:02}", owner=f"usr_{n % 2}", state="parked" if n % 3 == 0 else "running") for n in range(10)
    ]
    await store.platform.project({"v": rows}, name="p", checkpoint="")
    views = store.tenant(context).views
    found: list[Row] = []
    cursor = None
    for _ in range(4):
        page = await views.list("v", cursor=cursor, limit=3)
        found += page.items
        cursor = page.cursor
    assert cursor is None
    assert found == rows[::-1]
    assert [r.key for r in (await views.list("v", owner="usr_1")).items] == ["09", "07", "05", "03", "01"]
    assert [r.key for r in (await views.list("v", states=["parked"])).items] == ["09", "06", "03", "00"]
    assert [r.key for r in (await views.list("v", owner="usr_1", states=["parked", "z"])).items] == ["09", "03"]
    with pytest.raises(BadRequest):
        await views.list("v", cursor="nonsense")


async def test_views_are_closed_to_other_tenants(store: Store) -> None:
    mine, theirs = member(), member()
    await store.platform.project({"v": [row(theirs, "a")]}, name="p", checkpoint="")
    assert await store.tenant(mine).views.get("v", "a") is None
    assert (await store.tenant(mine).views.list("v")).items == []


async def test_due_gives_all_tenants_rows_of_a_state(store: Store) -> None:
    mine, theirs = member(), member()
    rows = [row(mine, "3"), row(theirs, "1"), row(mine, "2", state="parked"), row(mine, "0", state="completed")]
    await store.platform.project({"v": rows, "other": [row(mine, "x")]}, name="p", checkpoint="")
    assert {r.key async for r in store.platform.due("v", states=["running", "parked"])} == {"1", "2", "3"}
    assert {r.key async for r in store.platform.due("v", states=["parked"])} == {"2"}


async def test_what_goes_over_all_tenants_ends_only_when_nothing_is_left(store: Store) -> None:
    tenants = [member() for _ in range(3)]
    rows = [row(context, f"{n:04}") for context in tenants for n in range(400)]
    await store.platform.project({"v": rows}, name="p", checkpoint="")
    expected = {(r.tenant, r.key) for r in rows}
    for found in (store.platform.scan("v"), store.platform.due("v", states=["running"])):
        keys = [(r.tenant, r.key) async for r in found]
        assert (len(keys), set(keys)) == (1200, expected)


async def test_reset_forgets_one_view_and_has_the_log_read_anew(store: Store) -> None:
    context, platform = member(), store.platform
    (checkpoint,) = await appended(store)
    await platform.project({"v": [row(context, "a")], "other": [row(context, "a")]}, name="p", checkpoint=checkpoint)
    await platform.reset("v")
    assert await platform.checkpoint("p") == ""
    assert await platform.rows("v", [(context.tenant, "a")]) == []
    assert len(await platform.rows("other", [(context.tenant, "a")])) == 1


@pytest.mark.parametrize("seed", range(2))
async def test_the_views_equal_their_rebuild_whatever_happened(store: Store, neighbour: Store, seed: int) -> None:
    rng = random.Random(seed)
    contexts = [member(), member()]
    actors = {context.tenant: context for context in contexts}
    projectors = [Projector(store.platform), Projector(neighbour.platform)]
    for _ in range(4):
        await asyncio.gather(
            write_random_runs(store, rng, contexts, runs=8),
            write_random_runs(neighbour, rng, contexts, runs=8),
            *(projector.catch_up() for projector in projectors),
        )
    await asyncio.gather(*(projector.catch_up() for projector in projectors))
    assert await projectors[0].lag() == 0
    before = {row.key: row async for row in store.platform.scan(RUNS.view)}
    assert len(before) == 64
    for projection in PROJECTIONS:
        assert await rebuild_differences(store.platform, projection) == []
    for projection in PROJECTIONS:
        await store.platform.reset(projection.view)
    events = sum([len(await read_run(store.tenant(actors[t]), run)) async for t, run in store.platform.runs()])
    assert await projectors[0].catch_up() == events
    assert {row.key: row async for row in store.platform.scan(RUNS.view)} == before


async def test_a_view_that_differs_from_its_rebuild_is_told(store: Store) -> None:
    context = member()
    writer = RunWriter(store.tenant(context), run_id(), actor=context.principal.actor)
    await writer.append([opened(), step()])
    await Projector(store.platform).catch_up()
    stored = (await store.platform.rows(RUNS.view, [(context.tenant, writer.run)]))[0]
    forged = replace(stored, seq=3, state="completed")
    stranger = row(context, "run_of_nobody")
    checkpoint = await store.platform.checkpoint(CHECKPOINT)
    await store.platform.project({RUNS.view: [forged, stranger]}, name=CHECKPOINT, checkpoint=checkpoint)
    different = await rebuild_differences(store.platform, RUNS)
    assert set(different) == {(context.tenant, writer.run), (TenantId(context.tenant), "run_of_nobody")}


async def test_a_run_shows_up_in_the_list_soon_after_it_was_notified(store: Store) -> None:
    context = member()
    projector = Projector(store.platform)
    following = asyncio.create_task(projector.run())
    writer = RunWriter(store.tenant(context), run_id(), actor=context.principal.actor)

    async def becomes(state: RunState) -> RunSummary:
        while True:
            projector.notify()
            found = await store.tenant(context).views.get(RUNS.view, writer.run)
            if found and found.state == state:
                return RunSummary.model_validate_json(found.body)
            await asyncio.sleep(0.01)

    async with asyncio.timeout(10):
        await writer.append([opened()])
        assert (await becomes(RunState.RUNNING)).requester == context.principal.id
        await writer.append([RunEnded(state=RunState.COMPLETED)])
        assert (await becomes(RunState.COMPLETED)).ended_at == writer.events[-1].event.at
    following.cancel()
    with pytest.raises(asyncio.CancelledError):
        await following
