"""Checkpoints: what they cover, who makes them, and that whatever is changed behind them is found and named."""

import asyncio
import logging
from datetime import timedelta
from pathlib import Path
from typing import ClassVar

import orjson
import pytest
from evidence_world import Vouched, flipped, forged, resealed
from governed_world import Governed, eraser_of
from store_samples import member, run_id

from control import AccessLog, contexts
from core import PUBLISHER, Actor, PrincipalKind, TenantId, digest
from core.errors import Conflict, Defect, Unavailable
from data import (
    Change,
    Checkpoint,
    CheckpointRecord,
    Keys,
    PublicKey,
    Record,
    Store,
    Walk,
    check_inclusion,
    checkpoint_key,
    covering,
    latest_number,
    one_checkpoint,
    refuse_seal,
    root_over,
    tree_of,
)
from data.checkpoints import INLINE, Head
from data.notary import FileAnchor, LocalSigner
from orchestration import Checkpointer, Sealer, checkpointing


def statement(record: CheckpointRecord) -> Checkpoint:
    return Checkpoint.model_validate_json(record.signed.statement)


async def test_a_checkpoint_covers_the_heads_of_all_runs_of_its_tenant_alone(store: Store, tmp_path: Path) -> None:
    ours, theirs = Vouched.over(store, tmp_path), Vouched.over(store, tmp_path)
    runs = [await ours.append(events=count) for count in (1, 2, 3)]
    await AccessLog(store, ours.clock, code="1").refused(
        ours.context, "access.role", "GET /v1/usage", ours.context.principal.actor
    )
    await theirs.append()
    assert await ours.checkpointer.make()
    (kept,) = await ours.kept()
    told, all_runs = statement(kept), await ours.runs()
    heads = {run: Head(len(events), events[-1].hash) for run, events in all_runs.items()}
    assert set(runs) < set(all_runs)
    assert (told.tenant, told.number, told.runs, told.events) == (ours.tenant, 1, 4, 8)
    assert told.root == root_over(heads)
    assert [change.run for change in kept.changes] == sorted(all_runs)
    assert len(await theirs.kept()) == 1
    assert await ours.findings() == []


async def test_checkpoints_are_made_when_due_where_something_changed(store: Store, tmp_path: Path) -> None:
    ours = Vouched.over(store, tmp_path)
    run = await ours.append()
    assert await ours.checkpointer.make()
    await ours.append(run)
    assert not await ours.checkpointer.make()
    ours.clock.time += timedelta(minutes=10)
    assert await ours.checkpointer.make()
    ours.clock.time += timedelta(minutes=10)
    assert await ours.checkpointer.make()
    first, second = await ours.kept()
    assert statement(second).previous == first.signed.hash
    assert second.changes == (Change(run, 2, 4, (await ours.runs())[run][3].hash),)
    assert await ours.findings() == []


async def test_whoever_asks_for_one_gets_it_of_their_own_runs_alone(store: Store, tmp_path: Path) -> None:
    ours, theirs = Vouched.over(store, tmp_path), Vouched.over(store, tmp_path)
    run, other = await ours.append(), await theirs.append()
    await ours.checkpointer.now(ours.tenant)
    await ours.checkpointer.now(ours.tenant)
    await ours.append(run)
    await ours.checkpointer.now(ours.tenant)
    assert await theirs.kept() == []
    assert [statement(kept).events for kept in await ours.kept()] == [2, 4]
    await ours.make_due()
    assert len(await ours.kept()) == 2, "the round finds it known"
    assert [change.run for kept in await theirs.kept() for change in kept.changes] == [other]
    assert await ours.findings() == await theirs.findings() == []


async def test_somebody_asks_while_another_process_makes_them(store: Store, neighbour: Store, tmp_path: Path) -> None:
    here = Vouched.over(store, tmp_path)
    there = Vouched.over(neighbour, tmp_path, here.context)
    for _ in range(4):
        await here.append()
        await asyncio.gather(here.make_due(), there.checkpointer.now(here.tenant))
    assert await here.findings() == []
    assert statement((await here.kept())[-1]).runs == 4


async def test_of_two_processes_one_makes_them(store: Store, neighbour: Store, tmp_path: Path) -> None:
    here = Vouched.over(store, tmp_path)
    there = Vouched.over(neighbour, tmp_path, here.context)
    there.clock.time = here.clock.time
    for _ in range(3):
        for _ in range(4):
            await here.append()
        await asyncio.gather(*(one.make_due() for one in (here, there)))
    await here.make_due()
    assert statement((await here.kept())[-1]).runs == 12
    assert await here.findings() == []


