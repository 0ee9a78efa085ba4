"""A turn with an agent as a client follows it; a connection that breaks is taken up where it broke."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager, aclosing, suppress

import aiohttp

from core import Json, new_id
from core.errors import Unavailable
from mandate.api import Conversation, Opened, Run
from mandate.client import Client
from web import ServerEvent

ATTEMPTS = 20
PAUSE_SECONDS = 0.5
"""Between two attempts to take a stream up again; long enough in all for a product that is started anew."""

_STOPS = ("run_ended", "run_parked")


async def ask(client: Client, question: Json) -> AsyncGenerator[ServerEvent]:
    """Ask an agent, and yield what happens until the run ends or waits for a person.

    A connection that drops is taken up where it broke: before the first event by the same request under the same
    idempotency key, afterwards by the run's events behind the last that came.

    Raises:
        ApiError: the API refuses.
        Unavailable: the product stays away.
    """
    key, conversation, last = new_id("key"), "", "0"
    for _ in range(ATTEMPTS):
        with suppress(aiohttp.ClientError, TimeoutError):
            if conversation:
                opened = _following(client, await last_run(client, conversation), last)
            else:
                opened = client.stream("POST", "/v1/runs", question, Idempotency_Key=key)
            async with opened as events:
                async for event in events:
                    last = event.id or last
                    if event.event == "run_opened":
                        conversation = Opened.model_validate_json(event.data).conversation or ""
                    yield event
                    if event.event in _STOPS:
                        return
        await asyncio.sleep(PAUSE_SECONDS)
    raise Unavailable("The connection breaks again and again. Look whether the product is up.", code="dependency.api")


async def follow(client: Client, run: str, after: str = "0") -> AsyncGenerator[ServerEvent]:
    """Yield what happens in a run behind event number `after`, until it ends. A parked run is followed on."""
    async with _following(client, run, after) as events:
        async for event in events:
            yield event
            if event.event == "run_ended":
                return


async def ended(client: Client, run: str, seconds: float) -> Run:
    """Return the run once it has ended.

    Raises:
        TimeoutError: it has not within `seconds`.
    """
    async with asyncio.timeout(seconds), aclosing(follow(client, run)) as events:
        async for _ in events:
            pass
    return Run.model_validate(await client.get(f"/v1/runs/{run}"))


async def last_run(client: Client, conversation: str) -> str:
    """Return the id of a conversation's latest run."""
    found = await client.get(f"/v1/conversations/{conversation}?limit=1")
    return Conversation.model_validate(found).runs[-1].run


def _following(client: Client, run: str, after: str) -> AbstractAsyncContextManager[AsyncIterator[ServerEvent]]:
    return client.stream("GET", f"/v1/runs/{run}/events", Last_Event_ID=after)
