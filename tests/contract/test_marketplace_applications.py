"""Managed applications: what is told of them is believed as far as ARM confirms it; what they tell is their version."""

import asyncio
import logging
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import cast
from urllib.parse import quote

import aiohttp
import pytest
from fastapi import Request, Response
from marketplace_desk_world import OFFER, TERMS, UNITS, DeskWorld, offered, open_desk
from starlette.applications import Starlette
from starlette.routing import Route
from test_marketplace_webhook import OTHER_TID, TID, Keys, claims, signed

from control import (
    AccessLog,
    ApplicationRecord,
    Caller,
    Capability,
    ControlServices,
    Directory,
    Entitlements,
    Follower,
    ManagedApplications,
    MarketplaceServices,
    Policies,
    Switches,
    TenantRecord,
    WebhookCallers,
    contexts,
    create_app,
    log_run,
)
from control.entitlements import OverrideRecord
from control.marketplace.applications import Notification
from control.marketplace_api import RESOURCE
from control.marketplace_api.arm import Arm
from core import PUBLISHER, ActionKind, Clock, TenantId, new_id, timestamp
from core.bodies import AccessRefused, RecordChanged
from core.errors import Unauthenticated
from core.parts import RunKind
from data import Store, read_run
from data.sqlite import open_store
from emulators.marketplace import create_app as create_marketplace
from emulators.marketplace.managed import path_of
from identity_live import serving
from mandate.heartbeats import Publisher
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
        """Wait until the applications are in these states, and their tenants with them."""
        async with asyncio.timeout(20):
            while True:
                known = await self.records()
                if [one.state for one in known] == list(states) and await self._followed(known):
                    return known
                await asyncio.sleep(0.05)

    async def _followed(self, known: list[ApplicationRecord]) -> bool:
        tenants = {found.key: found.value for found in (await self.desk.directory.tenants()).items}
        wanted = {"running": "active", "gone": "closed"}
        return all(one.tenant in tenants and tenants[one.tenant].status == wanted[one.state] for one in known)

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
    await publisher(world).beat()
    (after,) = await world.records()
    assert (after.version, bool(after.beat_at)) == (VERSION, True)
    assert after.model_copy(update={"version": "", "beat_at": ""}) == before


def publisher(world: World, url: str = "") -> Publisher:
    """Return the publisher's API as the stamp reaches it."""
    return Publisher(world.session, url or world.control, "api://mandate", Tokens(of_stamp()))


NOBODY_THERE = "http://127.0.0.1:9"


async def test_a_publisher_that_is_not_there_stops_no_stamp(world: World, caplog: pytest.LogCaptureFixture) -> None:
    await publisher(world, NOBODY_THERE).beat()
    assert "heartbeat.unheard" in caplog.text


@dataclass
class Stamp:
    """What runs at the customer's: a store of its own, in which one organisation is."""

    store: Store
    tenant: TenantId
    directory: Directory
    entitlements: Entitlements
    switches: Switches
    follower: Follower

    async def may(self) -> tuple[str, str, bool, set[str]]:
        """Return plan and state, whether models may be used, and what the publisher has switched off."""
        entry = await self.directory.tenant(self.tenant)
        entitled = await self.entitlements.of(self.tenant)
        data = self.store.tenant(contexts.from_meter(self.tenant))
        off = set((await self.switches.thrown(data)).everywhere)
        return entry.plan, entry.status, entitled.includes(ActionKind.CALL_MODEL, "chat", {Capability.MODELS}), off

    async def noted(self, clock: Clock) -> list[tuple[str, str]]:
        data = self.store.tenant(contexts.publisher("test"))
        events = await read_run(data, log_run(PUBLISHER, RunKind.ADMIN, timestamp(clock.now())[:10]))
        bodies = [stored.event.body for stored in events]
        return [(body.version, body.cause) for body in bodies if isinstance(body, RecordChanged)]


@asynccontextmanager
async def stamp_at_a_customers(world: World, folder: Path) -> AsyncGenerator[Stamp]:
    clock, tenant = world.desk.market.clock, TenantId(new_id("ten"))
    async with open_store(folder / "stamp.db") as store:
        directory, access = Directory(store, clock), AccessLog(store, clock, code="1")
        entitlements = Entitlements(store, clock, offered(team=2, business=4))
        switches = Switches(store, clock, agents=["support"], tools=[])
        await directory.create_tenant(TenantRecord(id=tenant, name="Theirs", plan="team", region="westeurope"))
        follower = Follower(store, clock, directory, entitlements, switches, access)
        yield Stamp(store, tenant, directory, entitlements, switches, follower)


