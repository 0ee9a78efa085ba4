"""An identity provider with a few people, on a real socket, and what tests ask of it."""

import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
from starlette.types import ASGIApp

from core import SystemClock
from emulators.identity import (
    PERSONAL_ACCOUNTS,
    SERVICE_TID,
    ClientRegistration,
    DirectoryTenant,
    DirectoryUser,
    FederatedCredential,
    ServiceIdentity,
    TokenResponse,
    create_app,
    sign_in,
)
from emulators.identity.oauth import s256
from identity_live import serving
from web import EXCHANGE_AUDIENCE, TokenValidator

SECRET = "header-secret"
CONTOSO, FABRIKAM = "11111111-0000-4000-8000-000000000001", "22222222-0000-4000-8000-000000000002"
ANN = DirectoryUser("ann@contoso.example", "Ann <Owner>", "aaaaaaaa-0000-4000-8000-000000000001", ["owner"], ["g1"])
BOB = DirectoryUser("bob@contoso.example", "Bob", "aaaaaaaa-0000-4000-8000-000000000002", ["user"])
EVE = DirectoryUser("eve@fabrikam.example", "Eve", "aaaaaaaa-0000-4000-8000-000000000003", ["user"])
PAT = DirectoryUser("pat@personal.example", "Pat", "aaaaaaaa-0000-4000-8000-000000000004")
TENANTS = [
    DirectoryTenant(CONTOSO, "Contoso", [ANN, BOB]),
    DirectoryTenant(FABRIKAM, "Fabrikam", [EVE]),
    DirectoryTenant(PERSONAL_ACCOUNTS, "Personal", [PAT]),
]
EDGE = ServiceIdentity("edge-client", "bbbbbbbb-0000-4000-8000-000000000001", "edge", {"api://inner": ["Runs.Start"]})
APP = replace(EDGE, client_id="app-client", object_id="bbbbbbbb-0000-4000-8000-000000000002", secret="app-secret")
OFFERS = {"offer-v1": ["x"], "offer-v2": ["x"]}
SELLER = ServiceIdentity("seller-client", "bbbbbbbb-0000-4000-8000-000000000003", "seller", OFFERS)
CLI = ClientRegistration("cli", "Command line", ["http://127.0.0.1/callback", "https://console.example/signed-in?x=1"])
CALLBACK = "http://127.0.0.1:4567/callback"
VERIFIER = "v" * 43


@dataclass
class MovingClock:
    ahead: timedelta = field(default_factory=timedelta)

    def now(self) -> datetime:
        return SystemClock().now() + self.ahead


@dataclass
class World:
    base: str
    session: aiohttp.ClientSession
    clock: MovingClock
    folder: Path

    @property
    def msi(self) -> str:
        return f"{self.base}/msi/token"

    def validator(self, audience: str = "api://mandate") -> TokenValidator:
        return TokenValidator(
            issuer_template=f"{self.base}/{{tid}}/v2.0",
            jwks_uri=f"{self.base}/common/discovery/v2.0/keys",
            audience=audience,
            session=self.session,
            clock=self.clock,
        )

    async def sign_in(self, user: DirectoryUser, tid: str = CONTOSO, **changes: str) -> TokenResponse:
        client = {"client_id": "cli", "redirect_uri": CALLBACK} | changes
        return await sign_in(self.session, self.base, tid, user.username, **client)

    def asked(self, **changes: str) -> dict[str, str]:
        asked = {
            "client_id": "cli",
            "redirect_uri": CALLBACK,
            "response_type": "code",
            "scope": "openid offline_access api://mandate/access",
            "state": "s&t",
            "nonce": "n1",
            "code_challenge": s256(VERIFIER),
            "code_challenge_method": "S256",
        } | changes
        return {name: value for name, value in asked.items() if value}

    async def page(self, tid: str = CONTOSO, **changes: str) -> "Answer":
        return await self.get(f"/{tid}/oauth2/v2.0/authorize", params=self.asked(**changes))

    async def get(self, path: str, **how: Any) -> "Answer":
        async with self.session.get(self.base + path, allow_redirects=False, **how) as response:
            return await Answer.of(response)

    async def post(self, path: str, **how: Any) -> "Answer":
        async with self.session.post(self.base + path, allow_redirects=False, **how) as response:
            return await Answer.of(response)

    async def code(self, user: DirectoryUser = ANN, tid: str = CONTOSO) -> str:
        page = await self.page(tid)
        csrf = page.cookies["identity_csrf"]
        answer = await self.choose(user.username, csrf, csrf, tid)
        assert answer.status == 303
        return answer.back["code"]

    async def choose(self, username: str, csrf: str, cookie: str, tid: str = CONTOSO) -> "Answer":
        form = {"csrf": csrf, "username": username}
        path = f"/{tid}/oauth2/v2.0/authorize"
        return await self.post(path, params=self.asked(), data=form, cookies={"identity_csrf": cookie})

    async def redeem(self, code: str, tid: str = CONTOSO, **changes: str) -> "Answer":
        grant = {"grant_type": "authorization_code", "code": code, "code_verifier": VERIFIER}
        return await self.token(grant | {"client_id": "cli", "redirect_uri": CALLBACK} | changes, tid)

    async def token(self, form: dict[str, str], tid: str = CONTOSO) -> "Answer":
        return await self.post(f"/{tid}/oauth2/v2.0/token", data=form)


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    cookies: dict[str, str]
    text: str
    json: Any

    @classmethod
    async def of(cls, response: aiohttp.ClientResponse) -> "Answer":
        is_json = response.content_type == "application/json"
        return cls(
            response.status,
            {name.lower(): value for name, value in response.headers.items()},
            {name: morsel.value for name, morsel in response.cookies.items()},
            await response.text(),
            await response.json() if is_json else None,
        )

    @property
    def back(self) -> dict[str, str]:
        """What was sent to the redirect URI."""
        assert self.headers["location"].startswith(CALLBACK + "?")
        return {name: values[0] for name, values in parse_qs(urlsplit(self.headers["location"]).query).items()}

    @property
    def error(self) -> tuple[int, str]:
        return self.status, self.json["error"]


def make_app(base: str, folder: Path, clock: MovingClock) -> ASGIApp:
    services = {service.client_id: service for service in (EDGE, APP, SELLER)}
    credential = FederatedCredential(f"{base}/{SERVICE_TID}/v2.0", EDGE.object_id, EXCHANGE_AUDIENCE)
    console = ClientRegistration("console", "Console", CLI.redirect_uris, credential)
    sources = ClientRegistration("sources", "Sources", [], credential, ["https://search.azure.com"])
    return create_app(
        issuer_base=base, tenants=TENANTS, folder=folder, services=services, clients=[CLI, console, sources],
        header_secret=SECRET, clock=clock, v1_resources=["offer-v1"],
    )  # fmt: skip


@asynccontextmanager
async def open_world(folder: Path) -> AsyncGenerator[World]:
    """Serve the provider; MANDATE_ENVIRONMENT must be `local`."""
    listener = socket.create_server(("127.0.0.1", 0))
    base = f"http://127.0.0.1:{listener.getsockname()[1]}"
    clock = MovingClock()
    app = make_app(base, folder, clock)
    timeout = aiohttp.ClientTimeout(total=10)
    async with (
        serving(app, listener),
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), timeout=timeout) as session,
    ):
        yield World(base, session, clock, folder)
