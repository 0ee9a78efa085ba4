"""What is particular to the SQLite store: its file, its threads and its one transaction for many."""

import asyncio
import stat
import subprocess
import sys
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import cast

import apsw
import pytest
from store_samples import Note, index, member, opened, passage, permit, prompt, run_id, step, vector

from core import ActionKind, DocumentId, PrincipalId, SystemClock, TenantContext, TenantId
from core.errors import Defect, PreconditionFailed, Unavailable
from data import KNOWLEDGE, Broken, Hit, Query, Reader, RunWriter, Seen, Store, verify_all, verify_one
from data.sqlite import database, open_store, passages
from data.sqlite.connections import Connection, open_writer
from data.sqlite.database import open_database
from data.sqlite.ranking import Indexes
from data.sqlite.store import SqliteStore


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "mandate.db"


@contextmanager
def outside(path: Path) -> Generator[Connection]:
    """Open the file as somebody else would."""
    connection = open_writer(path)
    yield connection
    connection.close()


def bytes_of(path: Path) -> bytes:
    return path.read_bytes()


def wal_size(path: Path) -> int:
    return Path(f"{path}-wal").stat().st_size


def count(path: Path) -> int:
    with outside(path) as connection:
        return connection.execute("SELECT count(*) FROM checkpoints").fetchone()[0]


async def handed_over() -> None:
    """Wait until the writer's queue holds what tasks that were just made submit: they run, then the round ends."""
    for _ in range(2):
        await asyncio.sleep(0)


def add(name: str) -> "database.Work[None]":
    def work(connection: Connection) -> None:
        connection.execute("INSERT INTO checkpoints (name, position) VALUES (?, 1)", (name,))

    return work


async def test_the_file_is_for_its_owner_only(path: Path) -> None:
    async with open_store(path) as store:
        await store.ready()
        for file in path.parent.iterdir():
            assert stat.S_IMODE(file.stat().st_mode) == 0o600, file.name
    assert [file.name for file in path.parent.iterdir()] == ["mandate.db"]


async def test_a_file_that_is_no_database_is_refused(path: Path) -> None:
    await asyncio.to_thread(path.write_bytes, b"this is a letter, not a database" * 100)
    with pytest.raises(Unavailable):
        async with open_store(path):
            pass


async def test_a_folder_that_is_not_there_is_refused(path: Path) -> None:
    with pytest.raises(Unavailable):
        async with open_store(path.parent / "nowhere" / "mandate.db"):
            pass


def test_three_processes_may_start_on_the_same_new_file(path: Path) -> None:
    script = (
        "import asyncio, sys; from pathlib import Path; from data.sqlite import open_store\n"
        "async def main():\n"
        "    async with open_store(Path(sys.argv[1])) as store:\n"
        "        await store.ready()\n"
        "asyncio.run(main())"
    )
    processes = [subprocess.Popen([sys.executable, "-c", script, str(path)], stderr=subprocess.PIPE) for _ in range(3)]
    for process in processes:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors.decode()


def test_who_opens_a_new_file_waits_for_another_process_that_is_making_it(path: Path) -> None:
    other = cast("Connection", apsw.Connection(str(path)))
    other.execute("BEGIN IMMEDIATE")
    ended = threading.Timer(0.2, other.execute, ["COMMIT"])
    ended.start()
    open_writer(path).close()
    ended.join()
    other.close()


async def test_a_failing_submission_is_undone_alone_and_gets_its_own_error(path: Path) -> None:
    def fails(connection: Connection) -> None:
        add("undone")(connection)
        raise LookupError("mine")

    async with open_database(path) as db:
        outcomes = await asyncio.gather(
            *(db.write(fails if n == 7 else add(str(n))) for n in range(20)), return_exceptions=True
        )
    assert [n for n, outcome in enumerate(outcomes) if outcome is not None] == [7]
    assert isinstance(outcomes[7], LookupError)
    assert count(path) == 19


async def test_when_sqlite_gives_up_nobody_in_the_group_is_told_that_it_worked(path: Path) -> None:
    """As when the disk is full: SQLite itself ends the transaction."""

    def disk_is_full(connection: Connection) -> None:
        connection.execute("ROLLBACK")
        raise apsw.FullError("disk is full")

    async with open_database(path) as db:
        hold = threading.Event()
        first = asyncio.create_task(db.write(lambda _: hold.wait(10)))
        await asyncio.sleep(0.05)  # the writer is busy, so that the next two join its group
        group = [asyncio.create_task(db.write(work)) for work in (add("before"), disk_is_full, add("after"))]
        await handed_over()
        hold.set()
        outcomes = await asyncio.gather(*group, return_exceptions=True)
        with pytest.raises(Unavailable):
            await first
        assert [type(outcome) for outcome in outcomes] == [Unavailable, Unavailable, type(None)]
    assert count(path) == 1  # of what came after


