"""Content: what a commitment is worth while the bytes are there, and once they are gone."""

from dataclasses import replace

import pytest
from store_samples import member, prompt

from core.errors import Conflict, Defect, NotFound
from data import Piece, Store


async def test_content_is_given_back_and_matches_its_commitment(store: Store) -> None:
    data, content = store.tenant(member()), prompt(b"two words")
    await data.content.put([content])
    assert await data.content.get(content.ref) == b"two words"
    assert await data.content.matches(content.ref, b"two words")
    assert not await data.content.matches(content.ref, b"other words")


async def test_writing_the_same_content_again_changes_nothing(store: Store) -> None:
    data, content = store.tenant(member()), prompt()
    await data.content.put([content])
    await data.content.put([content])
    with pytest.raises(Conflict):
        await data.content.put([replace(content, data=b"something else")])
    assert await data.content.get(content.ref) == content.data


async def test_erased_content_is_gone_and_nothing_can_be_compared_with_it(store: Store) -> None:
    data, contents = store.tenant(member()), [prompt(), prompt()]
    await data.content.put(contents)
    ids = [content.ref.id for content in contents]
    assert await data.content.erase(ids) == 2
    assert await data.content.erase(ids) == 0
    with pytest.raises(NotFound):
        await data.content.get(contents[0].ref)
    assert not await data.content.matches(contents[0].ref, contents[0].data)


async def test_bytes_that_are_not_what_the_log_committed_to_are_refused(store: Store) -> None:
    data, content, other = store.tenant(member()), prompt(b"yes"), prompt(b"no")
    await data.content.put([content])
    with pytest.raises(Defect) as refused:
        await data.content.get(content.ref.model_copy(update={"commitment": other.ref.commitment}))
    assert refused.value.code == "defect.commitment"


async def test_content_is_closed_to_other_tenants(store: Store) -> None:
    mine, theirs, content = store.tenant(member()), store.tenant(member()), prompt()
    await mine.content.put([content])
    with pytest.raises(NotFound):
        await theirs.content.get(content.ref)
    assert not await theirs.content.matches(content.ref, content.data)
    assert await theirs.content.erase([content.ref.id]) == 0
    assert await mine.content.get(content.ref) == content.data


async def test_what_there_is_comes_in_pages_in_order_of_the_ids_each_piece_once(store: Store) -> None:
    data, contents = store.tenant(member()), [prompt(bytes(number)) for number in range(25)]
    await data.content.put(contents)
    await store.tenant(member()).content.put([prompt()])
    found, cursor, pages = list[Piece](), None, 0
    while pages == 0 or cursor:
        page = await data.content.list(cursor=cursor, limit=4)
        assert len(page.items) <= 4
        found, cursor, pages = [*found, *page.items], page.cursor, pages + 1
    assert [piece.id for piece in found] == sorted(content.ref.id for content in contents)
    assert {piece.id: piece.size for piece in found} == {one.ref.id: len(one.data) for one in contents}
    assert pages == 7


async def test_somebodys_own_content_comes_in_pages_too(store: Store) -> None:
    data = store.tenant(member())
    others, own = [prompt() for _ in range(5)], [prompt() for _ in range(3)]
    own = [replace(one, owner=own[0].owner) for one in own]
    await data.content.put([*others, *own])
    first = await data.content.list(owner=own[0].owner, limit=2)
    rest = await data.content.list(owner=own[0].owner, limit=2, cursor=first.cursor)
    assert [piece.id for piece in (*first.items, *rest.items)] == sorted(one.ref.id for one in own)
    assert (first.cursor is None, rest.cursor) == (False, None)
