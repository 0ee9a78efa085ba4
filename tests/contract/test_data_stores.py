"""Each store of the list: one tenant's is kept from another's, and what is erased is gone from it and it alone."""

import re
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from evidence_world import Vouched
from governed_world import Governed, eraser_of
from identity_world import MovingClock

from control import (
    BindingRecord,
    Directory,
    MeterRecord,
    OverrideRecord,
    SessionRecord,
    StoreKeys,
    SubscriptionRecord,
    TenantRecord,
    contexts,
)
from control.cache import FORGOTTEN, Cache
from control.marketplace import Resource
from core import ID_PATTERN, TenantId
from core.bodies import RunEnded
from core.errors import Conflict, NotFound
from core.parts import RunState
from data import RUNS, Projector, Record, Store, read_run
from orchestration import STORES, DocumentRecord, fold
from orchestration.erasing import each
from orchestration.live import Hub
from web import RateLimiter

Check = Callable[[Governed, Governed], Awaitable[None]]


async def erase(ours: Governed) -> None:
    done = await ours.erase(eraser_of(ours.store), "tenant", ours.tenant)
    assert done.done_at


async def counted(one: Governed, part: str) -> int:
    return sum(held.items for held in await one.store.governed.held(one.tenant) if held.part == part)


async def only_ours_goes(ours: Governed, theirs: Governed, part: str) -> None:
    before = await counted(theirs, part)
    assert await counted(ours, part) > 0
    await erase(ours)
    assert await counted(ours, part) == 0
    assert await counted(theirs, part) == before > 0


async def evidence(ours: Governed, theirs: Governed) -> None:
    with TemporaryDirectory() as folder:
        made = Vouched.over(ours.store, Path(folder), ours.context)
        await made.make_due()
        (kept,) = await made.kept()
        covered = {run async for run in ours.store.governed.runs(ours.tenant)}
        assert {change.run for change in kept.changes} == covered
        assert theirs.running not in covered
        await erase(ours)
        assert await made.kept() == [kept], "it outlives its tenant"
        assert await made.findings() == []


async def log(ours: Governed, theirs: Governed) -> None:
    with pytest.raises(NotFound):
        await read_run(theirs.data, ours.running)
    await erase(ours)
    assert fold(await read_run(ours.data, ours.running)).ended
    assert fold(await read_run(theirs.data, theirs.running)).ended is None


async def knowledge(ours: Governed, theirs: Governed) -> None:
    theirs.words.text, kept = ours.words.text, theirs.words.text
    assert await theirs.search() > 0  # the nearest of their own: none of ours
    assert await theirs.data.knowledge.remove(ours.document) == 0
    theirs.words.text = kept
    await only_ours_goes(ours, theirs, "knowledge")


async def content(ours: Governed, theirs: Governed) -> None:
    piece = (await ours.data.content.list()).items[0]
    assert await theirs.data.content.erase([piece.id]) == 0
    assert await theirs.data.content.take(piece.id) is None
    assert piece.id not in {other.id for other in (await theirs.data.content.list()).items}
    await only_ours_goes(ours, theirs, "content")


async def records(ours: Governed, theirs: Governed) -> None:
    assert await theirs.data.records.get(DocumentRecord, ours.document) is None
    await only_ours_goes(ours, theirs, "records")


async def _of(one: Governed, model: type[Record]) -> int:
    records = each(one.store.tenant(contexts.publisher("test")), model)
    return sum([getattr(found.value, "tenant", found.key) == one.tenant async for found in records])


async def directory(ours: Governed, theirs: Governed) -> None:
    publisher = ours.store.tenant(contexts.publisher("test")).records
    for one in (ours, theirs):
        await publisher.put(one.tenant, OverrideRecord(included={"completed_runs": 1}), etag=None)
    await erase(ours)
    for model in (TenantRecord, BindingRecord, OverrideRecord):
        assert (await _of(ours, model), await _of(theirs, model)) == (0, 1)


async def sessions(ours: Governed, theirs: Governed) -> None:
    await erase(ours)
    assert (await _of(ours, SessionRecord), await _of(theirs, SessionRecord)) == (0, 1)


async def subscriptions(ours: Governed, theirs: Governed) -> None:
    records = ours.store.tenant(contexts.publisher("test")).records
    for one in (ours, theirs):
        await records.put(one.words.oid, _subscription(one), etag=None)
    await erase(ours)
    await erase(ours)
    kept, other = [await records.get(SubscriptionRecord, one.words.oid) for one in (ours, theirs)]
    assert kept
    assert other
    assert kept.value.is_bare
    assert (other.value, kept.value.plan) == (_subscription(theirs), "team")


