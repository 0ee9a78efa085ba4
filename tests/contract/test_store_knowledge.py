"""Knowledge: who finds what, and that nobody finds anything else."""

from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from store_samples import index, member, passage, permit, vector

from core import ActionKind, DocumentId, Permit, PrincipalId, TenantContext
from core.errors import Defect
from data import KNOWLEDGE, Hit, Passage, Query, Reader, Store, indexing, rank_score

ANYBODY = Reader(PrincipalId("usr_reader"), whole=frozenset({"manuals", "policies"}))
OWN = Reader(PrincipalId("usr_reader"), own=frozenset({"manuals"}))
NORTH, EAST = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0)


async def search(
    store: Store,
    context: TenantContext,
    text: str,
    *,
    near: Sequence[float] = NORTH,
    reader: Reader = ANYBODY,
    collections: Sequence[str] = ("manuals",),
    limit: int = 10,
    explain: bool = False,
) -> Sequence[Hit]:
    query = Query(text, tuple(collections), limit, explain)
    leave = permit(context, ActionKind.RETRIEVE, KNOWLEDGE, query.arguments)
    return await store.tenant(context).knowledge.search(leave, query, vector=vector(*near), reader=reader)


def texts(hits: Sequence[Hit]) -> list[str]:
    return [hit.passage.text for hit in hits]


async def test_what_both_ways_find_comes_first_and_scores_are_reciprocal_ranks(store: Store) -> None:
    context = member()
    both = passage("the kettle descales with vinegar", near=NORTH)
    near = passage("unrelated words here", near=(0.9, 0.1, 0.0))
    worded = passage("kettle kettle kettle", near=EAST)
    await index(store, context, [worded, near, both])
    hits = await search(store, context, "descale the kettle?")
    assert hits[0].passage == both
    assert (hits[0].rank_vector, hits[0].rank_text) == (1, 1)
    assert hits[0].score == 2 * round(1_000_000 / 61)
    found = {hit.passage.id: hit for hit in hits}
    assert (found[near.id].rank_vector, found[near.id].rank_text) == (2, 0)
    assert (found[worded.id].rank_vector, found[worded.id].rank_text) == (3, 2)
    assert texts(await search(store, context, "descale the kettle?", limit=1)) == [both.text]


async def test_a_search_explains_why_each_passage_ranked(store: Store) -> None:
    context = member()
    both = passage("Kettles descale with vinegar")
    near = passage("unrelated", near=(0.6, 0.8, 0.0))
    other = passage("a kettle", near=(1.0, 0.0))
    await index(store, context, [both, near, other])
    hits = {hit.passage.id: hit for hit in await search(store, context, "The kettle, descaled? kettle", explain=True)}
    assert set(hits[both.id].matched) == {"kettle", "descaled"}
    assert (hits[near.id].matched, hits[other.id].matched) == ((), ("kettle",))
    assert hits[both.id].similarity == pytest.approx(1_000_000, abs=2)
    assert hits[near.id].similarity == pytest.approx(600_000, abs=2)
    assert (hits[other.id].similarity, hits[other.id].rank_vector) == (0, 0)
    for hit in hits.values():
        assert hit.score == rank_score(hit.rank_vector) + rank_score(hit.rank_text)
    assert {hit.matched for hit in await search(store, context, "kettle")} == {()}


async def test_a_search_shows_only_what_the_reader_may_read(store: Store) -> None:
    context = member()
    theirs, own = passage("canary salaries"), passage("canary own draft", owner="usr_reader")
    elsewhere = passage("canary policy", collection="policies", owner="usr_reader")
    await index(store, context, [theirs, own, elsewhere])
    me, manuals, both = PrincipalId("usr_reader"), frozenset({"manuals"}), frozenset({"manuals", "policies"})
    cases = {
        Reader(me): set[Passage](),
        Reader(me, whole=manuals): {theirs, own},
        Reader(me, own=manuals): {own},
        Reader(me, own=both): {own, elsewhere},
        Reader(me, whole=manuals, own=both): {theirs, own, elsewhere},
        Reader(PrincipalId("usr_other"), own=both): set[Passage](),
    }
    for reader, expected in cases.items():
        hits = await search(store, context, "canary", reader=reader, collections=sorted(both))
        assert {hit.passage.id for hit in hits} == {passage.id for passage in expected}
        for one in (theirs, own, elsewhere):
            found = await store.tenant(context).knowledge.get(one.id, reader)
            assert found == (one if one in expected else None)


