"""Records: documents whose ETag lets exactly one of several writers win."""

import asyncio

import pytest
from store_samples import Note, Other, member

from core.errors import BadRequest, PreconditionFailed
from data import Store


async def test_a_record_is_created_replaced_and_deleted_by_its_etag(store: Store) -> None:
    records = store.tenant(member()).records
    assert await records.get(Note, "a") is None
    first = await records.put("a", Note(text="one"), etag=None)
    second = await records.put("a", Note(text="two"), etag=first)
    found = await records.get(Note, "a")
    assert found
    assert (found.key, found.value, found.etag) == ("a", Note(text="two"), second)
    await records.delete(Note, "a", etag=second)
    assert await records.get(Note, "a") is None


async def test_a_stale_etag_is_refused(store: Store) -> None:
    records = store.tenant(member()).records
    first = await records.put("a", Note(text="one"), etag=None)
    await records.put("a", Note(text="two"), etag=first)
    with pytest.raises(PreconditionFailed):
        await records.put("a", Note(text="three"), etag=first)
    with pytest.raises(PreconditionFailed):
        await records.put("a", Note(text="three"), etag=None)
    with pytest.raises(PreconditionFailed):
        await records.put("b", Note(text="three"), etag=first)
    with pytest.raises(PreconditionFailed):
        await records.delete(Note, "a", etag=first)
    found = await records.get(Note, "a")
    assert found
    assert found.value.text == "two"


async def test_an_etag_is_not_used_again_when_the_same_value_comes_back(store: Store) -> None:
    records = store.tenant(member()).records
    etags = [await records.put("a", Note(text="one"), etag=None)]
    etags += [await records.put("a", Note(text=text), etag=etags[-1]) for text in ("two",)]
    etags += [await records.put("a", Note(text="one"), etag=etags[-1])]
    assert len(set(etags)) == 3


async def test_of_many_who_replace_a_record_at_once_one_wins(store: Store, neighbour: Store) -> None:
    context = member()
    etag = await store.tenant(context).records.put("a", Note(), etag=None)
    outcomes = await asyncio.gather(
        *(
            s.tenant(context).records.put("a", Note(text=str(n)), etag=etag)
            for n, s in enumerate([store, neighbour] * 10)
        ),
        return_exceptions=True,
    )
    winners = [outcome for outcome in outcomes if isinstance(outcome, str)]
    assert len(winners) == 1
    assert sum(isinstance(outcome, PreconditionFailed) for outcome in outcomes) == 19
    found = await neighbour.tenant(context).records.get(Note, "a")
    assert found
    assert found.etag == winners[0]


async def test_a_list_is_in_key_order_and_paged(store: Store) -> None:
    records = store.tenant(member()).records
    keys = [f"user/{n:02}" for n in range(7)]
    for key in reversed(keys):
        await records.put(key, Note(text=key), etag=None)
    await records.put("zebra", Note(), etag=None)
    await records.put("user/99", Other(), etag=None)
    found: list[str] = []
    cursor, pages = None, 0
    while pages == 0 or cursor:
        page = await records.list(Note, prefix="user/", cursor=cursor, limit=3)
        found += [item.value.text for item in page.items]
        cursor, pages = page.cursor, pages + 1
    assert found == keys
    assert pages == 3


async def test_a_page_that_is_just_full_is_the_last(store: Store) -> None:
    records = store.tenant(member()).records
    for key in ("a", "b"):
        await records.put(key, Note(), etag=None)
    assert (await records.list(Note, limit=2)).cursor is None


@pytest.mark.parametrize("cursor", ["%%%", "bm90IGpzb24=", "WzFd", "W10=", "eyJhIjoxfQ==", "WyJhIiwiYiJd"])
async def test_a_cursor_that_no_list_gave_is_refused(store: Store, cursor: str) -> None:
    data = store.tenant(member())
    with pytest.raises(BadRequest):
        await data.records.list(Note, cursor=cursor)


async def test_records_are_closed_to_other_tenants(store: Store) -> None:
    mine, theirs = store.tenant(member()).records, store.tenant(member()).records
    etag = await mine.put("a", Note(text="mine"), etag=None)
    assert await theirs.get(Note, "a") is None
    assert (await theirs.list(Note)).items == []
    with pytest.raises(PreconditionFailed):
        await theirs.delete(Note, "a", etag=etag)
    await theirs.put("a", Note(text="theirs"), etag=None)
    found = await mine.get(Note, "a")
    assert found
    assert found.value.text == "mine"
