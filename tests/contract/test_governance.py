"""What has expired is hidden at once and then destroyed, on both adapters; what a legal hold keeps is not."""

from collections.abc import AsyncGenerator, Mapping
from dataclasses import replace
from datetime import timedelta

import pytest
from governed_world import Governed, eraser_of
from identity_world import MovingClock
from store_places import Place
from store_samples import index, passage

from control import AccessLog, Amount, Directory, Entitlements, Offered, Switches
from core import Content, ContentClass, new_id, timestamp
from core.bodies import RunOpened
from core.errors import Conflict, NotFound
from data import Reader, Store, read_run
from orchestration import (
    Claims,
    ConversationRecord,
    DocumentRecord,
    HoldRecord,
    HoldScope,
    Sweeper,
    access_of,
    release_hold,
    set_hold,
)
from orchestration.erasing import each
from orchestration.holds import refuse_held
from orchestration.shown import ShownPassage, shown_again, stored_form

DAYS = {ContentClass.PROMPT: 30, ContentClass.ANSWER: 30, ContentClass.DOCUMENT: 60}


@pytest.fixture
def clock() -> MovingClock:
    return MovingClock()


@pytest.fixture
async def kept(place: Place, clock: MovingClock) -> AsyncGenerator[Store]:
    async with place.open(clock=clock, retention=DAYS) as opened:
        yield opened


@pytest.fixture
async def ours(kept: Store) -> Governed:
    return await Governed(kept).fill()


async def sweep(one: Governed, clock: MovingClock, kept: Mapping[ContentClass, int] = {}) -> int:
    """Sweep once, by a plan that keeps content for these days."""
    directory = Directory(one.store, clock)
    tenant = await directory.tenant(one.tenant)
    plans = {tenant.plan: Offered(frozenset(), frozenset(), Amount(micros=0, tokens=0), {}, kept)}
    entitlements = Entitlements(one.store, clock, plans)
    claims = Claims(Switches(one.store, clock, agents=(), tools=()), AccessLog(one.store, clock, code="1"), {}, clock)
    return await Sweeper(one.store, directory, entitlements, DAYS, eraser_of(one.store), claims, clock).sweep(tenant)


async def question(one: Governed) -> bytes:
    """Return what the person asked in the run that has ended; raises `NotFound`."""
    opened = (await read_run(one.data, one.ended))[0].event.body
    assert isinstance(opened, RunOpened)
    assert opened.message
    return await one.data.content.get(opened.message)


async def kinds(one: Governed) -> set[str]:
    return {held.kind for held in await one.store.governed.held(one.tenant) if held.part == "content"}


async def hold(one: Governed, scope: HoldScope, target: str) -> HoldRecord:
    reason = Content.new(b"a dispute", kind=ContentClass.REASON, owner=one.person)
    await one.data.content.put([reason])
    actor = one.context.principal.actor
    record = HoldRecord(id=new_id("hld"), scope=scope, target=target, reason=reason.ref, by=actor, at="")
    await set_hold(one.store, one.data, record)
    return record


async def test_what_has_expired_is_hidden_at_once_and_then_destroyed(ours: Governed, clock: MovingClock) -> None:
    assert await sweep(ours, clock) == 0
    clock.ahead = timedelta(days=31)
    with pytest.raises(NotFound):
        await question(ours)
    assert {"prompt", "answer"} <= await kinds(ours)
    assert await sweep(ours, clock) > 0
    assert not {"prompt", "answer"} & await kinds(ours)
    assert {"document", "profile", "passages"} <= await kinds(ours)
    assert await sweep(ours, clock) == 0


async def test_content_of_runs_stays_as_long_as_the_plan_says(ours: Governed, clock: MovingClock) -> None:
    await sweep(ours, clock, {ContentClass.PROMPT: 40})
    clock.ahead = timedelta(days=31)
    assert await question(ours), "its class would be over"
    await sweep(ours, clock, {ContentClass.PROMPT: 40})
    assert await question(ours)
    assert "answer" not in await kinds(ours), "of which the plan says nothing"
    clock.ahead = timedelta(days=41)
    with pytest.raises(NotFound):
        await question(ours)


async def test_a_plan_that_keeps_less_holds_only_after_thirty_days_and_one_that_keeps_more_at_once(
    ours: Governed, clock: MovingClock
) -> None:
    less, more = {ContentClass.PROMPT: 10}, {ContentClass.PROMPT: 100}
    await sweep(ours, clock)
    clock.ahead = timedelta(days=1)
    await sweep(ours, clock, less)
    clock.ahead = timedelta(days=20)
    await sweep(ours, clock, less)
    assert await question(ours), "there is time to take it away"
    await sweep(ours, clock, more)
    clock.ahead = timedelta(days=50)
    assert await question(ours)
    await sweep(ours, clock, less)
    clock.ahead = timedelta(days=79)
    await sweep(ours, clock, less)
    assert await question(ours)
    clock.ahead = timedelta(days=80)
    await sweep(ours, clock, less)
    with pytest.raises(NotFound):
        await question(ours)
    assert "prompt" not in await kinds(ours)


async def expires(one: Governed, until: str) -> None:
    """Let the document have a time of its own, as its collection gives it one."""
    found = await one.data.records.get(DocumentRecord, one.document)
    assert found
    record = found.value.model_copy(update={"expires_at": until})
    await one.data.records.put(found.key, record, etag=found.etag)
    words = await one.data.knowledge.of(one.document)
    await index(one.store, one.context, [replace(passage, term=record.term) for passage in words])