async def test_unreadable_passages_do_not_push_readable_ones_out(store: Store) -> None:
    context = member()
    hidden = [passage("secret secret secret") for _ in range(120)]
    await index(store, context, [*hidden, passage("a secret at the very end", near=EAST, owner="usr_reader")])
    hits = await search(store, context, "secret", reader=OWN)
    assert texts(hits) == ["a secret at the very end"]
    assert (hits[0].rank_vector, hits[0].rank_text) == (1, 1)


async def test_only_the_collections_asked_for_are_searched(store: Store) -> None:
    context = member()
    await index(store, context, [passage("kettle"), passage("kettle too", collection="policies")])
    assert texts(await search(store, context, "kettle", collections=["policies"])) == ["kettle too"]
    assert len(await search(store, context, "kettle", collections=["policies", "manuals"])) == 2
    assert await search(store, context, "kettle", collections=[]) == []


async def test_another_tenants_passages_are_never_found(store: Store) -> None:
    mine, theirs = member(), member()
    canary = passage("canary of the other company")
    await index(store, theirs, [canary])
    assert await search(store, mine, "canary") == []
    assert await store.tenant(mine).knowledge.get(canary.id, ANYBODY) is None
    assert await store.tenant(mine).knowledge.remove(canary.document) == 0
    await index(store, mine, [passage("our own words", id_=canary.id)])
    assert texts(await search(store, mine, "canary")) == ["our own words"]
    assert texts(await search(store, theirs, "canary")) == ["canary of the other company"]


async def test_another_tenants_words_do_not_change_a_ranking(store: Store) -> None:
    mine, theirs = member(), member()
    ours = [passage("alpha beta"), passage("alpha alpha gamma"), passage("beta delta beta")]
    await index(store, mine, ours)
    before = await search(store, mine, "alpha beta")
    await index(store, theirs, [passage("alpha alpha alpha") for _ in range(50)])
    assert await search(store, mine, "alpha beta") == before


@pytest.mark.parametrize(
    "text",
    [
        "kettle AND NOT zebra",
        'kettle" OR "zebra',
        "kettle NEAR(zebra, 5)",
        "text: kettle ^ * - + ( ) { } :",
        "kettle*",
        "'; DROP TABLE passages; -- kettle",
        "kettle \x00 \ud7ff _ __",
    ],
)
async def test_query_syntax_in_a_persons_words_is_only_words(store: Store, text: str) -> None:
    context = member()
    await index(store, context, [passage("the kettle", near=EAST), passage("other", near=EAST)])
    hits = await search(store, context, text)
    assert [hit.passage.text for hit in hits if hit.rank_text] == ["the kettle"]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=200))
async def test_any_text_can_be_searched_for(store: Store, text: str) -> None:
    context = member()
    await index(store, context, [passage("the kettle")])
    assert texts(await search(store, context, text)) == ["the kettle"]


async def test_words_without_a_vector_and_vectors_without_words(store: Store) -> None:
    context = member()
    await index(store, context, [passage("the kettle"), passage("the toaster", near=EAST)])
    by_vector = await search(store, context, "?!")
    assert [(hit.rank_vector, hit.rank_text) for hit in by_vector] == [(1, 0), (2, 0)]
    by_text = await search(store, context, "toaster", near=())
    assert [(hit.passage.text, hit.rank_vector, hit.rank_text) for hit in by_text] == [("the toaster", 0, 1)]