async def test_many_submissions_share_a_transaction(path: Path) -> None:
    async with open_database(path) as db:
        await db.write(add("first"))
        hold = threading.Event()
        first = asyncio.create_task(db.write(lambda _: hold.wait(10)))
        await asyncio.sleep(0.05)
        before = wal_size(path)
        group = [asyncio.create_task(db.write(add(str(n)))) for n in range(200)]
        await handed_over()
        hold.set()
        await asyncio.gather(first, *group)
        assert wal_size(path) - before < 20 * 4096  # two hundred commits would be two hundred pages at least


async def test_what_rests_on_a_record_is_compared_in_the_transaction_that_writes(path: Path) -> None:
    async with open_store(path) as store:
        data = store.tenant(member())
        etag = await data.records.put("a", Note(text="one"), etag=None)
        writer = RunWriter(data, run_id(), actor=data.context.principal.actor)
        await writer.append([opened()])
        changed, refused = await asyncio.gather(  # both are in one round of the loop, and so in one transaction
            data.records.put("a", Note(text="two"), etag=etag),
            writer.append([step(1)], resting_on=[Seen(data.context.tenant, Note.kind, "a", etag)]),
            return_exceptions=True,
        )
        assert isinstance(changed, str)
        assert isinstance(refused, PreconditionFailed)


async def test_reading_does_not_wait_for_the_writer(path: Path) -> None:
    async with open_database(path) as db:
        hold = threading.Event()
        writing = asyncio.create_task(db.write(lambda _: hold.wait(30)))
        async with asyncio.timeout(5):
            for _ in range(20):
                await db.read(lambda connection: connection.execute("SELECT count(*) FROM events").fetchone())
        assert not writing.done()
        hold.set()
        await writing


