"""Decisions that people sign in an app of their own: theirs, for one approval, now. Nothing else decides there."""

import asyncio
import socket
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

import aiohttp
import orjson
import pytest
from identity_world import CONTOSO, FABRIKAM, MovingClock
from identity_world import World as Provider
from identity_world import open_world as open_provider

from agent_world import CLOCK, World, open_office, open_world, person
from control import AccessLog, Directory, TenantRecord
from core import ApprovalId, Role, TenantContext, TenantId, derived_id
from core.bodies import ApprovalResolved, RecordChanged
from data import Store, read_run
from emulators.backoffice import BackofficeSeed
from emulators.identity import DirectoryTenant, DirectoryUser
from emulators.identity.issuing import Issuer, SignedIn
from emulators.identity.signing import SigningKeys
from identity_live import serving
from interaction import InteractionDependencies, PlanRates, Rate, RateLimits, create_app
from interaction.signed_decisions import nonce_of
from orchestration.approvals import Verdict
from scripted_calls import follow

TENANT, OTHER = TenantId(derived_id("ten", "signing")), TenantId(derived_id("ten", "signing elsewhere"))
ASKER = person(TENANT, "asker", Role.USER)
FORM, ANOTHER, CONSOLE = (f"{number}0000000-0000-4000-8000-00000000000f" for number in (1, 2, 3))
MIA, NOOR, JONAS, AUDITOR = (
    DirectoryUser(f"{name}@contoso.example", name, f"aaaaaaaa-0000-4000-8000-0000000000{number}", [role])
    for number, (name, role) in enumerate(
        [("mia", "admin"), ("noor", "approver"), ("jonas", "approver"), ("greta", "auditor")], 10
    )
)
EVE = DirectoryUser("eve@fabrikam.example", "eve", "aaaaaaaa-0000-4000-8000-000000000020", ["approver", "admin"])
SEED = """{"tickets": [],
"customers": [{"id": "C-1", "name": "Ada", "email": "ada@berg.example", "since": "2024-01-01"}],
"orders": [{"id": "AB-100", "customer": "C-1", "placed": "2026-09-21", "status": "delivered", "currency": "EUR",
"city": "Turku", "total_cents": 9000, "items": [{"sku": "S", "name": "Lamp", "quantity": 1, "price_cents": 9000}]}]}"""
WHY = "The carrier confirms it."


@dataclass
class Orchestration:
    """The internal service, called without a network."""

    world: World

    async def call(
        self, context: TenantContext, method: str, path: str, *, body: bytes = b"", deadline: datetime
    ) -> bytes:
        assert (method, path.split("/")[2], path.split("/")[4]) == ("POST", "approvals", "decision")
        said = orjson.loads(body)
        verdict = Verdict(said["approve"], said["reason"], f"{context.principal.id}{deadline}", said["through"])
        async with asyncio.TaskGroup() as group:
            await self.world.runs(group).decide(context, ApprovalId(path.split("/")[3]), verdict)
        return b""

    def stream(self, *_: object, **__: object) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        raise AssertionError("nobody here follows anything")


@dataclass
class Console:
    """Stands for the console's client, of which only the id is asked."""

    client_id: str = CONSOLE


@dataclass
class Desk:
    world: World
    issuer: Issuer
    earlier: Issuer
    base: str
    session: aiohttp.ClientSession

    async def asks(self, context: TenantContext = ASKER) -> ApprovalId:
        approval = await self.world.waiting(context, await self.world.ask(context, "Refund 12.50 EUR of AB-100"))
        assert approval
        return approval

    def token(self, who: DirectoryUser, app: str = FORM, *, tid: str = CONTOSO) -> str:
        return self.issuer.access_token(signed_in(who, app, "", tid), "api://mandate")

    def proof(self, who: DirectoryUser, nonce: str, app: str = FORM, *, tid: str = CONTOSO) -> str:
        return self.issuer.id_token(signed_in(who, app, nonce, tid))

    async def send(self, method: str, path: str, token: str, body: object = None) -> tuple[int, dict[str, Any]]:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        data = None if body is None else orjson.dumps(body)
        async with self.session.request(method, self.base + path, data=data, headers=headers) as response:
            text = await response.read()
        return response.status, orjson.loads(text) if text else {}

    async def decide(self, approval: str, token: str, proof: str | None, verdict: str = "approved") -> tuple[int, str]:
        body = {"verdict": verdict, "reason": WHY, **({"proof": proof} if proof else {})}
        status, told = await self.send("POST", f"/v1/approvals/{approval}/decision", token, body)
        return status, told.get("code", told.get("status", ""))

    def effects(self) -> int:
        return len(self.world.office.effects(TENANT))


def signed_in(who: DirectoryUser, app: str, nonce: str, tid: str) -> SignedIn:
    return SignedIn(DirectoryTenant(tid, "Company", [who]), who, app, "", nonce)


