"""The directory over a real store: who belongs where, and who does not come in."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from clocks import MovableClock
from control import (
    PERSONAL_ACCOUNTS,
    BindingRecord,
    Directory,
    MemberRecord,
    TenantRecord,
    binding_key,
    contexts,
    groups_now,
    owner_mark,
)
from core import PUBLISHER, Role, TenantContext, TenantId, derived_id
from core.errors import Conflict, Defect, Forbidden, NotFound
from data import Store
from data.sqlite import open_store
from web import VerifiedToken

CONTOSO = TenantRecord(
    id=TenantId(derived_id("ten", "contoso")),
    name="Contoso",
    plan="team",
    region="westeurope",
    groups={"entra-group": "support"},
)
TID = "11111111-1111-4111-8111-111111111111"


START = datetime(2026, 11, 23, tzinfo=UTC)


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock(START)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(tmp_path / "store.db") as opened:
        yield opened


@pytest.fixture
async def directory(store: Store, clock: MovableClock) -> Directory:
    directory = Directory(store, clock)
    await directory.create_tenant(CONTOSO)
    await directory.bind(TID, CONTOSO.id)
    return directory


def token(**changes: Any) -> VerifiedToken:
    fields: dict[str, Any] = {
        "tenant_id": TID,
        "object_id": "22222222-2222-4222-8222-222222222222",
        "audience": "api://mandate",
        "app_id": "app",
        "roles": frozenset({"user"}),
        "groups": frozenset({"entra-group", "unknown-group"}),
        "name": "Alice Ahorn",
        "username": "alice@contoso.example",
        "issued_at": 1.7e9,
        "expires_at": 1.8e9,
        "is_app": False,
    }
    return VerifiedToken(**fields | changes)


def platform(store: Store) -> Any:
    return store.tenant(contexts.platform(CONTOSO, "test"))


async def test_a_person_comes_in_with_the_roles_and_groups_that_we_know(directory: Directory) -> None:
    context = await directory.resolve(token(roles=frozenset({"approver", "user", "Global Reader"})), correlation="c1")
    assert (context.tenant, context.plan, context.region) == (CONTOSO.id, "team", "westeurope")
    assert context.principal.roles == {Role.APPROVER, Role.USER}
    assert context.principal.groups == {"support"}
    assert (context.correlation, context.chain) == ("c1", ())


async def test_a_person_keeps_their_pseudonym_and_their_name_is_content(directory: Directory, store: Store) -> None:
    first, *others = await asyncio.gather(*(directory.resolve(token(), correlation="c") for _ in range(10)))
    assert {other.principal for other in others} == {first.principal}
    record = await platform(store).records.get(MemberRecord, token().object_id)
    assert "Alice" not in record.value.model_dump_json()
    assert json.loads(await platform(store).content.get(record.value.profile))["name"] == "Alice Ahorn"


async def test_a_first_visit_in_two_processes_makes_one_member(directory: Directory, store: Store) -> None:
    others = [Directory(store, MovableClock(START)) for _ in range(4)]
    contexts_ = await asyncio.gather(*(which.resolve(token(), correlation="c") for which in [directory, *others]))
    assert len({context.principal.id for context in contexts_}) == 1


async def test_a_new_name_replaces_the_old_one(directory: Directory, store: Store) -> None:
    before = await directory.resolve(token(), correlation="c")
    old = (await platform(store).records.get(MemberRecord, token().object_id)).value.profile
    after = await directory.resolve(token(name="Alice Birke"), correlation="c")
    assert after.principal.id == before.principal.id
    new = (await platform(store).records.get(MemberRecord, token().object_id)).value.profile
    assert json.loads(await platform(store).content.get(new))["name"] == "Alice Birke"
    with pytest.raises(NotFound):
        await platform(store).content.get(old)


async def test_the_latest_token_says_in_which_groups_somebody_is(
    directory: Directory, store: Store, clock: MovableClock
) -> None:
    async def seen(issued_at: float, *groups: str) -> frozenset[str]:
        asked = token(issued_at=issued_at, groups=frozenset(groups))
        context = await directory.resolve(asked, correlation="c")
        return await groups_now(store.tenant(context))

    assert await seen(10.0, "entra-group") == {"support"}
    assert await seen(20.0) == frozenset()
    assert await seen(10.0, "entra-group") == frozenset()
    clock.time += timedelta(minutes=1)
    assert await seen(10.0, "entra-group") == frozenset()
    assert await seen(30.0, "entra-group", "unknown-group") == {"support"}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"tenant_id": "33333333-3333-4333-8333-333333333333"}, "access.unbound"),
        ({"tenant_id": PERSONAL_ACCOUNTS}, "access.unbound"),
        ({"roles": frozenset[str]()}, "access.no_role"),
        ({"roles": frozenset({"Owner", "root"})}, "access.no_role"),
        ({"is_app": True}, "access.not_a_user"),
    ],
)
async def test_who_does_not_come_in(directory: Directory, changes: dict[str, object], code: str) -> None:
    with pytest.raises(Forbidden) as refused:
        await directory.resolve(token(**changes), correlation="c")
    assert refused.value.code == code


async def test_a_suspended_tenant_may_change_nothing_within_five_seconds_and_can_read(
    directory: Directory, store: Store, clock: MovableClock
) -> None:
    await directory.check_active(CONTOSO.id)
    records = store.tenant(contexts.publisher("test")).records
    found = await records.get(TenantRecord, CONTOSO.id)
    assert found
    await records.put(CONTOSO.id, CONTOSO.model_copy(update={"status": "suspended"}), etag=found.etag)
    await directory.check_active(CONTOSO.id)
    clock.time += timedelta(seconds=5)
    with pytest.raises(Forbidden) as refused:
        await directory.check_active(CONTOSO.id)
    assert refused.value.code == "access.suspended"
    assert (await directory.resolve(token(), correlation="c")).tenant == CONTOSO.id


async def test_who_it_was_bought_for_is_an_owner_whatever_their_roles(directory: Directory, store: Store) -> None:
    records = store.tenant(contexts.publisher("test")).records
    found = await records.get(TenantRecord, CONTOSO.id)
    assert found
    bought = CONTOSO.model_copy(update={"owner": owner_mark(token().tenant_id, token().object_id)})
    await records.put(CONTOSO.id, bought, etag=found.etag)
    context = await directory.resolve(token(roles=frozenset()), correlation="c")
    assert context.principal.roles == {Role.OWNER}
    with pytest.raises(Forbidden):
        await directory.resolve(token(roles=frozenset(), object_id="somebody-else"), correlation="c")


async def test_personal_accounts_share_a_tid_but_not_a_tenant(directory: Directory) -> None:
    other = CONTOSO.model_copy(update={"id": TenantId(derived_id("ten", "person"))})
    await directory.create_tenant(other)
    await directory.bind(PERSONAL_ACCOUNTS, other.id, oid="me")
    context = await directory.resolve(token(tenant_id=PERSONAL_ACCOUNTS, object_id="me"), correlation="c")
    assert context.tenant == other.id
    with pytest.raises(Forbidden):
        await directory.resolve(token(tenant_id=PERSONAL_ACCOUNTS, object_id="somebody"), correlation="c")
    with pytest.raises(Defect):
        await directory.bind(PERSONAL_ACCOUNTS, other.id)
    with pytest.raises(Defect):
        await directory.bind(TID, other.id, oid="me")


async def test_onboarding_can_be_repeated_but_not_changed(directory: Directory, store: Store) -> None:
    assert not await directory.create_tenant(CONTOSO)
    assert not (await directory.bind(TID, CONTOSO.id)).is_new
    with pytest.raises(Conflict):
        await directory.create_tenant(CONTOSO.model_copy(update={"plan": "free"}))
    with pytest.raises(NotFound):
        await directory.bind("44444444-4444-4444-8444-444444444444", TenantId(derived_id("ten", "nobody")))
    other = CONTOSO.model_copy(update={"id": TenantId(derived_id("ten", "other"))})
    assert await directory.create_tenant(other)
    with pytest.raises(Conflict):
        await directory.bind(TID, other.id)
    records = store.tenant(contexts.publisher("test")).records
    found = await records.get(BindingRecord, binding_key(TID, "anybody"))
    assert found
    assert found.value.tenant == CONTOSO.id


async def test_the_directory_is_in_the_publishers_tenant_alone(directory: Directory, store: Store) -> None:
    assert {item.value.id for item in (await directory.tenants()).items} == {CONTOSO.id}
    own = await platform(store).records.list(TenantRecord)
    assert own.items == [] or list(own.items) == []
    context: TenantContext = contexts.publisher("test")
    assert context.tenant == PUBLISHER
