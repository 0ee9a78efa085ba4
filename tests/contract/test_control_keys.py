"""Signing keys of our processes, shared through a real store."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from clocks import MovableClock
from control import ServiceKeyRecord, StoreKeys, TenantRecord, contexts
from core import PrincipalId, TenantId, derived_id, new_id, timestamp
from data import Store
from data.sqlite import open_store
from web import AssertionSigner, AssertionVerifier, PublishedKey

START = datetime(2026, 11, 23, tzinfo=UTC)


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock(START)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(tmp_path / "store.db") as opened:
        yield opened


def key(kid: str, expires: datetime) -> PublishedKey:
    return PublishedKey(kid=kid, service="interaction", public="x", expires=timestamp(expires))


async def test_what_one_process_signs_another_verifies(store: Store, clock: MovableClock) -> None:
    signer = AssertionSigner("interaction", clock)
    await StoreKeys(store, clock).publish(signer.key)
    verifier = AssertionVerifier(audience="control", keys=StoreKeys(store, clock), clock=clock)
    context = contexts.from_directory(
        TenantRecord(id=TenantId(derived_id("ten", "t")), name="T", plan="team", region="local"),
        PrincipalId(new_id("prn")),
        roles=[],
        groups=["support"],
        correlation="c",
    )
    assertion = signer.sign(
        context,
        audience="control",
        method="GET",
        path="/v1/policies",
        body=b"",
        deadline=clock.now() + timedelta(seconds=30),
    )
    verified = await verifier.verify(
        assertion, issuer_services={"interaction"}, method="GET", path="/v1/policies", body=b""
    )
    assert contexts.from_assertion(verified) == context


async def test_an_expired_key_is_unknown_and_deleted_a_renewed_one_is_not(store: Store, clock: MovableClock) -> None:
    keys = StoreKeys(store, clock)
    hour = timedelta(hours=1)
    await keys.publish(key("old", clock.now() + hour))
    await keys.publish(key("mine", clock.now() + hour))
    clock.time += hour / 2
    await keys.publish(key("mine", clock.now() + hour))
    clock.time += hour / 2
    assert await keys.key("old") is None
    assert await keys.key("mine") == key("mine", clock.now() + hour / 2)
    await keys.publish(key("third", clock.now() + hour))
    records = store.tenant(contexts.publisher("test")).records
    assert await records.get(ServiceKeyRecord, "old") is None
    assert await records.get(ServiceKeyRecord, "mine") is not None


async def test_an_unknown_key_is_found_as_soon_as_it_is_published(store: Store, clock: MovableClock) -> None:
    asking, publishing = StoreKeys(store, clock), StoreKeys(store, clock)
    assert await asking.key("new") is None
    await publishing.publish(key("new", clock.now() + timedelta(hours=1)))
    assert await asking.key("new") is not None
