"""The marketplace's emulator on a socket, with a publisher that keeps what it is told."""

import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from clocks import MovableClock
from core.errors import Forbidden, Unauthenticated
from emulators.marketplace import API_VERSION, Catalogue, create_app, load_catalogue
from identity_live import serving

ROOT = Path(__file__).parents[1]
CATALOGUE = load_catalogue(ROOT / "environments" / "local" / "marketplace.yaml")
INES, BO = "ines@kestrelmoor.example", "bo@kestrelmoor.example"
PUBLISHER_TOKEN, OTHERS_TOKEN = "the-publishers", "another-applications"
START = datetime(2026, 11, 23, 12, 10, tzinfo=UTC)


async def authorize(token: str) -> None:
    if token == OTHERS_TOKEN:
        raise Forbidden("Another application.", code="Forbidden")
    if token != PUBLISHER_TOKEN:
        raise Unauthenticated("No token of ours.")


@dataclass
class Told:
    """The publisher's end of the webhook: what came, and how it answers."""

    received: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    answers: int = 200

    async def hook(self, request: Request) -> Response:
        assert request.headers["authorization"] == "Bearer the-marketplaces"
        self.received.append(await request.json())
        return Response(status_code=self.answers)


@dataclass
class Market:
    """What a test does there: `call` as the publisher, `do` as the customer."""

    base: str
    session: aiohttp.ClientSession
    told: Told
    clock: MovableClock

    async def call(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, Any]:
        link = path if path.startswith("http") else f"{self.base}/api{path}"
        joined = link if "api-version" in link else f"{link}{'&' if '?' in link else '?'}api-version={API_VERSION}"
        given = {"authorization": f"Bearer {PUBLISHER_TOKEN}", **headers}
        async with self.session.request(method, joined, json=body, headers=given) as response:
            return response.status, await response.json(content_type=None) if await response.read() else None

    async def buy(self, plan: str = "team", **form: str) -> str:
        asked = {"plan": plan, "beneficiary": INES, **form}
        async with self.session.post(f"{self.base}/shop/buy", data=asked, allow_redirects=False) as response:
            assert response.status == 303, await response.text()
            return response.headers["x-subscription"]

    async def do(self, subscription: str, act: str, **form: str) -> tuple[int, str]:
        url = f"{self.base}/shop/{subscription}/{act}"
        async with self.session.post(url, data=form, allow_redirects=False) as response:
            return response.status, response.headers.get("location", "")

    async def token(self, subscription: str) -> str:
        _, location = await self.do(subscription, "configure")
        return parse_qs(urlsplit(location).query)["token"][0]

    async def activated(self, plan: str = "team", **form: str) -> str:
        subscription = await self.buy(plan, **form)
        path = f"/saas/subscriptions/{subscription}"
        bought = (await self.call("GET", path))[1]
        body = {"planId": plan, "quantity": bought["quantity"]}
        assert (await self.call("POST", f"{path}/activate", body))[0] == 200
        return subscription

    async def faults(self, **faults: object) -> None:
        async with self.session.post(f"{self.base}/faults", json=faults) as response:
            assert response.status == 204

    def later(self, **how_long: float) -> None:
        self.clock.time += timedelta(**how_long)


@asynccontextmanager
async def open_market(folder: Path, page_size: int = 100, catalogue: Catalogue = CATALOGUE) -> AsyncGenerator[Market]:
    """Serve it; MANDATE_ENVIRONMENT must be `local`."""
    clock, told = MovableClock(START), Told()
    hooks, listener = socket.create_server(("127.0.0.1", 0)), socket.create_server(("127.0.0.1", 0))
    base = f"http://127.0.0.1:{listener.getsockname()[1]}"

    async def token() -> str:
        return "the-marketplaces"

    timeout = aiohttp.ClientTimeout(total=10)
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), timeout=timeout) as session:
        app = create_app(
            authorize=authorize,
            catalogue=catalogue,
            folder=folder,
            webhook=f"http://127.0.0.1:{hooks.getsockname()[1]}/webhook",
            landing="https://publisher.example/landing",
            token=token,
            session=session,
            clock=clock,
            page_size=page_size,
        )
        publisher = Starlette(routes=[Route("/webhook", told.hook, methods=["POST"])])
        async with serving(publisher, hooks), serving(app, listener):
            yield Market(base, session, told, clock)
