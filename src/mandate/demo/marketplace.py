"""What the steps of the marketplace's story have in common: the customer, the marketplace, the publisher."""

import asyncio
from http import HTTPStatus

import aiohttp
import orjson
from pydantic import BaseModel, ConfigDict

from core import Json
from mandate.client import Client
from mandate.demo.report import expect
from mandate.demo.story import Story
from mandate.local.seeding import operator_token
from mandate.services import Services
from mandate.settings import ROOT

INES, BO = "ines@kestrelmoor.example", "bo@kestrelmoor.example"
KESTREL = "6a1c8f0e-3b52-4c57-9b6e-2f0d7a9e41c3"
SECONDS = 20.0
"""In which what the marketplace tells has reached everybody: told, done, and what was read before is old."""


class Known(BaseModel):
    """A subscription as the publisher sees it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    status: str
    plan: str
    tenant: str
    onboarding: str


class _KnownPage(BaseModel):
    items: list[Known]


async def as_ines(story: Story) -> Client:
    return await Client.signed_in(story.session, story.url, KESTREL, INES)


def question() -> Json:
    return {"agent": "support", "message": "What is the status of order A-20424?"}


async def do(story: Story, act: str, **form: str) -> None:
    url = f"{story.url}/shop/{story.note('subscription')}/{act}"
    async with story.session.post(url, data=form, allow_redirects=False) as response:
        expect(response.status == HTTPStatus.SEE_OTHER, f"{act}: {response.status} {await response.text()}")


async def becomes(story: Story, status: str, plan: str) -> None:
    async with asyncio.timeout(SECONDS):
        while True:
            known = await known_of(story)
            if known and (known.status, known.plan) == (status, plan):
                return
            await asyncio.sleep(0.1)


async def known_of(story: Story) -> Known | None:
    page = _KnownPage.model_validate(await operate(story, "GET", "/v1/subscriptions"))
    return next((one for one in page.items if one.id == story.note("subscription")), None)


async def operate(story: Story, method: str, path: str, body: Json = None) -> dict[str, Json]:
    """Ask the control plane as the publisher's operator."""
    stack = story.host.stack
    token = await operator_token(story.session, stack, Services.load(ROOT / "environments"))
    headers, timeout = {"Authorization": f"Bearer {token}"}, aiohttp.ClientTimeout(total=30)
    if body is not None:
        headers["Content-Type"] = "application/json"
    data = None if body is None else orjson.dumps(body)
    url = f"{stack.address('control')}{path}"
    async with story.session.request(method, url, data=data, headers=headers, timeout=timeout) as response:
        raw = await response.read()
        expect(response.ok, f"{method} {path} answered {response.status}: {raw.decode()}")
        return orjson.loads(raw)
