"""The run log: atomic, fenced, ordered, and closed to other tenants."""

import asyncio
from dataclasses import replace
from itertools import pairwise
from typing import ClassVar

import pytest
from store_places import Place
from store_samples import Note, chain, member, opened, prompt, run_id, step

from control import contexts
from core import RunId
from core.errors import Conflict, Defect, NotFound, PreconditionFailed, Timeout, TooLarge
from core.events import Stored
from data import (
    MAX_APPEND_BYTES,
    MAX_APPEND_EVENTS,
    Record,
    RunWriter,
    Seen,
    Store,
    TenantData,
    append_shared,
    read_run,
)


class Shared(Record):
    """Of the kind of the publisher's switches, on which everybody's decisions rest."""

    kind: ClassVar[str] = "switches"
    text: str


def writer_of(data: TenantData, run: RunId | None = None) -> RunWriter:
    return RunWriter(data, run or run_id(), actor=data.context.principal.actor)


def staged(data: TenantData, count: int, run: RunId | None = None) -> list[Stored]:
    return chain(data.context, run or run_id(), [opened(), *[step(n) for n in range(1, count)]])


async def test_what_is_appended_is_read_back_in_order(store: Store) -> None:
    data = store.tenant(member())
    events = staged(data, 5)
    run = events[0].event.run
    await data.log.append(events[:2])
    await data.log.append(events[2:])
    assert await data.log.read(run) == events
    assert await data.log.read(run, after=3) == events[3:]
    assert await data.log.read(run, after=1, limit=2) == events[1:3]
    assert await data.log.read(run, after=5) == []


async def test_events_survive_closing(place: Place) -> None:
    context = member()
    async with place.open() as store:
        events = staged(store.tenant(context), 3)
        await store.tenant(context).log.append(events)
    async with place.open() as store:
        assert await read_run(store.tenant(context), events[0].event.run) == events


async def test_of_two_writers_of_a_run_one_is_refused(store: Store, neighbour: Store) -> None:
    context, run = member(), run_id()
    first, second = (writer_of(s.tenant(context), run) for s in (store, neighbour))
    outcomes = await asyncio.gather(first.append([opened()]), second.append([opened()]), return_exceptions=True)
    conflicts = [outcome for outcome in outcomes if isinstance(outcome, Conflict)]
    assert [conflict.code for conflict in conflicts] == ["conflict.sequence"]
    assert len(await read_run(store.tenant(context), run)) == 1


async def test_a_race_of_many_writers_leaves_one_unbroken_run(store: Store, neighbour: Store) -> None:
    context, run = member(), run_id()
    await asyncio.gather(
        *(
            append_shared(s.tenant(context), run, [step()], actor=context.principal.actor, attempts=100)
            for s in [store, neighbour] * 8
        )
    )
    events = await read_run(store.tenant(context), run)
    assert [stored.event.seq for stored in events] == list(range(1, 17))
    assert all(later.event.prev == earlier.hash for earlier, later in pairwise(events))


async def test_a_gap_is_refused(store: Store) -> None:
    data = store.tenant(member())
    events = staged(data, 4)
    await data.log.append(events[:1])
    with pytest.raises(Conflict) as refused:
        await data.log.append(events[2:])
    assert refused.value.code == "conflict.sequence"
    assert await data.log.read(events[0].event.run) == events[:1]


async def test_an_event_that_does_not_follow_the_stored_head_is_refused(store: Store) -> None:
    data, run = store.tenant(member()), run_id()
    mine, theirs = staged(data, 2, run), chain(data.context, run, [step(9), step(9)])
    await data.log.append(mine[:1])
    with pytest.raises(Conflict):
        await data.log.append(theirs[1:])


async def test_an_append_is_one_unbroken_piece_of_one_run(store: Store) -> None:
    data = store.tenant(member())
    events, others = staged(data, 3), staged(data, 3)
    for wrong in ([], [events[0], events[2]], [events[0], others[1]], [events[1], events[0]]):
        with pytest.raises(Defect):
            await data.log.append(wrong)
    assert await data.log.read(events[0].event.run) == []


async def test_events_of_another_tenant_are_refused(store: Store) -> None:
    mine, theirs = store.tenant(member()), store.tenant(member())
    with pytest.raises(Defect) as refused:
        await mine.log.append(staged(theirs, 1))
    assert refused.value.code == "defect.tenant"


async def test_another_tenant_finds_no_run(store: Store) -> None:
    mine, theirs = store.tenant(member()), store.tenant(member())
    events = staged(mine, 2)
    run = events[0].event.run
    await mine.log.append(events)
    assert await theirs.log.read(run) == []
    assert await theirs.log.raw(run) == []
    with pytest.raises(NotFound):
        await read_run(theirs, run)


async def test_two_tenants_may_have_a_run_of_the_same_id(store: Store) -> None:
    run = run_id()
    mine, theirs = store.tenant(member()), store.tenant(member())
    await mine.log.append(staged(mine, 2, run))
    await theirs.log.append(staged(theirs, 1, run))
    assert len(await mine.log.read(run)) == 2
    assert len(await theirs.log.read(run)) == 1