async def bills(ours: Governed, theirs: Governed) -> None:
    """What was billed outlives the tenant, without a word of whose it was."""
    records = ours.store.tenant(contexts.publisher("test")).records
    for one in (ours, theirs):
        account = MeterRecord(resource=Resource(id=f"of-{one.tenant}"), tenant=one.tenant, unit="completed_runs")
        await records.put(f"of-{one.tenant}/completed_runs", account, etag=None)
    await erase(ours)
    for one in (ours, theirs):
        kept = await records.get(MeterRecord, f"of-{one.tenant}/completed_runs")
        assert kept
        assert (kept.value.tenant, ours.words.name in kept.value.model_dump_json()) == (one.tenant, False)


def _subscription(one: Governed) -> SubscriptionRecord:
    return SubscriptionRecord(
        id="s",
        offer="mandate",
        name=one.words.name,
        status="Unsubscribed",
        plan="team",
        base_plan="team",
        quantity=None,
        tenant=one.tenant,
        beneficiary_tid=one.words.tid,
        beneficiary_oid=one.words.oid,
        bought_by_another=False,
        allowed=("Read",),
        term_start="",
        term_end="",
        term_unit="P1M",
        auto_renew=True,
        onboarding="done",
    )


async def views(ours: Governed, theirs: Governed) -> None:
    await Projector(ours.store.platform).catch_up()
    assert await theirs.data.views.get(RUNS.view, ours.running) is None
    await erase(ours)
    rows = (await ours.data.views.list(RUNS.view)).items
    assert [word for word in ours.words.all() for row in rows if word.encode() in row.body] == []


async def erasures(ours: Governed, theirs: Governed) -> None:
    eraser = eraser_of(ours.store)
    done = await ours.erase(eraser, "tenant", ours.tenant)
    assert await eraser.erasures.find(theirs.tenant, done.id) is None
    assert await eraser.erasures.of(theirs.tenant) == []
    told = done.model_dump_json()
    assert [word for word in ours.words.all() if word in told] == []


async def processes(ours: Governed, theirs: Governed) -> None:
    assert await StoreKeys(ours.store, MovingClock()).key(ours.tenant) is None


async def vectors_in_memory(ours: Governed, theirs: Governed) -> None:
    assert await ours.search() == await theirs.search() == 5
    await erase(ours)
    assert (await ours.search(), await theirs.search()) == (0, 5)


async def caches(ours: Governed, theirs: Governed) -> None:
    clock = MovingClock()
    cache: Cache[TenantId, str] = Cache(clock)

    async def load(_: str | None) -> str:
        return ours.words.name

    await cache.get(ours.tenant, load)
    clock.ahead = FORGOTTEN + timedelta(seconds=1)
    await cache.get(theirs.tenant, load)
    assert ours.tenant not in cache
    directory = Directory(ours.store, clock)
    await erase(ours)
    with pytest.raises(NotFound):
        await directory.tenant(ours.tenant)


async def live_runs(ours: Governed, theirs: Governed) -> None:
    hub = Hub()
    live = hub.take(ours.tenant, ours.running)
    assert hub.take(theirs.tenant, ours.running) is not live
    await erase(ours)
    with pytest.raises(Conflict):  # whoever carries it is told so at the next step, and lets go
        await ours.live.append([RunEnded(state=RunState.COMPLETED)])


async def counters(ours: Governed, theirs: Governed) -> None:
    limiter = RateLimiter(per_second=1, burst=1)
    assert limiter.take(ours.tenant) == 0
    assert limiter.take(ours.tenant) > 0
    assert limiter.take(theirs.tenant) == 0


async def telemetry(ours: Governed, theirs: Governed) -> None:
    for name in (ours.tenant, ours.person, ours.running):
        assert re.fullmatch(ID_PATTERN, name)


CHECKS: dict[str, Check] = {
    "evidence": evidence,
    "log": log,
    "knowledge": knowledge,
    "content": content,
    "records": records,
    "directory": directory,
    "sessions": sessions,
    "subscriptions": subscriptions,
    "bills": bills,
    "views": views,
    "erasures": erasures,
    "processes": processes,
    "vectors in memory": vectors_in_memory,
    "caches": caches,
    "live runs": live_runs,
    "counters": counters,
    "telemetry": telemetry,
}


@pytest.mark.parametrize("name", [store.name for store in STORES])
async def test_a_store_keeps_tenants_apart_and_forgets_whom_it_is_told_to(name: str, store: Store) -> None:
    await CHECKS[name](await Governed(store).fill(), await Governed(store).fill())