_NOT_ASKED = (
    *("policies", "switches", "principals", "control", "webhooks", "eraser", "governance"),
    *("verify", "sessions", "features", "candidate"),
)


def edge(store: Store, world: World, provider: Provider) -> InteractionDependencies:
    plenty = Rate(1000, 1000)
    directory = Directory(store, CLOCK)
    return InteractionDependencies(
        store=store,
        directory=directory,
        validator=provider.validator(),
        access=AccessLog(store, CLOCK, code="1"),
        **{name: cast("Any", None) for name in _NOT_ASKED},
        agents=world.services.agents,
        orchestration=Orchestration(world),
        limits=RateLimits({"team": PlanRates(plenty, plenty)}),
        registry=world.services.registry,
        clock=CLOCK,
        version="1",
        environment="local",
        currency="EUR",
        provider=cast("Any", Console()),
        sign_ins=provider.validator(CONSOLE),
        public_url="https://mandate.example",
    )


@asynccontextmanager
async def opened(store: Store, folder: Path) -> AsyncGenerator[Desk]:
    seeds: dict[str, BackofficeSeed] = {TENANT: BackofficeSeed.model_validate_json(SEED)}
    listener = socket.create_server(("127.0.0.1", 0))
    keys = folder / "provider"
    async with (
        open_office(folder / "office", seeds) as office,
        open_world(store, office) as world,
        open_provider(keys) as provider,
        serving(create_app(edge(store, world, provider)), listener),
    ):
        world.model.script = lambda request: follow(
            ["[[issue_refund order_id=AB-100 amount_cents=1250 reason=Lamp]]"], request
        )
        directory = Directory(store, CLOCK)
        for tenant, tid in ((TENANT, CONTOSO), (OTHER, FABRIKAM)):
            await directory.create_tenant(TenantRecord(id=tenant, name="Company", plan="team", region="local"))
            await directory.bind(tid, tenant)
        signing, ago = await asyncio.to_thread(SigningKeys, keys), MovingClock(timedelta(minutes=-6))
        now, earlier = (Issuer(provider.base, signing, clock, CONTOSO) for clock in (CLOCK, ago))
        yield Desk(world, now, earlier, f"http://127.0.0.1:{listener.getsockname()[1]}", provider.session)


@pytest.fixture
async def desk(store: Store, tmp_path: Path) -> AsyncGenerator[Desk]:
    async with opened(store, tmp_path) as one:
        status, _ = await one.send("PUT", f"/v1/approvals/apps/{FORM}", one.token(MIA, CONSOLE))
        assert status == 200
        yield one


async def test_a_signed_decision_counts_as_the_persons_own_and_the_log_says_through_which_app(desk: Desk) -> None:
    approval = await desk.asks()
    proof = desk.proof(NOOR, nonce_of(approval, "approved", WHY))
    assert await desk.decide(approval, desk.token(NOOR), proof) == (200, "approved")
    assert desk.effects() == 1
    _, apps = await desk.send("GET", "/v1/approvals/apps", desk.token(AUDITOR))
    _, view = await desk.send("GET", f"/v1/approvals/{approval}", desk.token(NOOR))
    assert (view["through"], view["approver_name"]) == (apps["items"][0]["app"], "noor")
    bodies = [stored.event.body for stored in await read_run(desk.world.store.tenant(ASKER), view["run"])]
    (resolved,) = [body for body in bodies if isinstance(body, ApprovalResolved)]
    assert resolved.approver
    assert (resolved.through, resolved.approver.id) == (view["through"], view["approver"])
    # The same once more, and by whoever has caught it: nothing changes.
    assert await desk.decide(approval, desk.token(NOOR), proof) == (200, "approved")
    assert (await desk.decide(approval, desk.token(JONAS), proof))[1] == "approval.proof"
    assert desk.effects() == 1