async def test_too_much_at_once_is_refused(store: Store) -> None:
    data = store.tenant(member())
    with pytest.raises(TooLarge):
        await data.log.append(staged(data, MAX_APPEND_EVENTS + 1))
    large = step().model_copy(update={"target": "x" * (MAX_APPEND_BYTES // 2)})
    with pytest.raises(TooLarge):
        await data.log.append(chain(data.context, run_id(), [large, large]))
    await data.log.append(staged(data, MAX_APPEND_EVENTS))


async def test_a_failed_append_leaves_neither_events_nor_content(store: Store) -> None:
    data, content = store.tenant(member()), prompt()
    events = staged(data, 3)
    await data.log.append(events[:1])
    with pytest.raises(Conflict):
        await data.log.append(events[:2], [content])
    with pytest.raises(NotFound):
        await data.content.get(content.ref)

    clash = prompt(b"another text")
    await data.content.put([content])
    with pytest.raises(Conflict):
        await data.log.append(
            events[1:],
            [clash, replace(content, data=b"forged")],
        )
    assert await data.log.read(events[0].event.run) == events[:1]
    with pytest.raises(NotFound):
        await data.content.get(clash.ref)


@pytest.mark.parametrize("publishers", [False, True])
@pytest.mark.parametrize("change", ["made", "changed", "deleted"])
async def test_what_rests_on_a_record_is_written_only_as_long_as_that_is_as_it_was_seen(
    store: Store, neighbour: Store, publishers: bool, change: str
) -> None:
    data = store.tenant(member())
    key, whose = run_id(), contexts.publisher("test") if publishers else data.context
    records = neighbour.tenant(whose).records
    etag = None if change == "made" else await records.put(key, Shared(text="one"), etag=None)
    seen = [Seen(whose.tenant, Shared.kind, key, etag)]
    writer, before = writer_of(data), prompt(b"before")
    writer.stage([opened()], [before])
    await writer.commit(resting_on=seen)
    writer.stage([step(1)])
    await writer.append([step(2)], resting_on=seen)

    if change == "deleted":
        await records.delete(Shared, key, etag=etag or "")
    else:
        await records.put(key, Shared(text="two"), etag=etag)
    content, staged_before = prompt(b"for what is not written"), prompt(b"staged before")
    writer.stage([step(3)], [staged_before])
    with pytest.raises(PreconditionFailed):
        await writer.append([step(4), step(5)], [content], resting_on=seen)
    assert (writer.seq, writer.durable) == (4, 3)
    assert len(await read_run(data, writer.run)) == 3
    await writer.append([step(6)])
    with pytest.raises(NotFound):
        await data.content.get(content.ref)
    assert await data.content.get(staged_before.ref) == b"staged before"
    stored = [event.event.body for event in await read_run(data, writer.run)]
    assert stored == [opened(), step(1), step(2), step(3), step(6)]
    assert await data.content.get(before.ref) == b"before"


async def test_nothing_is_written_that_rests_on_a_record_of_another_tenant(store: Store) -> None:
    data, publisher = store.tenant(member()), contexts.publisher("test")
    for another, model in ((member(), Shared), (publisher, Note)):
        key = run_id()
        etag = await store.tenant(another).records.put(key, model(text="theirs"), etag=None)
        for seen in (etag, None):
            with pytest.raises(Defect) as refused:
                await data.log.append(staged(data, 1), resting_on=[Seen(another.tenant, model.kind, key, seen)])
            assert refused.value.code == "defect.tenant"


@pytest.mark.parametrize("error", [Timeout("No answer."), asyncio.CancelledError()])
async def test_what_an_append_that_failed_staged_is_in_no_later_one(
    store: Store, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    data = store.tenant(member())
    writer = writer_of(data)
    writer.stage([opened()])

    async def away(*_: object, **__: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(type(data.log), "append", away)
        with pytest.raises(type(error)):
            await writer.append([step(1)], [prompt()])
    await writer.append([step(2)])
    assert [event.event.body for event in await read_run(data, writer.run)] == [opened(), step(2)]


async def test_one_failing_append_among_many_fails_alone(store: Store) -> None:
    data = store.tenant(member())
    runs = [staged(data, 3) for _ in range(60)]
    broken = [runs[n] for n in (0, 17, 59)]
    for events in broken:
        await data.log.append(events[:1])
    outcomes = await asyncio.gather(*(data.log.append(events) for events in runs), return_exceptions=True)
    for events, outcome in zip(runs, outcomes, strict=True):
        stored = await data.log.read(events[0].event.run)
        assert stored == (events[:1] if events in broken else events)
        assert isinstance(outcome, Conflict) == (events in broken)


async def test_an_acknowledged_append_is_seen_by_others_at_once(store: Store, neighbour: Store) -> None:
    context = member()
    for _ in range(20):
        events = staged(store.tenant(context), 2)
        await store.tenant(context).log.append(events)
        assert await neighbour.tenant(context).log.read(events[0].event.run) == events


async def test_the_feed_has_every_event_once_and_each_run_in_order(store: Store, neighbour: Store) -> None:
    async def writes(target: Store) -> None:
        writer = writer_of(target.tenant(member()))
        await writer.append([opened()])
        for number in range(1, 6):
            await writer.append([step(number)])

    seen: list[Stored] = []

    async def follows() -> None:
        after = ""
        while len(seen) < 16 * 6:
            page = await neighbour.platform.feed(after=after, limit=7)
            seen.extend(page.events)
            after = page.checkpoint
            await asyncio.sleep(0.001)
        assert (await neighbour.platform.feed(after=after)).events == []

    async with asyncio.timeout(30):
        await asyncio.gather(follows(), *(writes(s) for s in [store, neighbour] * 8))
    by_run: dict[str, list[int]] = {}
    for stored in seen:
        by_run.setdefault(stored.event.run, []).append(stored.event.seq)
    assert list(by_run.values()) == [[1, 2, 3, 4, 5, 6]] * 16


async def test_ready(store: Store) -> None:
    await store.ready()
    assert (await store.platform.feed(after="")).events == []
