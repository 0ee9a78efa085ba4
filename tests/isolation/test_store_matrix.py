"""Every method of every store, asked by one tenant for what is another's."""

from collections import Counter
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from seen_data import dump
from store_attacks import Held, attempts, fill, kinds, methods, outcome
from store_samples import member

import control
import orchestration
from core import TenantContext
from data import ContentStore, Knowledge, Records, RunLog, Store, Views
from data.sqlite import open_store

PORTS = {"log": RunLog, "content": ContentStore, "records": Records, "knowledge": Knowledge, "views": Views}
KINDS = sorted(kinds()) if control and orchestration else []


@pytest.fixture
async def file(tmp_path: Path) -> Path:
    return tmp_path / "mandate.db"


@pytest.fixture
async def store(file: Path) -> AsyncGenerator[Store]:
    async with open_store(file) as opened:
        yield opened


@pytest.fixture
async def held(store: Store) -> Held:
    return await fill(store, KINDS)


async def test_no_store_gives_or_changes_anything_of_another_tenants(store: Store, held: Held, file: Path) -> None:
    counts: Counter[str] = Counter()
    before = dump(file, held.context.tenant)
    assert await _finds_its_own(store, held)
    for attempt in attempts(store, member(), held):
        got = await outcome(attempt)
        assert got == attempt.expected, f"{attempt.store}.{attempt.method}, {attempt.what}"
        assert dump(file, held.context.tenant) == before, f"{attempt.store}.{attempt.method}, {attempt.what}"
        counts[attempt.store] += 1
    assert await _finds_its_own(store, held)
    print("\n".join(f"{count:6} {name}" for name, count in sorted(counts.items())))


async def _finds_its_own(store: Store, held: Held) -> bool:
    """Return whether all attempts succeed for whom it belongs to: else they would prove nothing."""
    own: TenantContext = held.context
    reading = [a for a in attempts(store, own, held) if a.method in ("read", "raw", "get", "matches", "list", "search")]
    found = {f"{a.store}.{a.method}": await outcome(a) for a in reading if a.what != "another's permit"}
    return all(got.startswith("got") for got in found.values())


async def test_every_method_of_every_store_is_attacked(store: Store, held: Held) -> None:
    tried = {(a.store.partition(":")[0], a.method) for a in attempts(store, member(), held)}
    assert tried == {(name, method) for name, port in PORTS.items() for method in methods(port)}


async def test_every_store_of_a_tenants_handle_is_one_of_these(store: Store, held: Held) -> None:
    assert set(store.tenant(held.context).__slots__) - {"context"} == PORTS.keys()  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType] - a dataclass with slots