async def test_a_process_that_died_at_it_is_waited_for_and_then_another_makes_them(
    store: Store, neighbour: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead, other = Vouched.over(store, tmp_path), Vouched.over(neighbour, tmp_path)
    run = await dead.append()
    made = asyncio.Event()

    async def dies(*_: object) -> None:
        made.set()
        await asyncio.sleep(60)

    monkeypatch.setattr(dead.checkpointer, "_anchored", dies)
    monkeypatch.setattr(dead.checkpointer, "_let_go", asyncio.Event().wait)
    task = asyncio.create_task(dead.checkpointer.make())
    await made.wait()
    task.cancel()
    assert not await other.checkpointer.make()
    other.clock.time += checkpointing.TURN + timedelta(seconds=1)
    assert await other.checkpointer.make()
    await dead.append(run)
    assert await other.make_due()
    assert [statement(kept).events for kept in await dead.kept()] == [2, 4]
    assert [await other.anchor.read(dead.tenant, number) is not None for number in (1, 2, 3)] == [True, True, False]
    task.cancel()
    await asyncio.wait([task])
    assert await dead.findings() == []


async def test_many_changes_are_one_checkpoint(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpointing, "INLINE", 3)
    ours = Vouched.over(store, tmp_path)
    for _ in range(8):
        await ours.append(events=1)
    await ours.checkpointer.make()
    found = await store.tenant(ours.context).records.get(CheckpointRecord, checkpoint_key(1))
    assert found is not None
    assert (len(found.value.changes), found.value.parts) == (3, 2)
    (kept,) = await ours.kept()
    assert len(kept.changes) == 8 <= INLINE
    fresh = Vouched.over(store, tmp_path, ours.context)
    fresh.clock.time = ours.clock.time
    await fresh.append()
    await fresh.make_due()
    assert await ours.findings() == []


async def test_what_has_no_tenant_is_covered_too(store: Store, tmp_path: Path) -> None:
    ours = Vouched.over(store, tmp_path, contexts.publisher("test"))
    nobody = Actor(kind=PrincipalKind.USER, id="usr_nobody")
    await AccessLog(store, ours.clock, code="1").refused(None, "access.unbound", "GET /v1/runs", nobody)
    await ours.checkpointer.make()
    assert [statement(kept).tenant for kept in await ours.kept()] == [PUBLISHER]


async def test_a_run_that_is_deleted_cut_off_or_written_anew_is_found(store: Store, tmp_path: Path) -> None:
    ours = Vouched.over(store, tmp_path)
    first = await ours.append(events=3)
    await ours.append(events=2)
    await ours.checkpointer.make()
    await ours.append(first, events=2)
    await ours.make_due()
    await ours.append(first)
    runs = await ours.runs()
    others = {run: events for run, events in runs.items() if run != first}
    assert await ours.findings(runs=others) == [f"{first}: the whole run is missing: a checkpoint covers it"]
    for length in (1, 3, 4):
        cut = {**others, first: runs[first][:length]}
        (broken,) = await ours.findings(runs=cut)
        assert broken.startswith(f"{first} event {length + 1}: it is missing: a checkpoint covers up to event ")
    for position in range(5):
        data = runs[first][position].data.replace(b'"2026-01-01', b'"2026-01-02')
        (broken,) = await ours.findings(runs={**others, first: resealed(runs[first], position, data)})
        where = f"{first} event {3 if position < 3 else 5}"
        assert broken == f"{where}: it is another than a checkpoint covers: the run was written anew"
    assert await ours.findings(runs={**others, first: runs[first][:5]}) == []


async def test_a_checkpoint_that_is_changed_deleted_moved_or_forged_is_found(store: Store, tmp_path: Path) -> None:
    ours = Vouched.over(store, tmp_path)
    run = await ours.append()
    for _ in range(4):
        await ours.append()
        await ours.append(run)
        await ours.make_due()
    kept = list(enumerate(await ours.kept(), 1))
    assert await ours.findings(kept) == []

    async def first(*given: tuple[int, CheckpointRecord]) -> str:
        return (await ours.findings(list(given)))[0]

    for name, value in statement(kept[1][1]).model_dump().items():
        told = {**statement(kept[1][1]).model_dump(), name: value + 1 if isinstance(value, int) else f"{value}0"}
        signed = kept[1][1].signed.model_copy(update={"statement": orjson.dumps(told).decode()})
        changed = (2, kept[1][1].model_copy(update={"signed": signed}))
        assert (await first(kept[0], changed, *kept[2:])).startswith("checkpoint 2: "), name
    wrong = kept[1][1].signed.model_copy(update={"signature": flipped(kept[1][1].signed.signature)})
    changed = (2, kept[1][1].model_copy(update={"signed": wrong}))
    assert await first(kept[0], changed, *kept[2:]) == "checkpoint 2: its signature is not right"
    for changes in (
        kept[1][1].changes[1:],
        kept[1][1].changes[::-1],
        (*kept[1][1].changes, Change(run_id(), 0, 1, "0")),
    ):
        changed = (2, kept[1][1].model_copy(update={"changes": changes}))
        told = await first(kept[0], changed, *kept[2:])
        assert told == "checkpoint 2: the list of what it covers is not the one that was signed"
    assert (await first(*kept[1:])).startswith("checkpoint 1: it is missing")
    assert (await first(kept[0], *kept[2:])).startswith("checkpoint 2: it is missing")
    assert (await first(kept[1], kept[0], *kept[2:])).startswith("checkpoint 1: it is missing, or out of order")
    swapped = [kept[0], (2, kept[2][1]), (3, kept[1][1]), kept[3]]
    assert (await first(*swapped)).startswith("checkpoint 2: it says that it is number 3")


async def test_another_key_and_a_forked_chain_are_found(store: Store, tmp_path: Path) -> None:
    ours = Vouched.over(store, tmp_path)
    run = await ours.append()
    for _ in range(3):
        await ours.append(run)
        await ours.make_due()
    kept = await ours.kept()
    lists = [record.changes for record in kept]
    thief = LocalSigner(tmp_path / "thief.pem")
    known = {key.kid: key for key in (await ours.signer.key(), await thief.key())}
    for start in (0, 1, 2):
        theirs = await forged(ours.tenant, thief, lists, "2026-01-01T00:00:00.000Z")
        mixed = [*kept[:start], *theirs[start:]]
        pinned = Keys(known, frozenset({(await ours.signer.key()).kid}))
        first = (await ours.findings(list(enumerate(mixed, 1)), keys=pinned))[0]
        assert first.startswith(f"checkpoint {start + 1}: it is signed by key ")
        assert first.endswith("which is not the one that you noted")
        if start:
            first = (await ours.findings(list(enumerate(mixed, 1)), keys=Keys(known)))[0]
            assert first.startswith(f"checkpoint {start + 1}: it is signed by another key")
    other = await forged(ours.tenant, ours.signer, lists, "2026-01-01T00:00:00.000Z")
    first = (await ours.findings(list(enumerate([*kept[:1], *other[1:]], 1))))[0]
    assert first == "checkpoint 2: it does not follow from the checkpoint before: the chain of checkpoints forks here"
    assert (await ours.findings(keys=Keys({})))[0].endswith("which is not known")


async def test_what_was_anchored_shows_that_the_store_lost_its_end(store: Store, tmp_path: Path) -> None:
    ours = Vouched.over(store, tmp_path)
    run = await ours.append()
    for _ in range(2):
        await ours.append(run)
        await ours.make_due()
    data = store.tenant(ours.context)
    anchored = await ours.anchor.read(ours.tenant, 2)
    found = await data.records.get(CheckpointRecord, checkpoint_key(2))
    assert found is not None
    await data.records.delete(CheckpointRecord, checkpoint_key(2), etag=found.etag)
    fresh = Vouched.over(store, tmp_path, ours.context)
    fresh.clock.time = ours.clock.time + timedelta(hours=1)
    await ours.append(run)
    assert await fresh.make_due()
    assert await latest_number(data) == 2
    assert await ours.anchor.read(ours.tenant, 2) == anchored
    with pytest.raises(Conflict):
        await ours.anchor.put(ours.tenant, 2, b"{}")


async def test_an_anchor_that_was_away_gets_what_it_missed(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = Vouched.over(store, tmp_path)

    async def away(*_: object) -> None:
        raise Unavailable("Not there.")

    with monkeypatch.context() as patch:
        patch.setattr(FileAnchor, "put", away)
        for _ in range(3):
            await ours.append()
            await ours.make_due()
    await ours.append()
    await ours.make_due()
    assert all([await ours.anchor.read(ours.tenant, number) for number in range(1, 5)])


async def test_a_key_that_is_away_leaves_them_for_later(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = Vouched.over(store, tmp_path)
    await ours.append()

    async def away(*_: object) -> str:
        raise Unavailable("Not there.")

    with monkeypatch.context() as patch:
        patch.setattr(LocalSigner, "sign", away)
        with pytest.raises(Unavailable):
            await ours.make_due()
    assert await ours.make_due()
    assert [statement(kept).events for kept in await ours.kept()] == [2]


async def test_one_tenants_changed_checkpoints_do_not_stop_anothers(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = Vouched.over(store, tmp_path), Vouched.over(store, tmp_path)
    await ours.append()
    await ours.make_due()

    class Forged(Record):
        kind: ClassVar[str] = CheckpointRecord.kind

    data = store.tenant(ours.context)
    found = await data.records.get(CheckpointRecord, checkpoint_key(1))
    assert found is not None
    await data.records.put(checkpoint_key(1), Forged(), etag=found.etag)
    await ours.append()
    await theirs.append()
    theirs.clock.time = ours.clock.time
    assert await theirs.make_due()
    assert len(await theirs.kept()) == 1


async def test_evidence_of_an_erased_tenant_still_verifies_and_names_nobody(store: Store, tmp_path: Path) -> None:
    governed = await Governed(store).fill()
    ours = Vouched.over(store, tmp_path, governed.context)
    await ours.make_due()
    receipt = await governed.erase(eraser_of(store), "tenant", governed.tenant)
    assert receipt.done_at
    assert {line.store for line in receipt.receipt} & {"evidence"} == set()
    await ours.make_due()
    kept = await ours.kept()
    assert len(kept) == 2, "what the erasure ended is covered as well"
    assert await ours.findings() == []
    told = b"".join(record.model_dump_json().encode() for record in kept)
    told += b"".join([await ours.anchor.read(governed.tenant, number) or b"" for number in (1, 2)])
    assert [word for word in governed.words.all() if word.encode() in told] == []
    held = {(held.part, held.kind) for held in await store.governed.held(governed.tenant)}
    assert ("evidence", "evidence_checkpoint") in held
    assert {part for part, _ in held} <= {"evidence", "log", "views"}


async def test_a_run_alone_proves_that_it_is_covered(store: Store, tmp_path: Path) -> None:
    ours = Vouched.over(store, tmp_path)
    runs = [await ours.append(events=2 + number) for number in range(7)]
    await ours.checkpointer.make()
    data = store.tenant(ours.context)
    tree = await tree_of(data)
    assert tree is not None
    keys, stored = await ours.keys(), await ours.runs()
    for run in runs:
        proof = tree.inclusion(run)
        assert proof is not None
        assert list(check_inclusion(ours.tenant, run, proof, stored[run], keys)) == []
        assert list(check_inclusion(ours.tenant, run, proof, stored[run][:-1], keys))
        assert list(check_inclusion(ours.tenant, runs[run == runs[0]], proof, stored[run], keys))
        for change in ({"seq": 1}, {"index": 99}, {"path": ("zz",)}, {"hash": "0" * 64}):
            changed = proof.model_copy(update=change)
            assert list(check_inclusion(ours.tenant, run, changed, stored[run], keys)), change
    assert tree.inclusion(run_id()) is None


async def test_another_organisations_checkpoint_vouches_for_nothing_here(store: Store, tmp_path: Path) -> None:
    ours, theirs = Vouched.over(store, tmp_path), Vouched.over(store, tmp_path)
    await theirs.append()
    run = await ours.append()
    await ours.checkpointer.make()
    keys, (kept,), (foreign,) = await ours.keys(), await ours.kept(), await theirs.kept()
    assert [statement(one).tenant for one in (kept, foreign)] == [ours.tenant, theirs.tenant]
    walk = Walk(ours.tenant, keys)
    told = list(walk.checkpoint(1, foreign.signed, foreign.changes))
    assert told == [f"checkpoint 1: it says that it is number 1 of {theirs.tenant}"]
    assert list(one_checkpoint(ours.tenant, None, 1, kept.signed, kept.changes, keys)) == []
    assert list(one_checkpoint(ours.tenant, None, 1, foreign.signed, foreign.changes, keys)) == [
        "checkpoint 1: it does not follow from the checkpoint before"
    ]
    tree, events = await tree_of(store.tenant(ours.context)), (await ours.runs())[run]
    assert tree is not None
    proof = tree.inclusion(run)
    assert proof is not None
    assert list(check_inclusion(theirs.tenant, run, proof, events, keys)) == [
        f"{run}: the checkpoint that came with it does not cover it"
    ]
    for _ in range(2):  # what is kept in memory of one is not the other's either
        await ours.append()
        await theirs.append()
        await ours.make_due()
    for one in (ours, theirs):
        assert await one.findings() == []
        assert {change.run for record in await one.kept() for change in record.changes} == set(await one.runs())


async def test_a_seal_vouches_for_its_own_organisation_alone(store: Store, tmp_path: Path) -> None:
    ours, theirs = Vouched.over(store, tmp_path), Vouched.over(store, tmp_path)
    await ours.append()
    await ours.checkpointer.make()
    sealer = Sealer(store, ours.signer, ours.anchor, ours.clock)
    manifest = b"{}"
    seals = [await sealer.seal(one.context, digest(manifest)) for one in (ours, theirs)]
    told = [refuse_seal(seal, ours.tenant, manifest, await ours.keys()) for seal in seals]
    assert [why for _, why in told] == [None, "it vouches for another manifest"]
    assert [(said.tenant, said.number) for said, _ in told if said] == [(ours.tenant, 1), (theirs.tenant, 0)]


async def test_what_went_wrong_is_told_with_its_tenant(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ours = Vouched.over(store, tmp_path)
    await ours.append()

    async def away(*_: object) -> None:
        raise Unavailable("Not there.")

    async def changed(*_: object) -> None:
        raise Defect("Changed.")

    monkeypatch.setattr(logging.getLogger("mandate"), "propagate", True)
    with monkeypatch.context() as patch:
        patch.setattr(FileAnchor, "put", away)
        await ours.make_due()
    await ours.append()
    monkeypatch.setattr(Checkpointer, "_current", changed)
    await ours.make_due()
    ours_alone = [record for record in caplog.records if record.name == "mandate"]
    told = [(record.message, vars(record)["mandate"]["tenant"]) for record in ours_alone]
    assert told == [("A checkpoint was not anchored", ours.tenant), ("No checkpoint could be made", ours.tenant)]


async def test_the_checkpoint_that_covers_an_event_is_found(store: Store, tmp_path: Path) -> None:
    ours = Vouched.over(store, tmp_path)
    data, run = store.tenant(ours.context), run_id()
    places: dict[int, int] = {}
    for number in range(1, 12):
        await ours.append(run, events=1)
        places[number] = number
        await ours.append()
        await ours.make_due()
    await ours.append(run, events=1)
    for stored in await data.log.read(run):
        found = await covering(data, run, stored.event.seq, stored.event.at)
        assert (found.number if found else None) == places.get(stored.event.seq)
    assert await covering(store.tenant(member()), run, 1, "2026-01-01T00:00:00.000Z") is None


def test_the_local_key_is_its_owners_alone_and_stays(tmp_path: Path) -> None:
    async def work() -> None:
        first = await LocalSigner(tmp_path / "made" / "key.pem").key()
        assert (tmp_path / "made" / "key.pem").stat().st_mode & 0o777 == 0o600
        assert await LocalSigner(tmp_path / "made" / "key.pem").key() == first
        signature = await LocalSigner(tmp_path / "made" / "key.pem").sign(b"this")
        assert first.verifies(b"this", signature)
        assert not first.verifies(b"that", signature)
        assert not first.verifies(b"this", flipped(signature))
        assert not first.verifies(b"this", "no signature")
        assert not PublicKey(x="AA", y="AA").verifies(b"this", signature)
        (tmp_path / "bad.pem").write_text("no key")
        with pytest.raises(Unavailable):
            await LocalSigner(tmp_path / "bad.pem").key()

    asyncio.run(work())


async def test_an_anchor_is_written_once(tmp_path: Path) -> None:
    anchor, tenant = FileAnchor(tmp_path), TenantId("ten_a")
    assert await anchor.read(tenant, 1) is None
    await anchor.put(tenant, 1, b"one")
    await anchor.put(tenant, 1, b"one")
    with pytest.raises(Conflict):
        await anchor.put(tenant, 1, b"another")
    assert await anchor.read(tenant, 1) == b"one"
    assert [path.name for path in (tmp_path / tenant).iterdir()] == ["0000000001.json"]
