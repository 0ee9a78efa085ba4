"""Who the publisher's people are, and tokens of both versions from a provider that issues them."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import jwt
import pytest
from fastapi import Request
from identity_world import EDGE, SECRET, SELLER, SERVICE_TID, World, open_world
from store_samples import member

from control import Directory, NoticeRecord, TenantRecord, WebhookCallers, contexts, member_name
from control.notices import give_notice
from core import PUBLISHER, PrincipalKind, Role, SystemClock, TenantContext, TenantId, new_id, timestamp
from core.errors import Forbidden, NotFound
from data import Store
from data.sqlite import open_store
from interaction import InteractionDependencies
from interaction.authority import OfPublisher
from interaction.console.navigation import entries
from interaction.console.rendering import Page
from web import TokenValidator, VerifiedToken

OURS, CUSTOMER = "5e6f1c1e-0000-4000-8000-00000000cafe", "11111111-1111-4111-8111-111111111111"
PETRA = VerifiedToken(
    tenant_id=OURS,
    object_id="a1b2c3d4-0001-4a5b-8c6d-7e8f9a0b1c2d",
    audience="api://mandate",
    app_id="mandate-console",
    roles=frozenset({"publisher.admin"}),
    groups=frozenset(),
    name="Petra Vos",
    username="petra@publisher.example",
    issued_at=0,
    expires_at=2e9,
    is_app=False,
)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(tmp_path / "mandate.db") as opened:
        yield opened


async def test_the_publishers_people_act_in_the_publishers_tenant_and_are_known_by_name(store: Store) -> None:
    directory = Directory(store, SystemClock())
    context = await directory.staff(PETRA, OURS, correlation="c")
    assert (context.tenant, context.principal.kind) == (PUBLISHER, PrincipalKind.USER)
    assert context.principal.roles == {Role.ADMIN}
    assert await directory.staff(PETRA, OURS, correlation="d") == replace(context, correlation="d")
    assert await member_name(store.tenant(contexts.publisher("test")), context.principal.id) == "Petra Vos"
    looks = replace(PETRA, object_id="a1b2c3d4-0002-4a5b-8c6d-7e8f9a0b1c2d", roles=frozenset({"publisher.auditor"}))
    assert (await directory.staff(looks, OURS, correlation="c")).principal.roles == {Role.AUDITOR}


@pytest.mark.parametrize(
    ("token", "ours", "code"),
    [
        (replace(PETRA, tenant_id=CUSTOMER), OURS, "access.not_staff"),
        (replace(PETRA, tenant_id=""), "", "access.not_staff"),
        (PETRA, "", "access.not_staff"),
        (replace(PETRA, is_app=True), OURS, "access.not_staff"),
        (replace(PETRA, roles=frozenset({"owner", "admin", "publisher"})), OURS, "access.no_role"),
    ],
    ids=["role given by a customer's administrator", "no tenant", "no publisher set", "an application", "other roles"],
)
async def test_nobody_else_is_one_of_them(store: Store, token: VerifiedToken, ours: str, code: str) -> None:
    with pytest.raises(Forbidden) as refused:
        await Directory(store, SystemClock()).staff(token, ours, correlation="c")
    assert refused.value.code == code


async def test_for_whoever_else_signs_in_there_is_no_such_page_and_it_is_theirs_to_know(store: Store) -> None:
    """A customer's administrator can give a role any name: it counts in their own organisation alone."""

    class Validator:
        async def verify(self, _: str) -> VerifiedToken:
            return replace(PETRA, tenant_id=CUSTOMER, roles=frozenset({"admin", "publisher.admin"}))

    directory = Directory(store, SystemClock())
    tenant = TenantRecord(id=TenantId(new_id("ten")), name="Theirs", plan="team", region="westeurope")
    await directory.create_tenant(tenant)
    await directory.bind(CUSTOMER, tenant.id)
    deps = cast("InteractionDependencies", SimpleNamespace(validator=Validator(), directory=directory, publisher=OURS))
    scope: dict[str, object] = {"type": "http", "headers": [(b"authorization", b"Bearer x")], "state": {}}
    request = Request(scope)
    with pytest.raises(NotFound):
        await OfPublisher(Role.ADMIN)._admit(request, deps)  # pyright: ignore[reportPrivateUsage] - what `__call__` does first
    assert request.state.context.tenant == tenant.id