async def test_a_stamp_whose_customer_agreed_does_as_the_publisher_says(world: World, tmp_path: Path) -> None:
    await world.do("deploy", beats_tenant=TID, beats_principal=STAMP)
    (known,) = await world.becomes("running")
    assert (await world.desk.directory.tenant(known.tenant)).mode == "customer_hosted"
    ours, staff, clock = world.desk, contexts.publisher("test"), world.desk.market.clock
    switches = Switches(ours.store, clock, agents=["support", "newer"], tools=[])
    async with stamp_at_a_customers(world, tmp_path) as stamp:
        await publisher(world).lead(stamp.follower)
        clock.time += timedelta(seconds=6)
        assert await stamp.may() == ("business", "active", True, set())

        await ours.entitlements.lay_down(known.tenant, OverrideRecord(features=frozenset({Capability.SEARCH})))
        for name in ("agent/support", "agent/newer", f"tenant/{known.tenant}", f"tenant/{new_id('ten')}"):
            await switches.switch_off(staff, name, f"Because of {name}")
        await publisher(world).lead(stamp.follower)
        clock.time += timedelta(seconds=6)
        assert await stamp.may() == ("business", "active", False, {"agent/support", "tenant"})
        reasons = await stamp.switches.everywhere(stamp.store.tenant(staff))
        assert {one.reason for one in reasons} == {"Because of agent/support", f"Because of tenant/{known.tenant}"}

        await switches.switch_on(staff, "agent/support")
        await ours.directory.update(known.tenant, plan="team", status="suspended")
        for _ in range(2):
            await publisher(world).lead(stamp.follower)
        clock.time += timedelta(seconds=6)
        assert await stamp.may() == ("team", "suspended", False, {"tenant"})
        assert await stamp.noted(clock) == [
            ("active", "ordered"),
            *(("off", "ordered"), ("off", "ordered"), ("laid_down", "ordered")),
            *(("on", "ordered"), ("suspended", "ordered")),
        ]
    assert (await world.records())[0].version == VERSION
    assert (await ours.directory.tenant(known.tenant)).mode == "hybrid"


async def test_what_a_publisher_said_holds_for_a_day(world: World, tmp_path: Path) -> None:
    await world.do("deploy", beats_tenant=TID, beats_principal=STAMP)
    await world.becomes("running")
    clock = world.desk.market.clock
    async with stamp_at_a_customers(world, tmp_path) as stamp:
        await publisher(world, NOBODY_THERE).lead(stamp.follower)
        assert (await stamp.directory.tenant(stamp.tenant)).status == "active", "it has not been asking for a day"
        await publisher(world).lead(stamp.follower)
        clock.time += timedelta(hours=23, minutes=59)
        await publisher(world, NOBODY_THERE).lead(stamp.follower)
        assert (await stamp.may())[:3] == ("business", "active", True)
        clock.time += timedelta(minutes=2)
        await publisher(world, NOBODY_THERE).lead(stamp.follower)
        clock.time += timedelta(seconds=6)
        assert (await stamp.may())[:3] == ("business", "suspended", False)
        assert (await stamp.noted(clock))[-1] == ("suspended", "unheard")


@pytest.mark.parametrize(
    "answer",
    [
        '{"plan": "team", "status": "active", "entitlements": {}, "off": {}, "only_on_sundays": true}',
        '{"plan": "team", "status": "paused", "entitlements": {}, "off": {}}',
        '{"plan": "team", "status": "active", "entitlements": {"features": ["flying"]}, "off": {}}',
        "<html>Sign in</html>",
        "x" * 300_000,
    ],
)
async def test_what_a_version_does_not_know_it_does_not_obey_in_part(world: World, tmp_path: Path, answer: str) -> None:
    async def odd(_: Request) -> Response:
        return Response(answer, media_type="application/json")

    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    async with stamp_at_a_customers(world, tmp_path) as stamp:
        before = await stamp.may()
        async with serving(Starlette(routes=[Route("/v1/stamps/orders", odd, methods=["POST"])]), listener):
            await publisher(world, url).lead(stamp.follower)
        assert await stamp.may() == before


async def test_nobody_but_a_stamp_is_told_what_it_may_do(world: World) -> None:
    await world.do("deploy", beats_tenant=TID, beats_principal=STAMP)
    await world.becomes("running")
    others = {"": 401, signed(claims(aud="api://mandate", oid="somebody", idtyp="app")): 403}
    for token, status in others.items():
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        async with world.session.post(
            f"{world.control}/v1/stamps/orders", data='{"version": "9"}', headers=headers
        ) as answer:
            assert answer.status == status
    assert len(await world.refused()) == 2
