"""What only the store on Cosmos DB has to do: lost answers, throttling, splits, ids, and what it costs."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import pytest
from cosmos_emulated import AnyToken
from store_places import CosmosPlace, emulated, leaks, small_containers
from store_samples import Note, index, member, opened, passage, prompt, run_id, step

from core import PUBLISHER, Content, ContentClass, PrincipalId, TenantId
from core.errors import Conflict, Defect, NotFound, PreconditionFailed, Timeout, Unavailable
from data import EVERYTHING, Row, RunWriter, TenantData, read_run
from data.cosmos import Account, CosmosStore, Usage, calls
from data.cosmos.calls import Calls
from data.cosmos.content import INLINE_BYTES
from data.cosmos.items import Items
from emulators.cosmos import Fault, Running

LOST: list[Fault] = [
    Fault(drop=True, after=True),
    Fault(status=500, after=True),
    Fault(status=408, after=True),
    Fault(status=503, after=True),
]
NOT_DONE: list[Fault] = [
    Fault(drop=True),
    Fault(status=503),
    Fault(status=449),
    Fault(status=410, substatus=1002),
    Fault(status=429, substatus=3200, retry_after_ms=3),
    Fault(status=429, substatus=3200),
    Fault(status=403, substatus=3),
]


@dataclass(frozen=True)
class World:
    store: CosmosStore
    place: CosmosPlace
    running: Running

    def order(self, fault: Fault, **changes: object) -> None:
        self.running.emulator.faults.order(fault.model_copy(update=changes))

    def asked(self, name: str, container: str) -> int:
        return self.store.usage.requests[name, container]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncGenerator[World]:
    async with emulated(tmp_path) as (place, running), place.open() as store:
        yield World(store, place, running)


def writer_of(data: TenantData) -> RunWriter:
    return RunWriter(data, run_id(), actor=data.context.principal.actor)


@pytest.mark.parametrize("fault", [*LOST, *NOT_DONE], ids=str)
async def test_an_append_is_there_once_whatever_became_of_its_answer(world: World, fault: Fault) -> None:
    writer, content = writer_of(world.store.tenant(member())), prompt()
    await writer.append([opened()])
    world.order(fault, operation="batch", container="events")
    await writer.append([step(1), step(2)], [content])
    assert await read_run(writer.data, writer.run) == writer.events
    assert await writer.data.content.get(content.ref) == content.data
    assert world.asked("batch", "events") == (2 if fault.drop else 3)  # counted are answers


async def test_who_has_written_to_two_containers_and_read_neither_reads_both_at_once(world: World) -> None:
    """Each has a session of its own: what was written to one is not waited for in the other."""
    data, content, known = world.store.tenant(member()), prompt(), world.asked("read", "content")
    await data.content.put([content])
    for number in range(12):  # tenants enough for all ranges
        row = Row(member().tenant, "k", sort="", owner="", state="", run=run_id(), seq=1, body=b"{}")
        await world.store.platform.project({"runs": [row]}, name="test", checkpoint=str(number))
    assert await data.content.get(content.ref) == content.data
    assert world.asked("read", "content") == known + 1


@pytest.mark.parametrize("fault", LOST, ids=str)
async def test_who_lost_a_race_is_told_so_even_if_the_first_answer_is_lost(world: World, fault: Fault) -> None:
    context = member()
    first, content = writer_of(world.store.tenant(context)), prompt()
    second = RunWriter(first.data, first.run, actor=first.actor)
    await first.append([opened()])
    world.order(fault, operation="batch", container="events")
    with pytest.raises(Conflict):
        await second.append([opened()], [content])
    assert await read_run(first.data, first.run) == first.events
    with pytest.raises(NotFound):
        await first.data.content.get(content.ref)


async def test_a_legal_hold_does_not_keep_what_a_refused_append_brought(world: World) -> None:
    context = member()
    first, content = writer_of(world.store.tenant(context)), prompt()
    second = RunWriter(first.data, first.run, actor=first.actor)
    await world.store.governed.hold(context.tenant, "case 1", [EVERYTHING])
    await first.append([opened()])
    with pytest.raises(Conflict) as refused:
        await second.append([opened()], [content])
    assert refused.value.code == "conflict.sequence"
    with pytest.raises(NotFound):
        await first.data.content.get(content.ref)


async def test_a_page_of_what_there_is_costs_no_more_where_there_is_much(world: World) -> None:
    content, received = world.store.tenant(member()).content, list[int]()
    for _ in range(2):
        await content.put([prompt(b"x" * 20_000) for _ in range(60)])
        before = world.store.usage.received["query", "content"]
        assert len((await content.list(limit=5)).items) == 5
        received.append(world.store.usage.received["query", "content"] - before)
    assert received[1] < 1.2 * received[0] < 20_000


@pytest.mark.parametrize("fault", [*LOST, *NOT_DONE], ids=str)
async def test_a_record_is_written_once_whatever_became_of_the_answer(world: World, fault: Fault) -> None:
    records = world.store.tenant(member()).records
    world.order(fault, operation="create", container="records")
    etag = await records.put("a", Note(text="one"), etag=None)
    world.order(fault, operation="replace", container="records")
    newer = await records.put("a", Note(text="two"), etag=etag)
    found = await records.get(Note, "a")
    assert found
    assert (found.value.text, found.etag) == ("two", newer)
    with pytest.raises(PreconditionFailed):
        await records.put("a", Note(text="three"), etag=etag)


@pytest.mark.parametrize("fault", LOST, ids=str)
async def test_a_deletion_whose_answer_was_lost_is_not_called_a_success(world: World, fault: Fault) -> None:
    """Another may have deleted it: of two who delete, one at most may be told that it was they."""
    records = world.store.tenant(member()).records
    etag = await records.put("a", Note(), etag=None)
    world.order(fault, operation="delete", container="records")
    with pytest.raises(PreconditionFailed):
        await records.delete(Note, "a", etag=etag)
    assert await records.get(Note, "a") is None


@pytest.mark.parametrize("fault", [*LOST, *NOT_DONE], ids=str)
async def test_content_is_written_once_whatever_became_of_the_answer(world: World, fault: Fault) -> None:
    data, content = world.store.tenant(member()), prompt()
    world.order(fault, operation="create", container="content")
    await data.content.put([content])
    assert await data.content.get(content.ref) == content.data


async def test_a_read_of_one_container_does_not_wait_for_what_another_has_reached(world: World) -> None:
    data = world.store.tenant(member())
    for number in range(5):
        await data.records.put(f"{number}", Note(), etag=None)
    await data.content.put([prompt()])
    async with asyncio.timeout(5):
        assert len((await data.content.list()).items) == 1
    assert world.asked("query", "content") == 1


@pytest.mark.parametrize("fault", [*NOT_DONE, Fault(status=404, substatus=1002)], ids=str)
async def test_reads_are_tried_again(world: World, fault: Fault) -> None:
    context = member()
    data = world.store.tenant(context)
    await data.records.put("a", Note(), etag=None)
    writer = writer_of(data)
    await writer.append([opened()])
    await index(world.store, context, [passage("kettle")])
    for operation in ("read", "query", "changes"):
        world.order(fault, operation=operation)
    assert await data.records.get(Note, "a")
    assert len((await data.records.list(Note)).items) == 1
    assert await read_run(data, writer.run) == writer.events
    assert [s.event.run for s in (await world.store.platform.feed(after="")).events] == [writer.run]


async def test_a_throttled_call_waits_as_long_as_it_is_told_and_sends_nothing_else(world: World) -> None:
    records = world.store.tenant(member()).records
    world.order(Fault(status=429, retry_after_ms=40, operation="create", times=3))
    before, started = world.running.emulator.counts["create"], time.monotonic()
    await records.put("a", Note(), etag=None)
    assert world.running.emulator.counts["create"] - before == 4
    assert time.monotonic() - started >= 0.12


async def test_a_wait_beyond_the_bound_is_handed_to_the_caller_at_once(world: World) -> None:
    world.order(Fault(status=429, retry_after_ms=60_000, operation="create"))
    started = time.monotonic()
    with pytest.raises(Unavailable) as refused:
        await world.store.tenant(member()).records.put("a", Note(), etag=None)
    assert refused.value.retry_after == 60
    assert time.monotonic() - started < 5


async def test_each_attempt_is_one_request_for_the_sdk_retries_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "BOUND_SECONDS", 1.0)
    records = world.store.tenant(member()).records
    await records.get(Note, "a")
    for fault in (Fault(status=500), Fault(status=503), Fault(drop=True), Fault(status=429, retry_after_ms=50)):
        world.order(fault, operation="create", times=0)
        sent, told = world.running.emulator.counts["create"], world.asked("create", "records")
        with pytest.raises((Timeout, Unavailable)):
            await records.put("a", Note(), etag=None)
        world.running.emulator.faults.clear()
        sent = world.running.emulator.counts["create"] - sent
        assert 3 < sent < 30
        if not fault.drop:  # a request without an answer is not counted on our side
            assert world.asked("create", "records") - told == sent


async def test_a_service_that_keeps_silent_does_not_hold_anybody_for_ever(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "BOUND_SECONDS", 0.6)
    monkeypatch.setattr(calls, "ATTEMPT_SECONDS", 0.2)
    records = world.store.tenant(member()).records
    world.order(Fault(hang=5, operation="create", times=0))
    started = time.monotonic()
    with pytest.raises(Timeout) as refused:
        await records.put("a", Note(), etag=None)
    assert refused.value.code == "timeout.store"
    assert time.monotonic() - started < 3
    world.running.emulator.faults.clear()
    await records.put("b", Note(), etag=None)


async def test_an_account_that_is_away_is_said_to_be(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "BOUND_SECONDS", 2.0)
    world.order(Fault(drop=True, times=0))
    with pytest.raises(Unavailable) as refused:
        await world.store.ready()
    assert refused.value.code == "dependency.store"
    with pytest.raises((Unavailable, Timeout)):  # on a busy machine even to be refused takes its time
        async with CosmosPlace(replace(world.place.account, url="https://127.0.0.1:1")).open():
            pass


async def test_short_and_empty_pages_do_not_end_a_list(world: World) -> None:
    context = member()
    writer = writer_of(world.store.tenant(context))
    await writer.append([opened(), *[step(n) for n in range(20)]])
    for rows in (3, 0, 1):
        world.order(Fault(operation="query", rows=rows, times=4))
        assert await read_run(writer.data, writer.run) == writer.events
        assert [run async for run in world.store.platform.runs()] == [(context.tenant, writer.run)]
        world.running.emulator.faults.clear()


async def test_the_feed_goes_on_where_it_was_when_a_range_is_split(world: World) -> None:
    async def append() -> RunWriter:
        writer = writer_of(world.store.tenant(member()))
        await writer.append([opened(), step()])
        return writer

    old = [await append() for _ in range(6)]
    first = await world.store.platform.feed(after="")
    catalogue = world.running.emulator.catalogue
    for at in ("0A" + "0" * 30, "20" + "0" * 30, "35" + "0" * 30):
        await catalogue.split(catalogue.container("mandate", "events"), at)
    new = [await append() for _ in range(12)]
    second = await world.store.platform.feed(after=first.checkpoint)
    assert len(first.events) == 2 * len(old)
    assert sorted(s.hash for s in second.events) == sorted(s.hash for w in new for s in w.events)
    third = await world.store.platform.feed(after=second.checkpoint)
    assert third.events == []
    last = await append()
    assert [s.event.run for s in (await world.store.platform.feed(after=third.checkpoint)).events] == [last.run] * 2
    anew = await world.store.platform.feed(after="")
    assert len({s.hash for s in anew.events}) == len(anew.events) == 2 * (len(old) + len(new) + 1)


@pytest.mark.parametrize(
    "key", ["a/b", "a\\b", "what?", "#1", "..", ".", "a b ", " ", "50%", "é/ü", "\t\n", "=2F", "x=", "x" * 1000]
)
async def test_a_name_may_hold_what_cosmos_forbids_in_an_id(world: World, key: str) -> None:
    context = member()
    data = world.store.tenant(context)
    etag = await data.records.put(key, Note(text=key), etag=None)
    etag = await data.records.put(key, Note(text="new"), etag=etag)
    found = await data.records.get(Note, key)
    assert found
    assert (found.key, found.value.text, found.etag) == (key, "new", etag)
    assert [item.key for item in (await data.records.list(Note)).items] == [key]
    await data.records.delete(Note, key, etag=etag)
    assert await data.records.get(Note, key) is None


@pytest.mark.parametrize("tenant", ["", None, " " * 2000, 7])
async def test_without_a_tenant_nothing_reaches_the_service(world: World, tenant: object) -> None:
    data = world.store.tenant(
        member(cast("TenantId", tenant)) if tenant else replace(member(), tenant=cast("Any", tenant))
    )
    before = world.running.emulator.counts.total()
    asking: list[Callable[[], Awaitable[object]]] = [
        lambda: data.records.get(Note, "a"),
        lambda: data.records.list(Note),
        lambda: data.records.put("a", Note(), etag=None),
        lambda: data.log.read(run_id()),
        lambda: data.views.get("v", "a"),
        lambda: data.views.list("v"),
        lambda: data.content.get(prompt().ref),
        lambda: data.knowledge.remove(cast("Any", "doc_1")),
    ]
    for ask in asking:
        with pytest.raises(Defect) as refused:
            await ask()
        assert refused.value.code == "defect.tenant"
    assert world.running.emulator.counts.total() == before


async def test_another_tenants_document_is_withheld_and_called_a_fault() -> None:
    """No server of ours gives one out, so here it is a stand-in for the container that does."""

    class Leaking:
        async def read_item(self, _: str, **__: object) -> dict[str, object]:
            return {"id": "a", "tenant": "ten_theirs"}

        def query_items(self, *_: object, **__: object) -> Any:
            async def rows() -> AsyncGenerator[dict[str, object]]:
                yield {"id": "a", "tenant": "ten_mine"}
                yield {"id": "b", "tenant": "ten_theirs"}

            return rows()

    items = Items(cast("Any", Leaking()), "records", Calls(Usage()))
    mine = TenantId("ten_mine")
    for ask in (items.read((mine, "k"), "a"), items.query((mine, "k"), "SELECT * FROM c WHERE c.tenant = @tenant")):
        with pytest.raises(Defect) as refused:
            await ask
        assert refused.value.code == "defect.tenant"
    with pytest.raises(Defect, match="does not name the tenant"):
        await items.query((mine, "k"), "SELECT * FROM c")
    with pytest.raises(Defect):
        await items.create((mine, "k"), {"id": "a", "tenant": "ten_theirs", "kind": "k"})


async def test_a_turn_appends_with_one_request_and_reads_points(world: World) -> None:
    data = world.store.tenant(member())
    writer = writer_of(data)
    await writer.append([opened()])
    usage = world.store.usage
    before = usage.requests.copy()
    contents = [prompt(), prompt()]
    await writer.append([step(1), step(2)], contents)
    await data.content.get(contents[0].ref)
    asked = {label: times for label, times in (usage.requests - before).items() if label[0] != "metadata"}
    assert asked == {("batch", "events"): 1, ("create", "content"): 2, ("read", "content"): 1}
    assert usage.charge["batch", "events"] > 0
    assert usage.sent["batch", "events"] > 500
    assert usage.received["read", "content"] > 100


async def test_a_writer_who_does_not_know_the_run_reads_one_point_to_learn_what_it_follows(world: World) -> None:
    context = member()
    writer = writer_of(world.store.tenant(context))
    await writer.append([opened(), step()])
    async with world.place.open() as other:
        before = other.usage.requests.copy()
        elsewhere = await RunWriter.load(other.tenant(context), writer.run, actor=writer.actor)
        await elsewhere.append([step()])
        await elsewhere.append([step()])
        asked = other.usage.requests - before
        assert asked["read", "events"] == 1
        assert asked["query", "events"] == 2


async def test_what_is_counted_names_the_tenant_and_the_publisher_where_there_is_none(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[tuple[object, str]] = []

    def meter(tenant: TenantId, *, operation: str, **_: object) -> None:
        counted.append((tenant, operation))

    monkeypatch.setattr("data.cosmos.usage.meter_store", meter)
    context = member()
    await world.store.tenant(context).records.get(Note, "a")
    await world.store.platform.feed(after="")
    assert (context.tenant, "read") in counted
    assert {tenant for tenant, operation in counted if operation == "changes"} == {PUBLISHER}


async def test_large_content_lies_in_pieces_that_go_when_it_is_erased(world: World) -> None:
    data = world.store.tenant(member())
    owner = PrincipalId("usr_1")
    sizes = (INLINE_BYTES, INLINE_BYTES + 1, 2_000_000)
    contents = [Content.new(bytes([n]) * size, kind=ContentClass.DOCUMENT, owner=owner) for n, size in enumerate(sizes)]
    await data.content.put(contents)
    await data.content.put(contents)
    assert [await data.content.get(content.ref) for content in contents] == [content.data for content in contents]
    with pytest.raises(Conflict):
        await data.content.put([replace(contents[2], data=b"x" * 300_000)])
    assert await stored_content(world, data.context.tenant) == 1 + 2 + 4
    assert await data.content.erase([content.ref.id for content in contents]) == 3
    assert await stored_content(world, data.context.tenant) == 0
    assert not await data.content.matches(contents[2].ref, contents[2].data)


async def stored_content(world: World, tenant: TenantId) -> int:
    sql = "SELECT c.tenant FROM c WHERE c.tenant = @tenant"
    return len(await world.store._shelves.items.query(tenant, sql))  # pyright: ignore[reportPrivateUsage] - no port shows pieces


async def test_many_at_once_share_one_client(world: World) -> None:
    contexts = [member() for _ in range(20)]
    writers = [writer_of(world.store.tenant(context)) for context in contexts]
    await asyncio.gather(*(writer.append([opened(), step()], [prompt()]) for writer in writers))
    for writer, context in zip(writers, contexts, strict=True):
        assert await read_run(writer.data, writer.run) == writer.events
        assert {stored.event.tenant for stored in writer.events} == {context.tenant}


async def test_the_suite_would_notice_a_server_that_gives_out_other_tenants_rows(world: World) -> None:
    assert await leaks(world.place) == ""


def test_a_token_is_never_sent_over_plain_http() -> None:
    for account in (("http://127.0.0.1:1", ""), ("https://127.0.0.1:1", "http://127.0.0.1:2")):
        with pytest.raises(Defect):
            Account(account[0], AnyToken(), small_containers(), blobs=account[1])
