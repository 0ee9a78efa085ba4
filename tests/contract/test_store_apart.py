"""Two tenants with everything under the same ids: what is decided, counted or erased of one is not of the other."""

from collections import Counter
from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
from identity_world import MovingClock
from store_places import Place
from store_samples import Note, index, member, opened, passage, permit, prompt, run_id

from core import ActionKind, Content, ContentClass, DocumentId, PrincipalId, TenantContext
from core.errors import Conflict, Defect, NotFound
from data import EVERYTHING, KNOWLEDGE, Held, Part, Query, Reader, Row, RunWriter, Store, TenantData, Term

WHO = PrincipalId("usr_who")
RUN, SAID, KEPT = run_id(), replace(prompt(), owner=WHO), passage("kettle", id_="doc_1.0")
"""What both have."""


@dataclass(frozen=True)
class Side:
    store: Store
    context: TenantContext

    @property
    def data(self) -> TenantData:
        return self.store.tenant(self.context)

    async def fill(self) -> "Side":
        """Put something into every store, as the other does."""
        await RunWriter(self.data, RUN, actor=self.context.principal.actor).append([opened()])
        await self.data.content.put([SAID])
        await self.data.records.put("key", Note(text=self.context.tenant), etag=None)
        await index(self.store, self.context, [KEPT])
        await self.store.platform.project({"view": [self.row]}, name="view", checkpoint="")
        return self

    @property
    def row(self) -> Row:
        return Row(self.context.tenant, "key", sort="2026", owner=WHO, state="open", run=RUN, seq=1, body=b"{}")

    async def has(self) -> tuple[object, ...]:
        """Return what can be erased of it."""
        note = await self.data.records.get(Note, "key")
        content = (await self.data.content.list()).items
        return note, [piece.id for piece in content], await self.data.knowledge.of(DocumentId("doc_1"))

    async def says(self, content: Content = SAID) -> str:
        """Return the code with which it is refused to write content, empty if it is not."""
        try:
            await self.data.content.put([content])
        except Conflict as refused:
            return refused.code
        return ""

    async def finds(self) -> set[str]:
        query = Query("kettle", (KEPT.collection,), 10)
        leave = permit(self.context, ActionKind.RETRIEVE, KNOWLEDGE, query.arguments)
        reader = Reader(WHO, frozenset(query.collections))
        hits = await self.data.knowledge.search(leave, query, vector=KEPT.vector, reader=reader)
        return {hit.passage.id for hit in hits}

    async def counted(self) -> list[Held]:
        return sorted(await self.store.governed.held(self.context.tenant), key=repr)


Both = tuple[Side, Side]


@pytest.fixture
def clock() -> MovingClock:
    return MovingClock()


@pytest.fixture
async def both(place: Place, clock: MovingClock) -> AsyncGenerator[Both]:
    async with place.open(clock=clock) as store:
        yield await Side(store, member()).fill(), await Side(store, member()).fill()


async def test_who_is_barred_in_one_tenant_goes_on_in_the_other(both: Both) -> None:
    governed, (first, second) = both[0].store.governed, both
    tenants = [side.context.tenant for side in both]
    await governed.bar(tenants[0], WHO)
    assert [await side.says() for side in both] == ["erasure.person", ""]
    await governed.bar(tenants[1], WHO)
    assert [await side.says() for side in both] == ["erasure.person"] * 2
    await governed.bar(tenants[0])
    assert [await side.says(prompt()) for side in both] == ["erasure.tenant", ""]
    with pytest.raises(Conflict):
        await first.data.records.put("other", Note(), etag=None)
    await second.data.records.put("other", Note(), etag=None)


async def test_who_erases_one_tenant_leaves_the_other_all_that_it_has(both: Both) -> None:
    governed, (first, second) = both[0].store.governed, both
    tenant, other = first.context.tenant, second.context.tenant
    await governed.bar(tenant)
    await governed.hold(tenant, "case", [EVERYTHING])
    await governed.hold(other, "case", [EVERYTHING])
    with pytest.raises(Conflict) as refused:
        await governed.erase_all(tenant, Part.CONTENT)
    assert refused.value.code == "hold.active"
    await governed.hold(tenant, "case", [])
    before, count = await second.has(), Counter[str]()
    assert all(before)
    for held in await first.counted():
        count[held.part] += held.items
    for part in Part:
        with pytest.raises(Defect):
            await governed.erase_all(other, part)
        assert await governed.erase_all(tenant, part) == count[part] > 0
        assert await second.has() == before, part
    assert await first.has() == (None, [], [])


