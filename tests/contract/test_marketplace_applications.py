"""Managed applications: what is told of them is believed as far as ARM confirms it; what they tell is their version."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast
from urllib.parse import quote

import aiohttp
import pytest
from fastapi import Request
from marketplace_desk_world import OFFER, TERMS, UNITS, DeskWorld, open_desk
from test_marketplace_webhook import OTHER_TID, TID, Keys, claims, signed

from control import (
    AccessLog,
    ApplicationRecord,
    Caller,
    ControlServices,
    ManagedApplications,
    MarketplaceServices,
    Policies,
    Switches,
    WebhookCallers,
    contexts,
    create_app,
    log_run,
)
from control.marketplace.applications import Notification
from control.marketplace_api import RESOURCE
from control.marketplace_api.arm import Arm
from core import PUBLISHER
from core.bodies import AccessRefused
from core.errors import Unauthenticated
from core.parts import RunKind
from data import read_run
from emulators.marketplace import create_app as create_marketplace
from emulators.marketplace.managed import path_of
from identity_live import serving
from mandate.heartbeats import beat
from mandate.version import VERSION
from marketplace_world import CATALOGUE, PUBLISHER_TOKEN, START, authorize
from web import TokenValidator

SECRET, STAMP = "s+cret/of the platform&more", "cccccccc-0000-4000-8000-000000000001"


@dataclass
class World:
    desk: DeskWorld
    control: str
    market: str
    session: aiohttp.ClientSession
    applications: Callable[..., ManagedApplications]

    async def do(self, act: str, name: str = "mandate", **form: str) -> int:
        asked = {"act": act, "name": name, "plan": "business", **form}
        async with self.session.post(f"{self.market}/shop/applications", data=asked, allow_redirects=False) as answer:
            return answer.status

    async def tell(self, sig: str | None, body: str) -> int:
        query = "" if sig is None else f"?sig={quote(sig, safe='')}"
        url = f"{self.control}/v1/marketplace/applications/resource{query}"
        async with self.session.post(url, data=body, headers={"Content-Type": "application/json"}) as answer:
            return answer.status

    async def records(self) -> list[ApplicationRecord]:
        records = self.desk.store.tenant(contexts.publisher("test")).records
        return [found.value for found in (await records.list(ApplicationRecord)).items]

    async def becomes(self, *states: str) -> list[ApplicationRecord]:
        async with asyncio.timeout(20):
            while [one.state for one in await self.records()] != list(states):  # noqa: ASYNC110 - told from elsewhere
                await asyncio.sleep(0.05)
        return await self.records()

    async def refused(self) -> list[str]:
        data = self.desk.store.tenant(contexts.publisher("test"))
        events = await read_run(data, log_run(PUBLISHER, RunKind.ACCESS, START.strftime("%Y-%m-%d")))
        return [stored.event.body.code for stored in events if isinstance(stored.event.body, AccessRefused)]


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setenv("MANDATE_ENVIRONMENT", "local")
    ours, theirs = socket.create_server(("127.0.0.1", 0)), socket.create_server(("127.0.0.1", 0))
    control, market = (f"http://127.0.0.1:{one.getsockname()[1]}" for one in (ours, theirs))
    async with open_desk(tmp_path) as desk:
        session, clock = desk.market.session, desk.market.clock

        async def token() -> str:
            return PUBLISHER_TOKEN

        def validator(audience: str) -> TokenValidator:
            return TokenValidator(
                issuer_template="https://login.example/{tid}/v2.0",
                jwks_uri="https://login.example/keys",
                audience=audience,
                session=cast("aiohttp.ClientSession", Keys()),
                clock=clock,
            )

        async def nobody(_: Request) -> Caller:
            raise Unauthenticated("Nobody else calls here.")

        access = AccessLog(desk.store, clock, code="1")
        arm = Arm(f"{market}/arm", token, session)

        def applications(product: str = OFFER.application) -> ManagedApplications:
            return ManagedApplications(
                desk.store, clock, arm, desk.directory, access, TERMS, secret=SECRET, product=product
            )

        services = ControlServices(
            store=desk.store,
            directory=desk.directory,
            policies=Policies(environment="", clock=clock),
            switches=Switches(desk.store, clock, agents=[], tools=[]),
            access=access,
            erasures=desk.erasures,
            entitlements=desk.entitlements,
            units=UNITS,
            authenticate=nobody,
            rings=lambda: ["general"],
            version="1",
            marketplace=MarketplaceServices(
                callers=WebhookCallers(validator("the-offers-application"), TID, RESOURCE),
                desk=desk.desk,
                landings=desk.landings,
                subscriptions=desk.subscriptions,
                metering=desk.metering,
                acts=desk.acts,
                offer=OFFER,
                marketplace=desk.api,
                applications=applications(),
                stamps=validator("api://mandate"),
            ),
        )
        emulator = create_marketplace(
            authorize=authorize,
            catalogue=CATALOGUE,
            folder=tmp_path / "azure",
            webhook=f"{control}/nowhere",
            landing="https://publisher.example/landing",
            token=token,
            session=session,
            clock=clock,
            applications=f"{control}/v1/marketplace/applications?sig={quote(SECRET, safe='')}",
        )
        async with serving(create_app(services), ours), serving(emulator, theirs):
            yield World(desk, control, market, session, applications)


async def test_an_application_has_a_tenants_entry_that_follows_it_and_nobody_signs_in_to(world: World) -> None:
    assert await world.do("deploy") == 303
    (made,) = await world.becomes("running")
    tenant = await world.desk.directory.tenant(made.tenant)
    assert (tenant.mode, tenant.stamp, tenant.status, tenant.plan) == (
        "customer_hosted",
        "customer",
        "active",
        "business",
    )
    assert (await world.desk.directory.bindings()).items == []
    assert made.usage
    assert made.resource == path_of("mandate").lower()
    await world.do("upgrade")
    async with asyncio.timeout(20):
        while (await world.records())[0].plan_version != "1.1.0":  # noqa: ASYNC110 - told from elsewhere
            await asyncio.sleep(0.05)
    await world.do("delete")
    await world.becomes("gone")
    assert (await world.desk.directory.tenant(made.tenant)).status == "closed"


@pytest.mark.parametrize("sig", [None, "", "wrong", SECRET[:-1], SECRET + "x", SECRET.upper(), "wörd"])
async def test_who_does_not_know_the_secret_is_refused_recorded_and_changes_nothing(
    world: World, sig: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    assert await world.tell(sig, f'{{"applicationId": "{path_of("mandate")}"}}') == 401
    assert await world.records() == []
    assert await world.refused() == ["access.signature"]
    assert SECRET not in caplog.text


async def test_whoever_knows_the_secret_says_only_where_to_look(world: World) -> None:
    """A replay, a lie, somebody else's application, nonsense: what ARM says is what counts."""
    lie = f'{{"applicationId": "{path_of("mandate")}", "eventType": "PUT", "provisioningState": "Succeeded"}}'
    assert await world.tell(SECRET, lie) == 200
    assert await world.records() == []
    await world.do("deploy")
    (made,) = await world.becomes("running")
    gone = lie.replace("PUT", "DELETE").replace("Succeeded", "Deleted")
    assert [await world.tell(SECRET, gone) for _ in range(3)] == [200] * 3
    assert await world.records() == [made]
    await world.do("delete")
    await world.becomes("gone")
    assert await world.tell(SECRET, lie) == 200
    assert (await world.desk.directory.tenant(made.tenant)).status == "closed"
    for odd in ("", "[]", "{}", '{"applicationId": "/../../subscriptions/x"}', '{"applicationId": 7}', "\x00"):
        assert await world.tell(SECRET, odd) == 200
    elsewhere = lie.replace("Microsoft.Solutions/applications", "Microsoft.KeyVault/vaults")
    assert await world.tell(SECRET, elsewhere) == 200
    assert [one.state for one in await world.records()] == ["gone"]