async def test_vectors_of_another_embedder_are_not_compared(store: Store) -> None:
    context = member()
    await index(store, context, [passage("old words", near=(1.0, 0.0)), passage("new words")])
    hits = await search(store, context, "words")
    assert {hit.passage.text: hit.rank_vector for hit in hits} == {"old words": 0, "new words": 1}


async def test_indexing_a_passage_again_replaces_it(store: Store) -> None:
    context = member()
    await index(store, context, [passage("old kettle", id_="psg_1"), passage("old toaster", id_="psg_2")])
    await index(store, context, [passage("new kettle", id_="psg_1", owner="usr_reader")])
    assert set(texts(await search(store, context, "old"))) == {"new kettle", "old toaster"}
    assert texts(await search(store, context, "old new kettle", reader=OWN)) == ["new kettle"]


async def test_removing_keeps_what_is_below_the_ordinal(store: Store) -> None:
    context = member()
    knowledge = store.tenant(context).knowledge
    await index(store, context, [passage(f"part {n}", ordinal=n) for n in range(4)])
    await index(store, context, [passage("part of another", document="doc_2", ordinal=3)])
    assert await knowledge.remove(DocumentId("doc_1"), keep=2) == 2
    assert set(texts(await search(store, context, "part"))) == {"part 0", "part 1", "part of another"}
    assert await knowledge.remove(DocumentId("doc_1")) == 2
    assert await knowledge.remove(DocumentId("doc_1")) == 0
    assert texts(await search(store, context, "part")) == ["part of another"]


async def test_what_another_process_writes_is_found_at_the_next_search(store: Store, neighbour: Store) -> None:
    context = member()
    await index(store, context, [passage("the kettle", id_="psg_1")])
    assert texts(await search(store, context, "kettle")) == ["the kettle"]
    await index(neighbour, context, [passage("a second kettle", near=EAST)])
    assert texts(await search(store, context, "kettle")) == ["the kettle", "a second kettle"]
    await index(neighbour, context, [passage("the toaster", id_="psg_1", near=EAST)])
    assert texts(await search(store, context, "kettle")) == ["a second kettle", "the toaster"]


async def test_a_large_document_is_indexed_whole(store: Store) -> None:
    context = member()
    await index(store, context, [passage(f"part {n}", ordinal=n) for n in range(130)])
    assert len(await search(store, context, "part", limit=200)) == 130


async def test_nothing_is_searched_or_indexed_without_its_own_permit(store: Store) -> None:
    context, other = member(), member()
    knowledge = store.tenant(context).knowledge
    passages, query = [passage("the kettle")], Query("kettle", ("manuals",), 10)
    arguments = {ActionKind.INGEST: indexing(passages), ActionKind.RETRIEVE: query.arguments}
    targets = {ActionKind.INGEST: "manuals", ActionKind.RETRIEVE: KNOWLEDGE}

    async def use(kind: ActionKind, leave: Permit) -> None:
        if kind is ActionKind.INGEST:
            await knowledge.index(leave, passages)
        else:
            await knowledge.search(leave, query, vector=vector(*NORTH), reader=ANYBODY)

    for kind, target in targets.items():
        spent = permit(context, kind, target, arguments[kind])
        await use(kind, spent)
        strange = permit(other, kind, target, arguments[kind])
        elsewhere = permit(context, kind, "another", arguments[kind])
        for leave in (spent, strange, elsewhere, permit(context, kind, target, {})):
            with pytest.raises(Defect):
                await use(kind, leave)


async def test_passages_of_two_collections_are_not_indexed_at_once(store: Store) -> None:
    context = member()
    passages = [passage("kettle"), passage("kettle", collection="policies")]
    for several in (passages, []):
        leave = permit(context, ActionKind.INGEST, "manuals", indexing(several))
        with pytest.raises(Defect):
            await store.tenant(context).knowledge.index(leave, several)
    assert await search(store, context, "kettle", collections=["manuals", "policies"]) == []
