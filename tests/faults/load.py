"""People at work: they ask, order, wait and decide until the product dies under them, and remember what it promised."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

import aiohttp
import orjson

from core import TenantId, new_id
from core.errors import Unavailable
from mandate.client import Client
from mandate.local.world import Company
from mandate.people import company_of, sign_in

ASKERS = (
    "elif@alderfinch.example",
    "sander@alderfinch.example",
    "tomas@alderfinch.example",
    "jonas@alderfinch.example",
    "dario@quillmere.example",
    "yuki@quillmere.example",
    "pavel@quillmere.example",
)
DECIDERS = ("noor@alderfinch.example", "ruth@quillmere.example")
OWNERS = ("mia@alderfinch.example", "ingrid@quillmere.example")

ORDERS = {
    "alderfinch": ("A-20398", "A-20405", "A-20409"),
    "quillmere": ("QMI-2026-0371", "QMI-2026-0388", "QMI-2026-0394"),
}
QUESTIONS = (
    "How long does a customer have to send something back?",
    "Who has to approve a refund?",
    "What does delivery cost?",
)
THINGS = ("pole", "ring", "zip", "scale", "lamp")


@dataclass(slots=True)
class Person:
    """Somebody who is signed in, and the conversation that they are in."""

    client: Client
    company: Company
    random: random.Random
    conversation: str | None = None


@dataclass(slots=True)
class Load:
    """What the product has acknowledged: runs by the tenant and the person, documents by the tenant."""

    session: aiohttp.ClientSession
    runs: dict[str, tuple[TenantId, Person]] = field(default_factory=dict[str, tuple[TenantId, Person]])
    documents: list[tuple[TenantId, str]] = field(default_factory=list[tuple[TenantId, str]])
    people: dict[str, Person] = field(default_factory=dict[str, Person])

    async def sign_in(self, url: str, seed: int) -> None:
        for number, name in enumerate((*ASKERS, *DECIDERS, *OWNERS)):
            client = await sign_in(self.session, url, name)
            self.people[name] = Person(client, company_of(name), random.Random(seed * 100 + number))

    async def go(self, seconds: float, then: Callable[[], Awaitable[None]]) -> None:
        """Have everybody work, and after `seconds` call `then`; return when all have met with the end of it."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_until_broken(work, person)) for work, person in self._work()]
            await asyncio.sleep(seconds)
            await then()
            for task in tasks:
                task.cancel()

    def _work(self) -> list[tuple[Callable[[Person], Awaitable[None]], Person]]:
        return [
            *((self._ask, self.people[name]) for name in ASKERS),
            *((decide_all, self.people[name]) for name in DECIDERS),
            *((self._write, self.people[name]) for name in OWNERS),
        ]

    async def _ask(self, person: Person) -> None:
        """Ask, and note the run as soon as the product has named it."""
        message, use_knowledge = _message(person)
        body = {"agent": "support", "message": message, "use_knowledge": use_knowledge}
        if person.conversation and person.random.random() < 0.5:
            body["conversation"] = person.conversation
        headers = {"Authorization": f"Bearer {person.client.token}", "Content-Type": "application/json"}
        if person.random.random() < 0.8:
            headers["Accept"] = "text/event-stream"
        async with self.session.post(
            f"{person.client.url}/v1/runs", data=orjson.dumps(body), headers=headers
        ) as answer:
            if run := answer.headers.get("Mandate-Run"):
                self.runs[run] = person.company.tenant, person
            assert answer.status in (200, 202, 409), await answer.text()  # 409: the conversation is busy
            person.conversation = _conversation(await answer.read()) or person.conversation

    async def _write(self, person: Person) -> None:
        sections = [f"## {number}\n\nThe {new_id('x')} is bent." for number in range(20)]
        body = {"collection": "inbox", "title": f"Notes {new_id('x')}", "text": "\n\n".join(sections)}
        answer = await person.client.ask("POST", "/v1/documents", body)
        assert answer.status == 201, answer.body
        self.documents.append((person.company.tenant, str(answer.body["document"])))
        await asyncio.sleep(0.3)


async def decide_all(person: Person) -> None:
    """Approve most of what waits, deny the rest."""
    for line in await pending(person):
        verdict = "approved" if person.random.random() < 0.7 else "denied"
        body = {"verdict": verdict, "reason": "Looked at it."}
        answer = await person.client.ask("POST", f"/v1/approvals/{line}/decision", body)
        assert answer.status in (200, 409), answer.body  # 409: it was decided just before
    await asyncio.sleep(0.2)


async def pending(person: Person) -> list[str]:
    page = await person.client.get("/v1/approvals?limit=100")
    items = page["items"]
    assert isinstance(items, list)
    return [str(item["approval"]) for item in items if isinstance(item, dict)]


async def in_state(person: Person, state: str) -> int:
    """Return how many of a company's runs are in a state, as its owner sees it once the list has caught up."""
    while True:
        page = await person.client.get(f"/v1/runs?state={state}&mine=false&limit=100")
        if page["lag"] == 0:
            assert isinstance(page["items"], list)
            return len(page["items"])
        await asyncio.sleep(0.1)


async def _until_broken(work: Callable[[Person], Awaitable[None]], person: Person) -> None:
    """Repeat `work` until the product does not answer any more."""
    with suppress(aiohttp.ClientError, Unavailable):
        while True:
            await work(person)


def _message(person: Person) -> tuple[str, bool]:
    """Return what is asked, and whether the agent shall look into the documents."""
    order = person.random.choice(ORDERS[person.company.about.slug])
    thing = person.random.choice(THINGS)
    return person.random.choice(
        [
            ("Good morning", False),
            (person.random.choice(QUESTIONS), True),
            (f"What is the status of order {order}?", False),
            (f"Open a ticket: the {thing} is bent.", False),
            (f"Open a ticket: the {thing} is lost.", False),
            (f"Please refund 0.01 EUR for order {order} because the {thing} was late.", False),
        ]
    )


def _conversation(raw: bytes) -> str | None:
    """Return the conversation that an answer names, whether it came as JSON or as events."""
    _, _, rest = raw.partition(b'"conversation":"')
    return rest.partition(b'"')[0].decode() or None