async def test_who_releases_a_hold_leaves_that_of_the_same_name_in_the_other_tenant(both: Both) -> None:
    governed, (first, second) = both[0].store.governed, both
    for side in both:
        await governed.hold(side.context.tenant, "case", [WHO])
        with pytest.raises(Conflict):
            await side.data.content.erase([SAID.ref.id])
    await governed.hold(first.context.tenant, "case", [])
    assert await first.data.content.erase([SAID.ref.id]) == 1
    with pytest.raises(Conflict) as refused:
        await second.data.content.erase([SAID.ref.id])
    assert refused.value.code == "hold.active"
    assert await second.data.content.get(SAID.ref) == SAID.data


async def test_each_tenant_keeps_content_for_as_long_as_it_chose_itself(both: Both, clock: MovingClock) -> None:
    governed, (first, second) = both[0].store.governed, both
    tenant, other = first.context.tenant, second.context.tenant
    await governed.retain(tenant, {ContentClass.PROMPT: 5})
    await governed.retain(other, {ContentClass.PROMPT: 10})
    await second.data.content.put([prompt()])
    clock.ahead = timedelta(days=6)
    with pytest.raises(NotFound):
        await first.data.content.get(SAID.ref)
    assert await second.data.content.get(SAID.ref) == SAID.data
    assert await governed.expire(other) == 0
    await governed.hold(other, "case", [WHO])
    assert await governed.expire(tenant) == 1
    await governed.retain(tenant, {})
    kept = prompt()
    await first.data.content.put([kept])
    clock.ahead = timedelta(days=12)
    assert await first.data.content.get(kept.ref) == kept.data, "it chose anew"
    assert await second.data.content.get(SAID.ref) == SAID.data, "it is held, also past its time"
    await governed.hold(other, "case", [])
    with pytest.raises(NotFound):
        await second.data.content.get(SAID.ref)
    assert await governed.expire(other) == 2


async def test_a_hold_keeps_no_document_of_the_other_tenants_past_its_time(both: Both) -> None:
    first, second = both
    over = Term(SAID.ref.id, WHO, since="2019-01-01T00:00:00.000Z", until="2020-01-01T00:00:00.000Z")
    await first.store.governed.hold(second.context.tenant, "case", [EVERYTHING])
    assert [await side.data.knowledge.over([over]) for side in both] == [[SAID.ref.id], []]
    for side in both:
        await index(side.store, side.context, [replace(KEPT, id="doc_2.0", document=DocumentId("doc_2"), term=over)])
    assert [await side.finds() for side in both] == [{KEPT.id}, {KEPT.id, "doc_2.0"}]


async def test_what_is_counted_and_listed_of_a_tenant_is_its_own(both: Both) -> None:
    governed, (first, second) = both[0].store.governed, both
    tenant, other = first.context.tenant, second.context.tenant
    before, more = await first.counted(), run_id()
    assert {held.part for held in before} == {"content", "records", "knowledge", "log", "views"}
    await RunWriter(second.data, more, actor=second.context.principal.actor).append([opened()], [prompt()])
    await second.data.records.put("other", Note(), etag=None)
    await index(second.store, second.context, [passage("kettle", id_="doc_1.1")])
    await second.store.platform.project({"view": [replace(second.row, key="other")]}, name="view", checkpoint="")
    await governed.hold(other, "case", [EVERYTHING])
    assert await first.counted() == before
    assert sum(held.items for held in await second.counted()) == sum(held.items for held in before) + 5
    assert [run async for run in governed.runs(tenant)] == [RUN]
    assert {run async for run in governed.runs(other)} == {RUN, more}


async def test_each_tenant_finds_what_it_had_and_what_it_has_added(both: Both) -> None:
    for number in range(1, 3):
        for side in both:
            await index(side.store, side.context, [passage("kettle", id_=f"doc_1.{number}")])
            assert await side.finds() == {f"doc_1.{n}" for n in range(number + 1)}


async def test_what_goes_over_all_tenants_comes_by_each_once(both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is at the end of a page, such as the same key and time as what comes next, of another tenant."""
    monkeypatch.setattr("data.sqlite.platform.PAGE", 1)
    platform = both[0].store.platform
    tenants = sorted(side.context.tenant for side in both)
    found: Counter[object] = Counter()
    for rows in (platform.due("view", states=["open"]), platform.scan("view")):
        async for row in rows:
            found[row.tenant] += 1
            assert found.total() <= 4
    assert found == Counter(tenants * 2)
    async for run in platform.runs():
        found[run] += 1
        assert found.total() <= 6
    assert [found[tenant, RUN] for tenant in tenants] == [1, 1]
    given = await platform.rows("view", [(tenant, "key") for tenant in tenants])
    assert [(row.tenant, row.key) for row in given] == [(tenant, "key") for tenant in tenants]
    await platform.reset("view")
    assert await platform.rows("view", [(tenant, "key") for tenant in tenants]) == []