async def test_an_application_of_another_offer_is_none_of_ours(world: World) -> None:
    await world.do("deploy")
    (made,) = await world.becomes("running")
    await world.do("deploy", "other")
    await world.becomes("running", "running")
    before = await world.records()
    other = world.applications(product="of-another-offer")
    await other.take(Notification.model_validate({"applicationId": path_of("third")}))
    await other.take(Notification.model_validate({"applicationId": made.resource}))
    assert await world.records() == before


def of_stamp(**changes: object) -> str:
    return signed(claims(aud="api://mandate", oid=STAMP, idtyp="app", azp="a-customers-identity", **changes))


class Tokens:
    """The stamp's own identity, as a token for the publisher's API."""

    def __init__(self, token: str) -> None:
        self.given = token

    async def token(self, scope: str) -> str:
        assert scope == "api://mandate/.default"
        return self.given


async def test_an_application_tells_its_version_and_nothing_else_and_no_other_tells_it(world: World) -> None:
    await world.do("deploy", beats_tenant=TID.upper(), beats_principal=STAMP)
    (before,) = await world.becomes("running")
    assert (before.beat_at, before.version) == ("", "")
    others = {
        "no token": ("", 401),
        "another identity": (signed(claims(aud="api://mandate", oid="somebody", idtyp="app")), 403),
        "a person": (signed(claims(aud="api://mandate", oid=STAMP)), 403),
        "another tenant": (of_stamp(tid=OTHER_TID, iss=f"https://login.example/{OTHER_TID}/v2.0"), 403),
        "another audience": (signed(claims(aud="api://else", oid=STAMP, idtyp="app")), 401),
    }
    for who, (token, status) in others.items():
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        url = f"{world.control}/v1/stamps/heartbeat"
        async with world.session.post(url, data='{"version": "9"}', headers=headers) as answer:
            assert answer.status == status, who
    headers = {"Authorization": f"Bearer {of_stamp()}", "Content-Type": "application/json"}
    body = '{"version": "9", "users": ["ines@kestrelmoor.example"]}'
    async with world.session.post(f"{world.control}/v1/stamps/heartbeat", data=body, headers=headers) as answer:
        assert answer.status == 422
    assert await world.records() == [before]
    await beat(world.session, world.control, "api://mandate", Tokens(of_stamp()))
    (after,) = await world.records()
    assert (after.version, bool(after.beat_at)) == (VERSION, True)
    assert after.model_copy(update={"version": "", "beat_at": ""}) == before


async def test_a_publisher_that_is_not_there_stops_no_stamp(world: World, caplog: pytest.LogCaptureFixture) -> None:
    await beat(world.session, "http://127.0.0.1:9", "api://mandate", Tokens("x"))
    assert "heartbeat.unheard" in caplog.text
