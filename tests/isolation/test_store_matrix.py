"""Every method of every store, asked by one tenant for what is another's."""

from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from seen_data import Matrix, dump
from store_attacks import NEAR, WORDS, Held, attempts, fill, kinds, methods, outcome, record_of
from store_places import place_of
from store_samples import index, member, permit, step, vector

import control
import orchestration
from core import ActionKind, TenantContext
from data import (
    KNOWLEDGE,
    ContentStore,
    Hit,
    Knowledge,
    Part,
    Query,
    Reader,
    Records,
    RunLog,
    RunWriter,
    Store,
    TenantData,
    Views,
)
from data.governed import EVIDENCE_KINDS
from mandate.local.kept import FILES
from mandate.local.stack import StoreKind

PORTS = {"log": RunLog, "content": ContentStore, "records": Records, "knowledge": Knowledge, "views": Views}
KINDS = sorted(kinds()) if control and orchestration else []


@pytest.fixture(params=["sqlite", "cosmos"])
def kind(request: pytest.FixtureRequest) -> StoreKind:
    return request.param


@pytest.fixture
def file(tmp_path: Path, kind: StoreKind) -> Path:
    return tmp_path / FILES[kind]


@pytest.fixture
async def store(tmp_path: Path, kind: StoreKind, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Store]:
    monkeypatch.setenv("MANDATE_ENVIRONMENT", "local")
    async with place_of(kind, tmp_path) as place, place.open() as opened:
        yield opened


@pytest.fixture
async def held(store: Store) -> Held:
    return await fill(store, KINDS)


async def test_no_store_gives_or_changes_anything_of_another_tenants(
    store: Store, held: Held, file: Path, kind: StoreKind, matrix: Matrix
) -> None:
    counts: Counter[str] = Counter()
    before = dump(file, held.context.tenant)
    assert await _finds_its_own(store, held)
    for attempt in attempts(store, member(), held):
        got = await outcome(attempt)
        assert got == attempt.expected, f"{attempt.store}.{attempt.method}, {attempt.what}"
        assert dump(file, held.context.tenant) == before, f"{attempt.store}.{attempt.method}, {attempt.what}"
        counts[attempt.store] += 1
    assert await _finds_its_own(store, held)
    matrix[f"stores, on {kind}"] = counts


async def _finds_its_own(store: Store, held: Held) -> bool:
    """Return whether all attempts succeed for whom it belongs to: else they would prove nothing."""
    own: TenantContext = held.context
    reading = [a for a in attempts(store, own, held) if a.method in ("read", "raw", "get", "matches", "list", "search")]
    found = {f"{a.store}.{a.method}": await outcome(a) for a in reading if a.what != "another's permit"}
    return all(got.startswith("got") for got in found.values())


async def test_a_tenant_can_do_with_its_own_what_others_cannot(store: Store, held: Held) -> None:
    """Or refusing others would prove nothing: it replaces, deletes, erases, appends behind its own."""
    data, kind = store.tenant(held.context), record_of(KINDS[0])
    etag = await data.records.put("the-key", kind(text="new"), etag=held.etags[KINDS[0]])
    await data.records.delete(kind, "the-key", etag=etag)
    assert await data.records.get(kind, "the-key") is None
    assert await data.content.erase([held.content.ref.id]) == 1
    await (await RunWriter.load(data, held.run, actor=held.context.principal.actor)).append([step()])
    assert [stored.event.seq for stored in await data.log.read(held.run)] == [1, 2]
    assert await data.knowledge.remove(held.passage.document) == 1


async def test_who_erases_all_of_a_tenant_erases_nothing_of_another(store: Store, file: Path) -> None:
    both = [await fill(store, KINDS) for _ in range(2)]
    untouched = dump(file, both[1].context.tenant)
    await store.governed.bar(both[0].context.tenant)
    for part in Part:
        await store.governed.erase_all(both[0].context.tenant, part)
        assert dump(file, both[1].context.tenant) == untouched, part
    left = dump(file, both[0].context.tenant)
    assert {"content", "passages"}.isdisjoint(left)
    assert len(left["records"]) == len(EVIDENCE_KINDS)
    assert all(any(kind in str(record) for kind in EVIDENCE_KINDS) for record in left["records"])


async def test_each_tenant_finds_what_it_has_indexed_since_whatever_the_other_did(store: Store) -> None:
    """What a process holds of the tenants' passages in memory is told apart, and grows old by tenant."""
    both = [await fill(store, []) for _ in range(2)]
    for number, held in enumerate([both[0], both[1], both[1], both[0], both[0]]):
        text = f"{WORDS} {number}"
        await index(store, held.context, [replace(held.passage, text=text, vector=vector(1.0, number, 0.0))])
        for one in both:
            found = await search(store, one.context)
            assert len(found) == 1
            assert one is not held or found[0].passage.text == text


async def search(store: Store, context: TenantContext) -> Sequence[Hit]:
    query = Query(WORDS, ("manuals",), 10)
    leave = permit(context, ActionKind.RETRIEVE, KNOWLEDGE, query.arguments)
    reader = Reader(context.principal.id, frozenset({"manuals"}))
    return await store.tenant(context).knowledge.search(leave, query, vector=vector(*NEAR), reader=reader)


async def test_every_method_of_every_store_is_attacked(store: Store, held: Held) -> None:
    tried = {(a.store.partition(":")[0], a.method) for a in attempts(store, member(), held)}
    assert tried == {(name, method) for name, port in PORTS.items() for method in methods(port)}


def test_every_store_of_a_tenants_handle_is_one_of_these() -> None:
    parts = {name for name in dir(TenantData) if not name.startswith("_")}
    assert parts - {"context"} == PORTS.keys()