async def test_nothing_but_this_persons_fresh_signature_of_this_decision_decides(desk: Desk) -> None:
    approval, another = await desk.asks(), await desk.asks()
    nonce = nonce_of(approval, "approved", WHY)
    good = desk.proof(NOOR, nonce)
    attacks = {
        "an address and a token that were found": (NOOR, FORM, None, "approval.unsigned"),
        "another approver's signature": (JONAS, FORM, good, "approval.proof"),
        "the same person's of another organisation": (
            NOOR,
            FORM,
            desk.proof(NOOR, nonce, tid=FABRIKAM),
            "approval.proof",
        ),
        "of another approval": (NOOR, FORM, desk.proof(NOOR, nonce_of(another, "approved", WHY)), "approval.proof"),
        "of the opposite": (NOOR, FORM, desk.proof(NOOR, nonce_of(approval, "denied", WHY)), "approval.proof"),
        "for another reason": (NOOR, FORM, desk.proof(NOOR, nonce_of(approval, "approved", "No.")), "approval.proof"),
        "made in another app": (NOOR, FORM, desk.proof(NOOR, nonce, ANOTHER), "approval.proof"),
        "a sign-in to something else": (NOOR, FORM, desk.proof(NOOR, ""), "approval.proof"),
        "an access token": (NOOR, FORM, desk.token(NOOR), "approval.proof"),
        "forged": (NOOR, FORM, f"{good[:-8]}AAAAAAAA", "approval.proof"),
        "too old": (NOOR, FORM, desk.earlier.id_token(signed_in(NOOR, FORM, nonce, CONTOSO)), "approval.proof"),
        "an app that nobody named": (NOOR, ANOTHER, desk.proof(NOOR, nonce, ANOTHER), "approval.app"),
        "who may not decide": (MIA, FORM, desk.proof(MIA, nonce), "access.role"),
        "who only looks": (AUDITOR, FORM, desk.proof(AUDITOR, nonce), "access.role"),
    }
    for attack, (who, app, proof, code) in attacks.items():
        assert await desk.decide(approval, desk.token(who, app), proof) == (403, code), attack
    eve = desk.token(EVE, tid=FABRIKAM)
    assert (await desk.decide(approval, eve, desk.proof(EVE, nonce, tid=FABRIKAM), "approved"))[0] == 404
    assert desk.effects() == 0
    assert await desk.decide(approval, desk.token(NOOR), good) == (200, "approved")
    assert await desk.decide(another, desk.token(NOOR, CONSOLE), None) == (200, "approved")


async def test_an_app_is_the_organisations_own_and_only_its_admins_name_it(desk: Desk) -> None:
    approval, path = await desk.asks(), f"/v1/approvals/apps/{FORM}"
    assert (await desk.send("PUT", path, desk.token(NOOR)))[0] == 403
    eve = desk.token(EVE, tid=FABRIKAM)
    assert (await desk.send("GET", "/v1/approvals/apps", eve))[1] == {"items": []}
    assert (await desk.send("DELETE", path, eve))[0] == 404
    assert (await desk.send("DELETE", path, desk.token(NOOR)))[0] == 403
    _, first = await desk.send("PUT", path, desk.token(MIA))
    assert (await desk.send("PUT", path, desk.token(MIA)))[1] == first
    await desk.send("PUT", f"/v1/approvals/apps/{ANOTHER}", desk.token(MIA))
    assert (await desk.send("DELETE", path, desk.token(MIA)))[0] == 204
    nonce = nonce_of(approval, "approved", WHY)
    assert await desk.decide(approval, desk.token(NOOR), desk.proof(NOOR, nonce)) == (403, "approval.app")
    await desk.send("DELETE", f"/v1/approvals/apps/{ANOTHER}", desk.token(MIA))
    assert await desk.decide(approval, desk.token(NOOR), None) == (403, "approval.app"), "the last one opens nothing"
    told = [change async for change in admin_acts(desk.world.store)]
    assert [act.version for act in told if act.kind == "deciding_app"] == ["added", "added", "ended", "ended"]
    assert FORM not in str(told)
    again = await desk.send("PUT", path, desk.token(MIA))
    assert again == (200, {**first, "added_at": again[1]["added_at"]})
    assert await desk.decide(approval, desk.token(NOOR), desk.proof(NOOR, nonce)) == (200, "approved")


async def admin_acts(store: Store) -> AsyncIterator[RecordChanged]:
    page = await store.platform.feed(after="", limit=1000)
    for run in {stored.event.run: None for stored in page.events if isinstance(stored.event.body, RecordChanged)}:
        for stored in await read_run(store.tenant(ASKER), run):
            if isinstance(stored.event.body, RecordChanged):
                yield stored.event.body


async def test_the_console_has_a_page_for_the_apps(desk: Desk) -> None:
    async def page(who: DirectoryUser) -> str:
        headers = {"Authorization": f"Bearer {desk.token(who)}", "Accept": "text/html"}
        async with desk.session.get(f"{desk.base}/deciding/apps", headers=headers) as response:
            assert response.status == (403 if who is NOOR else 200)
            return await response.text()

    async def send(where: str, **form: str) -> int:
        headers, address = {"Authorization": f"Bearer {desk.token(MIA)}"}, f"{desk.base}/deciding/apps{where}"
        async with desk.session.post(address, data=form, headers=headers, allow_redirects=False) as response:
            return response.status

    removes = [f'action="/deciding/apps/{app}/end"' for app in (FORM, ANOTHER)]
    assert [line in await page(MIA) for line in removes] == [True, False]
    assert [await send("", client=wrong) for wrong in ("our chat", ANOTHER[:-1], "")] == [422] * 3
    assert await send("", client=f" {ANOTHER.upper()} ") == 303
    assert [line in await page(MIA) for line in removes] == [True, True]
    seen = await page(AUDITOR)
    assert ANOTHER in seen
    assert 'action="/deciding/apps' not in seen
    await page(NOOR)
    assert [await send(f"/{app}/end") for app in (FORM, ANOTHER, ANOTHER)] == [303, 303, 404]
    assert "Decisions are taken in this console alone" in await page(MIA)