async def test_each_side_is_told_where_it_is_and_what_is_meant_for_it(store: Store) -> None:
    directory, clock = Directory(store, SystemClock()), SystemClock()
    tenant = TenantRecord(id=TenantId(new_id("ten")), name="Theirs", plan="team", region="westeurope")
    await directory.create_tenant(tenant)
    owner = replace(member(tenant.id), principal=replace(member().principal, roles=frozenset({Role.OWNER})))
    staff = await directory.staff(PETRA, OURS, correlation="c")
    notice = NoticeRecord(what="message", at=timestamp(clock.now()), until="2999-01-01T00:00:00.000Z")
    await give_notice(store, tenant, "key", notice, "We close on Sunday.")
    told = {"store": store, "directory": directory, "clock": clock, "currency": "EUR", "environment": "local"}
    deps = cast("InteractionDependencies", SimpleNamespace(**told))

    async def shown(me: TenantContext) -> tuple[object, object, int]:
        scope: dict[str, object] = {"type": "http", "path": "/", "headers": [], "query_string": b"", "state": {}}
        request = Request(scope)
        request.state.context = me
        shared = await Page(request, deps).shared()
        return shared["organisation"], shared["is_staff"], len(cast("Sequence[object]", shared["from_publisher"]))

    assert await shown(owner) == ("Theirs", False, 1)
    assert await shown(staff) == ("Publisher", True, 0)


def test_the_menu_of_the_publishers_people_and_that_of_customers_have_nothing_in_common() -> None:
    anybody = replace(member().principal, roles=frozenset(Role))
    theirs = {entry.name for entry in entries(replace(member(PUBLISHER), principal=anybody))}
    customers = {entry.name for entry in entries(replace(member(), principal=anybody))}
    assert theirs
    assert customers
    assert theirs.isdisjoint(customers)


@pytest.fixture
async def provider(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setenv("MANDATE_ENVIRONMENT", "local")
    async with open_world(tmp_path) as world:
        yield world


async def token_of(provider: World, client: str, resource: str) -> str:
    asked = {"api-version": "2019-08-01", "resource": resource, "client_id": client}
    answer = await provider.get("/msi/token", params=asked, headers={"X-IDENTITY-HEADER": SECRET})
    return str(answer.json["access_token"])


@pytest.mark.parametrize(
    ("resource", "issuer", "who", "never"),
    [("offer-v1", "https://sts.windows.net/{tid}/", "appid", "azp"), ("offer-v2", "{base}/{tid}/v2.0", "azp", "scp")],
)
async def test_the_marketplaces_tokens_of_both_versions_are_taken_and_nobody_elses(
    provider: World, resource: str, issuer: str, who: str, never: str
) -> None:
    validator = TokenValidator(
        issuer_template=f"{provider.base}/{{tid}}/v2.0",
        jwks_uri=f"{provider.base}/common/discovery/v2.0/keys",
        audience=resource,
        session=provider.session,
        clock=provider.clock,
        v1_issuer_template="https://sts.windows.net/{tid}/",
    )
    callers = WebhookCallers(validator, SERVICE_TID, SELLER.client_id)
    token = await token_of(provider, SELLER.client_id, resource)
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["iss"] == issuer.replace("{tid}", SERVICE_TID).replace("{base}", provider.base)
    assert claims[who] == SELLER.client_id
    assert never not in claims
    await callers.check(token)
    with pytest.raises(Forbidden):
        await callers.check(await token_of(provider, EDGE.client_id, resource))