async def reads(one: Governed) -> set[int]:
    """Return how many passages of the document the person gets, in each way that there is."""
    knowledge = one.data.knowledge
    reader = Reader(one.person, whole=frozenset({one.words.collection}))
    access = await access_of(one.data)
    shown = ShownPassage(1, f"{one.document}.0", one.document, "Heading", one.words.text)
    again = await shown_again(one.data, stored_form([shown]))
    return {
        min(1, await one.search()),
        int(await knowledge.get(f"{one.document}.0", reader) is not None),
        min(1, len(await knowledge.of(one.document))),
        int(await access.document(one.document) is not None),
        sum(one.words.text in passage.text for passage in again.passages),
    }


async def test_nobody_finds_or_reads_a_document_whose_class_is_over(ours: Governed, clock: MovingClock) -> None:
    assert await reads(ours) == {1}
    clock.ahead = timedelta(days=61)
    assert await reads(ours) == {0}


async def test_nobody_finds_or_reads_a_document_whose_collection_keeps_it_no_longer(
    ours: Governed, clock: MovingClock
) -> None:
    await expires(ours, timestamp(clock.now() + timedelta(days=1)))
    assert await reads(ours) == {1}
    clock.ahead = timedelta(days=2)
    assert await reads(ours) == {0}


@pytest.mark.parametrize("scope", ["tenant", "person", "document"])
async def test_a_held_document_is_found_and_read_past_its_time(
    ours: Governed, clock: MovingClock, scope: HoldScope
) -> None:
    await expires(ours, timestamp(clock.now() + timedelta(days=1)))
    targets = {"tenant": ours.tenant, "person": ours.person, "document": ours.document}
    await hold(ours, scope, targets[scope])
    clock.ahead = timedelta(days=61)
    assert await reads(ours) == {1}


async def test_a_hold_on_something_else_brings_no_expired_passage_back(ours: Governed, clock: MovingClock) -> None:
    await hold(ours, "document", new_id("doc"))
    clock.ahead = timedelta(days=61)
    assert await reads(ours) == {0}


async def test_expired_passages_take_no_place_among_what_is_found(ours: Governed, clock: MovingClock) -> None:
    clock.ahead = timedelta(days=61)
    fresh = passage(
        ours.words.text, near=(0.0, 1.0, 0.0), collection=ours.words.collection, since=timestamp(clock.now())
    )
    await index(ours.store, ours.context, [fresh])
    assert await ours.search() == 1


async def test_a_document_expires_with_its_passages_and_its_record(ours: Governed, clock: MovingClock) -> None:
    clock.ahead = timedelta(days=61)
    await sweep(ours, clock)
    assert await ours.search() == 0
    assert await ours.data.records.get(DocumentRecord, ours.document) is None
    assert "passages" not in await kinds(ours)


async def test_a_collection_may_keep_its_documents_for_less_long(ours: Governed, clock: MovingClock) -> None:
    found = await ours.data.records.get(DocumentRecord, ours.document)
    assert found
    soon = found.value.model_copy(update={"expires_at": "2026-01-01T00:00:00.000Z"})
    await ours.data.records.put(found.key, soon, etag=found.etag)
    assert await sweep(ours, clock) == 1
    assert await ours.data.records.get(DocumentRecord, ours.document) is None
    assert await question(ours)


async def target_of(one: Governed, scope: HoldScope) -> str:
    """Return something of which the question is a part."""
    if scope == "conversation":
        (conversation,) = [found.key async for found in each(one.data, ConversationRecord)]
        return conversation
    return {"tenant": one.tenant, "person": one.person, "run": one.ended}[scope]


@pytest.mark.parametrize("scope", ["tenant", "person", "conversation", "run"])
async def test_a_hold_keeps_what_is_said_until_it_is_released(
    ours: Governed, clock: MovingClock, scope: HoldScope
) -> None:
    held = await hold(ours, scope, await target_of(ours, scope))
    clock.ahead = timedelta(days=31)
    await sweep(ours, clock)
    assert ours.words.question.encode() in await question(ours)
    with pytest.raises(Conflict, match=held.id) as refused:
        await refuse_held(ours.store, ours.data, "person", ours.person)
    assert refused.value.code == "erasure.held"
    with pytest.raises(Conflict, match=held.id):
        await refuse_held(ours.store, ours.data, "tenant", ours.tenant)
    found = await ours.data.records.get(HoldRecord, held.id)
    assert found
    await release_hold(ours.store, ours.data, found)
    await refuse_held(ours.store, ours.data, "person", ours.person)
    await sweep(ours, clock)
    with pytest.raises(NotFound):
        await question(ours)


async def test_a_held_document_outlives_its_time_whole(ours: Governed, clock: MovingClock) -> None:
    held = await hold(ours, "document", ours.document)
    clock.ahead = timedelta(days=61)
    await sweep(ours, clock)
    assert await ours.search() > 0
    assert {"document", "passages"} <= await kinds(ours)
    with pytest.raises(Conflict, match=held.id):
        await refuse_held(ours.store, ours.data, "document", ours.document)


async def test_a_hold_on_somebody_else_is_in_nobodys_way(kept: Store, ours: Governed, clock: MovingClock) -> None:
    theirs = await Governed(kept).fill()
    await hold(theirs, "tenant", theirs.tenant)
    await hold(ours, "document", new_id("doc"))
    await refuse_held(kept, ours.data, "document", ours.document)
    clock.ahead = timedelta(days=31)
    await sweep(ours, clock)
    await sweep(theirs, clock)
    assert "prompt" not in await kinds(ours)
    assert "prompt" in await kinds(theirs)
