"""Views, and the projections that keep them: idempotent, rebuildable, never going back."""

import asyncio
import random
from dataclasses import replace

import pytest
from store_samples import member, opened, random_bodies, run_id, step

from core import RunId, TenantContext, TenantId
from core.errors import BadRequest
from core.events import RunEnded, RunState
from data import PROJECTIONS, RUNS, Projector, Row, RunSummary, RunWriter, Store, rebuild_differences


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


async def test_rows_and_checkpoint_are_written_together_and_never_go_back(store: Store) -> None:
    context, platform = member(), store.platform
    await platform.project("p", view="v", rows=[row(context, "a", seq=5), row(context, "b", seq=5)], checkpoint=10)
    await platform.project(
        "p", view="v", rows=[row(context, "a", seq=5, state="x"), row(context, "b", seq=6, state="x")], checkpoint=8
    )
    assert await platform.checkpoint("p") == 10
    views = store.tenant(context).views
    states = [found.state for key in ("a", "b") if (found := await views.get("v", key))]
    assert states == ["running", "x"]
    assert await platform.checkpoint("q") == 0


async def test_a_view_is_listed_newest_first_narrowed_and_paged(store: Store) -> None:
    context = member()
    rows = [
        row(context, f"{n:02}", owner=f"usr_{n % 2}", state="parked" if n % 3 == 0 else "running") for n in range(10)
    ]
    await store.platform.project("p", view="v", rows=rows, checkpoint=1)
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
    await store.platform.project("p", view="v", rows=[row(theirs, "a")], checkpoint=1)
    assert await store.tenant(mine).views.get("v", "a") is None
    assert (await store.tenant(mine).views.list("v")).items == []


async def test_due_gives_all_tenants_rows_of_a_state_oldest_first(store: Store) -> None:
    mine, theirs = member(), member()
    rows = [row(mine, "3"), row(theirs, "1"), row(mine, "2", state="parked"), row(mine, "0", state="completed")]
    await store.platform.project("p", view="v", rows=rows, checkpoint=1)
    await store.platform.project("o", view="other", rows=[row(mine, "x")], checkpoint=1)
    assert [r.key for r in await store.platform.due("v", states=["running", "parked"])] == ["1", "2", "3"]
    assert [r.key for r in await store.platform.due("v", states=["running"], limit=1)] == ["1"]


async def test_reset_forgets_one_view(store: Store) -> None:
    context, platform = member(), store.platform
    await platform.project("p", view="v", rows=[row(context, "a")], checkpoint=7)
    await platform.project("o", view="other", rows=[row(context, "a")], checkpoint=7)
    await platform.reset("p", view="v")
    assert await platform.checkpoint("p") == 0
    assert await platform.rows("v", [(context.tenant, "a")]) == []
    assert await platform.checkpoint("o") == 7
    assert len(await platform.rows("other", [(context.tenant, "a")])) == 1


@pytest.mark.parametrize("seed", range(4))
async def test_the_views_equal_their_rebuild_whatever_happened(store: Store, neighbour: Store, seed: int) -> None:
    rng = random.Random(seed)
    contexts = [member(), member()]
    projectors = [Projector(store.platform), Projector(neighbour.platform)]
    for _ in range(4):
        await asyncio.gather(
            write_random_runs(store, rng, contexts, runs=8),
            write_random_runs(neighbour, rng, contexts, runs=8),
            *(projector.catch_up() for projector in projectors),
        )
    await asyncio.gather(*(projector.catch_up() for projector in projectors))
    assert await projectors[0].lag() == 0
    before = await store.platform.scan(RUNS.view, limit=1000)
    assert len(before) == 64
    for projection in PROJECTIONS:
        assert await rebuild_differences(store.platform, projection) == []
        await store.platform.reset(projection.name, view=projection.view)
    assert await projectors[0].catch_up() == await store.platform.head()
    assert await store.platform.scan(RUNS.view, limit=1000) == before


async def test_a_view_that_differs_from_its_rebuild_is_told(store: Store) -> None:
    context = member()
    writer = RunWriter(store.tenant(context), run_id(), actor=context.principal.actor)
    await writer.append([opened(), step()])
    await Projector(store.platform).catch_up()
    stored = (await store.platform.rows(RUNS.view, [(context.tenant, writer.run)]))[0]
    head = await store.platform.head()
    forged = replace(stored, seq=3, state="completed")
    stranger = row(context, "run_of_nobody")
    await store.platform.project(RUNS.name, view=RUNS.view, rows=[forged, stranger], checkpoint=head)
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
