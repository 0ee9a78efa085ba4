"""What was erased is in no byte of any file any more: pages, free pages, the log of writes, full text, the journal."""

import asyncio
import random
import secrets
import shutil
from pathlib import Path

import pytest
from governed_world import Governed, eraser_of, found_in, word
from store_places import SqlitePlace, place_of
from store_samples import Note, index, passage
from test_archive import taken, words

from control import ErasureRecord
from core import ContentClass
from core.bodies import RunEnded
from core.errors import Conflict, NotFound
from core.parts import RunState
from data import PROJECTIONS, Part, Projector, Store, read_run, rebuild_differences, verify_all
from mandate.erasures import reapply
from mandate.local.stack import StoreKind
from orchestration import STORES, Eraser, fold


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "mandate.db"


async def two(store: Store) -> tuple[Governed, Governed]:
    """Return two tenants with something in every store, one among much that the other has."""
    ours, theirs = Governed(store), Governed(store)
    for one in (theirs, ours):
        await one.fill()
        for _ in range(20):
            noise = theirs.content(secrets.token_hex(secrets.randbelow(4000)), ContentClass.PROMPT)
            await theirs.data.content.put([noise])
    return ours, theirs


@pytest.mark.parametrize("kind", ["sqlite", "cosmos"])
async def test_of_an_erased_tenant_no_byte_is_left_and_its_neighbour_has_everything(
    tmp_path: Path, kind: StoreKind
) -> None:
    """With a run under way and one that waits. Of Cosmos DB it is our emulator's file, once that has ended."""
    journal = tmp_path / "erasures.jsonl"
    async with place_of(kind, tmp_path) as place, place.open() as store:
        ours, theirs = await two(store)
        assert await ours.search() == await theirs.search() == 5
        await Projector(store.platform).catch_up()
        kept = await store.governed.held(theirs.tenant)
        said = {said for _, said in found_in(tmp_path, ours.words.all())}
        assert said == {*vars(ours.words).values()} - {ours.words.correlation}, "the canaries are not there"

        done = await ours.erase(eraser_of(store, journal), "tenant", ours.tenant)

        assert done.done_at
        assert kind == "cosmos" or found_in(tmp_path, ours.words.all()) == [], "while the store is open"
        assert await ours.search() == 0
        assert await theirs.search() == 5
        assert await store.governed.held(theirs.tenant) == kept
        assert {held.part for held in await store.governed.held(ours.tenant)} <= {"log", "views"}
        assert [verdict async for verdict in verify_all(store.platform) if not verdict.ok] == []
        for run in (ours.running, ours.parked):
            end = (await read_run(ours.data, run))[-1].event.body
            assert isinstance(end, RunEnded)
            assert (end.state, end.code) == (RunState.CANCELLED, "erasure.tenant")
        left = words(await taken(ours, tmp_path))
        assert [word for word in ours.words.all() if word in left] == [], "in what can be taken away"
    assert found_in(tmp_path, ours.words.all()) == [], "when it is closed"
    async with place_of(kind, tmp_path) as place, place.open() as store:
        await Projector(store.platform).catch_up()
        assert [await rebuild_differences(store.platform, view) for view in PROJECTIONS] == [[]] * len(PROJECTIONS)
    assert found_in(tmp_path, ours.words.all()) == [], "when its views are made again"


async def test_nothing_is_written_of_a_tenant_behind_its_erasure(path: Path) -> None:
    async with SqlitePlace(path).open() as store, SqlitePlace(path).open() as elsewhere:
        ours, theirs = await two(store)
        late = word()
        await ours.erase(eraser_of(store), "tenant", ours.tenant)

        with pytest.raises(Conflict):
            await ours.live.append([RunEnded(state=RunState.COMPLETED)], [ours.content(late, ContentClass.ANSWER)])
        other = elsewhere.tenant(ours.context)
        with pytest.raises(Conflict) as refused:
            await other.content.put([ours.content(late, ContentClass.PROMPT)])
        assert refused.value.code == "erasure.tenant"
        for write in (ours.bring, lambda: index(elsewhere, ours.context, [passage(late)])):
            with pytest.raises(Conflict):
                await write()
        assert found_in(path.parent, [*ours.words.all(), late]) == []
        assert not {"content", "records", "knowledge"} & {held.part for held in await store.governed.held(ours.tenant)}
        await theirs.data.content.put([theirs.content(late, ContentClass.PROMPT)])