async def test_more_than_the_queue_holds_is_turned_away(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "WAITING", 3)
    async with open_database(path) as db:
        hold = threading.Event()
        waiting = [asyncio.create_task(db.write(lambda _: hold.wait(10))) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(Unavailable) as refused:
            await db.write(add("one too many"))
        assert refused.value.retry_after
        hold.set()
        await asyncio.gather(*waiting)
        await db.write(add("room again"))
    assert count(path) == 1


async def test_who_waits_too_long_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BOUND_SECONDS", 0.05)
    async with open_database(path) as db:
        store = SqliteStore(db, SystemClock(), {})
        hold = threading.Event()
        blocked = asyncio.create_task(db.write(lambda _: hold.wait(10)))
        with pytest.raises(Unavailable):
            await store.ready()
        hold.set()
        await asyncio.gather(blocked, return_exceptions=True)
        monkeypatch.undo()
        await store.ready()


async def test_what_was_submitted_before_closing_is_written(path: Path) -> None:
    async with open_database(path) as db:
        tasks = [asyncio.create_task(db.write(add(str(n)))) for n in range(600)]
        await asyncio.sleep(0)
    await asyncio.gather(*tasks)
    assert count(path) == 600
    with pytest.raises(Unavailable):
        await db.write(add("too late"))


async def test_a_caller_that_goes_away_disturbs_nobody(path: Path) -> None:
    async with open_database(path) as db:
        tasks = [asyncio.create_task(db.write(add(str(n)))) for n in range(10)]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert outcomes[1::2] == [None] * 5
        await db.write(add("next"))


async def test_a_reader_cannot_write(path: Path) -> None:
    async with open_database(path) as db:
        with pytest.raises(Unavailable):
            await db.read(add("never"))
    assert count(path) == 0


async def test_what_is_erased_is_not_in_the_file_any_more(path: Path) -> None:
    context = member()
    canary = b"zanzibarcanary"
    async with open_store(path) as store:
        data, content = store.tenant(context), prompt(canary * 500)
        await data.content.put([content, prompt()])
        await index(store, context, [passage(canary.decode(), id_="psg_1"), passage("other words")])
        found = {file.name for file in path.parent.iterdir() if canary in bytes_of(file)}
        assert found
        await data.content.erase([content.ref.id])
        assert await data.knowledge.remove(DocumentId("doc_1")) == 2
    assert [file.name for file in path.parent.iterdir()] == ["mandate.db"]
    assert b"anzibarcanar" not in bytes_of(path)  # the full-text index keeps words without their first letters too
    assert content.key not in bytes_of(path)


async def test_a_changed_event_is_named_and_not_used(path: Path) -> None:
    contexts = [member(), member()]
    async with open_store(path) as store:
        writers = [RunWriter(store.tenant(c), run_id(), actor=c.principal.actor) for c in contexts]
        for writer in writers:
            await writer.append([opened(), step(1), step(2)])
        mine, theirs = writers
        with outside(path) as connection:
            connection.execute(
                "UPDATE events SET data = CAST(replace(data, 'automatic', 'approval ') AS BLOB)"
                " WHERE run = ? AND seq = 2",
                (mine.run,),
            )
        verdicts = {v.run: v async for v in verify_all(store.platform)}
        assert (verdicts[mine.run].events, verdicts[mine.run].broken) == (1, Broken.HASH)
        assert verdicts[theirs.run].ok
        assert (await verify_one(mine.data, mine.run)).broken is Broken.HASH
        with pytest.raises(Defect) as refused:
            await mine.data.log.read(mine.run)
        assert refused.value.code == "defect.chain"
        assert len(await theirs.data.log.read(theirs.run)) == 3


async def test_a_tenant_id_that_is_not_ours_never_becomes_a_table_name(path: Path) -> None:
    context = member(TenantId("ten_x USING fts5(a); DROP TABLE events; --"))
    async with open_store(path) as store:
        with pytest.raises(Defect) as refused:
            await index(store, context, [passage("words")])
        assert refused.value.code == "defect.tenant"
        await store.ready()


async def test_the_index_searched_longest_ago_goes_when_memory_is_short(path: Path) -> None:
    tenants = [member().tenant for _ in range(3)]
    async with open_store(path) as store:
        for tenant in tenants:
            await index(store, member(tenant), [passage(str(n)) for n in range(10)])
    indexes = Indexes(max_bytes=2 * 10 * 3 * 4)
    with outside(path) as connection:
        first, second, third = (indexes.current(connection, tenant, 3) for tenant in tenants)
        assert indexes.current(connection, tenants[2], 3) is third
        assert indexes.current(connection, tenants[1], 3) is second
        assert indexes.current(connection, tenants[0], 3) is not first
        assert indexes.current(connection, tenants[1], 3) is second
        assert indexes.current(connection, tenants[2], 3) is not third


async def test_words_that_too_many_passages_hold_are_not_scored(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passages, "COMMON", 2)
    async with open_store(path) as store:
        context = member()
        rare = passage("the harbour pilot")
        await index(store, context, [passage("the tide"), passage("the tide table"), passage("the tide mill"), rare])
        found = await search(store, context, "the harbour tide")
        assert {hit.passage.id: hit.rank_text > 0 for hit in found}[rare.id]
        assert sum(hit.rank_text > 0 for hit in found) == 1
        assert sum(hit.rank_text > 0 for hit in await search(store, context, "the tide")) == 3  # the rarer of the two


async def test_what_was_read_before_is_kept_and_what_is_gone_is_let_go(path: Path) -> None:
    async with open_store(path) as store:
        context = member()
        first, second, third = (passage(f"page {number}") for number in ("one", "two", "three"))
        await index(store, context, [first, second])
        assert ids(await search(store, context, "page")) == {first.id, second.id}
        await store.tenant(context).knowledge.remove(first.document)
        closed = replace(second, term=replace(second.term, owner=PrincipalId("usr_director")))
        await index(store, context, [closed, third])
        assert ids(await search(store, context, "page")) == {third.id}
        await store.tenant(context).knowledge.remove(third.document)
        assert ids(await search(store, context, "page")) == set()


async def search(store: Store, context: TenantContext, text: str) -> Sequence[Hit]:
    query = Query(text, ("manuals",), 10)
    leave = permit(context, ActionKind.RETRIEVE, KNOWLEDGE, query.arguments)
    reader = Reader(PrincipalId("usr_owner"), own=frozenset({"manuals"}))
    return await store.tenant(context).knowledge.search(leave, query, vector=vector(1.0, 0.0, 0.0), reader=reader)


def ids(hits: Sequence[Hit]) -> set[str]:
    return {hit.passage.id for hit in hits}
