"""Erasing a tenant, a person or a document beside a tenant that has the same ids: it keeps all, and is told nothing."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from governed_world import Governed, eraser_of

from control import BindingRecord, OverrideRecord, SessionRecord, SubscriptionRecord, TenantRecord, contexts
from core import TenantId
from data import EVERYTHING, Held, Projector, R, Store, TenantData
from data.sqlite import open_store
from orchestration.erasing import each

Both = tuple[Governed, Governed]


@pytest.fixture
async def store(tmp_path: Path) -> AsyncGenerator[Store]:
    async with open_store(tmp_path / "mandate.db") as opened:
        yield opened


@pytest.fixture
async def both(store: Store) -> Both:
    first = await Governed(store).fill()
    same = {name: getattr(first, name) for name in ("person", "document", "ended", "running", "parked")}
    second = await Governed(store, **same).fill()
    for tenant in (first.tenant, second.tenant):
        await publishers(store).records.put(tenant, OverrideRecord(included={"completed_runs": 2}), etag=None)
    await Projector(store.platform).catch_up()
    return first, second


async def in_directory(store: Store, model: type[R]) -> list[R]:
    return [found.value async for found in each(store.tenant(contexts.publisher("test")), model)]


async def listed(store: Store) -> dict[str, set[TenantId]]:
    """Return whose entries, identities and sessions the directory has."""
    return {
        "tenants": {record.id for record in await in_directory(store, TenantRecord)},
        "bindings": {record.tenant for record in await in_directory(store, BindingRecord)},
        "sessions": {record.tenant for record in await in_directory(store, SessionRecord)},
        "laid down": {TenantId(found.key) async for found in each(publishers(store), OverrideRecord)},
    }


def publishers(store: Store) -> TenantData:
    return store.tenant(contexts.publisher("test"))


async def counted(one: Governed) -> list[Held]:
    return sorted(await one.store.governed.held(one.tenant), key=repr)


@pytest.mark.parametrize("subject", ["tenant", "person", "document"])
async def test_who_has_the_same_ids_as_what_is_erased_keeps_all(store: Store, both: Both, subject: str) -> None:
    ours, theirs = both
    before, everybody = await counted(theirs), await listed(store)
    eraser = eraser_of(store)
    done = await ours.erase(eraser, subject, {"tenant": ours.tenant}.get(subject) or getattr(ours, subject))

    assert (done.tenant, bool(done.done_at)) == (ours.tenant, True)
    assert await counted(theirs) == before
    assert await theirs.search() == 5
    assert await ours.search() == (5 if subject == "person" else 0)
    now = await listed(store)
    gone = {"tenant": {"tenants", "bindings", "sessions", "laid down"}, "person": {"sessions"}}.get(subject, set())
    assert {name for name in now if now[name] == {theirs.tenant}} == gone
    assert {name for name in now if now[name] == everybody[name]} == everybody.keys() - gone


async def test_who_waits_to_be_erased_is_let_in_no_more_and_their_neighbour_is(store: Store, both: Both) -> None:
    ours, theirs = both
    await store.governed.hold(ours.tenant, "case", [EVERYTHING])
    waiting = await ours.erase(eraser_of(store), "tenant", ours.tenant)
    assert waiting.waits == "hold.active"
    found = {record.id: record.status for record in await in_directory(store, TenantRecord)}
    assert found == {ours.tenant: "closed", theirs.tenant: "active"}
    erasures = eraser_of(store).erasures
    assert [await erasures.took(tenant) for tenant in (ours.tenant, theirs.tenant)] == [True, False]


async def test_the_other_tenants_subscription_still_says_who_it_is_for(store: Store, both: Both) -> None:
    records = store.tenant(contexts.publisher("test")).records
    for tenant in (one.tenant for one in both):
        bought = SubscriptionRecord(
            **dict.fromkeys(("offer", "plan", "base_plan", "term_start", "term_end", "term_unit"), "said"),
            id=f"of-{tenant}",
            name="Shop",
            status="Subscribed",
            quantity=None,
            tenant=tenant,
            beneficiary_tid="tid",
            beneficiary_oid="oid",
            bought_by_another=False,
            allowed=(),
            auto_renew=True,
        )
        await records.put(bought.id, bought, etag=None)
    await both[0].erase(eraser_of(store), "tenant", both[0].tenant)
    names = {one.tenant: one.name for one in await in_directory(store, SubscriptionRecord)}
    assert names == {both[0].tenant: "", both[1].tenant: "Shop"}


async def test_what_was_erased_is_told_to_its_own_tenant_alone(store: Store, both: Both) -> None:
    ours, theirs = both
    erasures = eraser_of(store).erasures
    record = await erasures.request(ours.tenant, "document", ours.document, ours.context.principal.actor)
    assert await erasures.open() == [record]
    assert await erasures.of(ours.tenant) == [record]
    assert await erasures.find(ours.tenant, record.id) == record
    assert await erasures.of(theirs.tenant) == []
    assert await erasures.find(theirs.tenant, record.id) is None


async def test_the_platform_erases_under_the_authority_of_the_tenant_that_the_journal_names(both: Both) -> None:
    ours, _ = both
    erasures = eraser_of(ours.store).erasures
    record = await erasures.request(ours.tenant, "person", ours.person, ours.context.principal.actor)
    assert contexts.from_erasure(record).tenant == ours.tenant