async def test_of_an_erased_person_no_byte_is_left_but_the_organisation_s_documents(path: Path) -> None:
    async with SqlitePlace(path).open() as store:
        ours, theirs = await two(store)
        words = ours.words
        await ours.erase(eraser_of(store), "person", ours.person)
        gone = [words.oid, words.email, words.question, words.answer]
        assert found_in(path.parent, gone) == []
        assert fold(await read_run(ours.data, ours.running)).ended
        assert fold(await read_run(ours.data, ours.parked)).ended
        assert await ours.search() == await theirs.search() == 5
        with pytest.raises(Conflict) as refused:
            await ours.data.content.put([ours.content(words.question, ContentClass.PROMPT)])
        assert refused.value.code == "erasure.person"
        assert [verdict async for verdict in verify_all(store.platform) if not verdict.ok] == []


async def test_of_an_erased_document_no_byte_is_left_nor_what_was_answered_from_it(path: Path) -> None:
    async with SqlitePlace(path).open() as store:
        ours, theirs = await two(store)
        await ours.erase(eraser_of(store), "document", ours.document)
        assert found_in(path.parent, [ours.words.text, ours.words.answer]) == []
        assert {said for _, said in found_in(path.parent, [ours.words.question])} == {ours.words.question}
        assert await ours.search() == 0
        assert await theirs.search() == 5
        given = fold(await read_run(ours.data, ours.ended)).answer
        assert given
        assert [citation.document for citation in given.citations] == [ours.document]
        with pytest.raises(NotFound):
            await ours.data.content.get(given.message)


async def test_no_byte_is_left_in_pages_whose_content_has_moved(path: Path) -> None:
    chance, said = random.Random(2), word()
    async with SqlitePlace(path).open() as store:
        ours, theirs = Governed(store), Governed(store)
        etags: dict[str, str] = {}
        for _ in range(900):
            who = ours if chance.random() < 0.4 else theirs
            about = said if who is ours else "noise"
            key = f"{about}-{chance.randrange(100)}"
            if chance.random() < 0.6:
                text = f"{about} {chance.randbytes(chance.randrange(1500)).hex()} {about}"
                await who.data.content.put([who.content(text, ContentClass.PROMPT)])
            else:
                note = Note(text=f"{about} " * chance.randrange(1, 200))
                etags[key] = await who.data.records.put(key, note, etag=etags.get(key))
        assert found_in(path.parent, [said]) != []
        await store.governed.bar(ours.tenant)
        for part in Part:
            await store.governed.erase_all(ours.tenant, part)
        await store.governed.scrub()
        assert found_in(path.parent, [said]) == []


async def test_what_a_restore_brings_back_is_erased_again(path: Path) -> None:
    journal, backup = path.parent / "erasures.jsonl", path.parent / "elsewhere.bak"
    async with SqlitePlace(path).open() as store:
        ours, theirs = await two(store)
        document = theirs.document
    shutil.copy(path, backup)
    async with SqlitePlace(path).open() as store:
        await Governed.erase(ours, eraser_of(store, journal), "tenant", ours.tenant)
        await Governed.erase(theirs, eraser_of(store, journal), "document", document)
    shutil.move(backup, path)
    assert found_in(path.parent, ours.words.all()) != []
    assert await reapply(path.parent, None) == 0
    assert found_in(path.parent, [*ours.words.all(), theirs.words.text]) == []
    assert {said for _, said in found_in(path.parent, [theirs.words.question])} == {theirs.words.question}


async def test_an_erasure_that_is_cut_short_anywhere_is_taken_up_again(path: Path) -> None:
    async with SqlitePlace(path).open() as store:
        ours, _ = await two(store)
        eraser = eraser_of(store)
        record = await eraser.erasures.request(ours.tenant, "tenant", ours.tenant, ours.context.principal.actor)
        for store_ in STORES:  # as far as each, then from the start, as whoever comes after a kill
            carrying = asyncio.create_task(eraser.carry(record))
            while not carrying.done() and store_.name not in await gone_from(eraser, record):  # noqa: ASYNC110 - a task to be cut short
                await asyncio.sleep(0)
            carrying.cancel()
            await asyncio.wait([carrying])
        (open_,) = await eraser.erasures.open() or [record]
        done = await eraser.carry(open_)
        assert done.done_at
        assert found_in(path.parent, ours.words.all()) == []
        assert {line.store for line in done.receipt if line.items} >= {"content", "records", "knowledge", "directory"}


async def gone_from(eraser: Eraser, record: ErasureRecord) -> set[str]:
    found = await eraser.erasures.find(record.tenant, record.id)
    return {line.store for line in found.receipt} if found else set()
