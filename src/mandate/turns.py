"""A turn with an agent as a client follows it; a connection that breaks is taken up where it broke."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, aclosing
from http import HTTPStatus

import aiohttp

from core import Json, new_id
from core.errors import Unavailable
from mandate.api import Conversation, Opened, Run
from mandate.client import ApiError, Client
from web import ServerEvent

PATIENCE_SECONDS = 60.0
"""How long nothing may come of a product that is away; enough for one that is started anew."""

PAUSE_SECONDS = 0.5

_Stream = AbstractAsyncContextManager[AsyncIterator[ServerEvent]]


async def ask(client: Client, question: Json) -> AsyncGenerator[ServerEvent]:
    """Ask an agent, and yield what happens until the run ends or waits for a person.

    Raises:
        ApiError: the API refuses.
        Unavailable: the product stays away.
    """
    key, conversation = new_id("key"), ""

    async def resume(after: str) -> _Stream:
        if not conversation:
            return client.stream("POST", "/v1/runs", question, Idempotency_Key=key)
        return _following(client, await last_run(client, conversation), after)

    async with aclosing(_unbroken(resume, "0")) as events:
        async for event in events:
            if event.event == "run_opened":
                conversation = Opened.model_validate_json(event.data).conversation or ""
            yield event
            if event.event in ("run_ended", "run_parked"):
                return


async def follow(client: Client, run: str, after: str = "0") -> AsyncGenerator[ServerEvent]:
    """Yield what happens in a run behind event number `after`, until it ends. A parked run is followed on.

    Raises:
        ApiError: the API refuses.
        Unavailable: the product stays away.
    """

    async def resume(after: str) -> _Stream:
        return _following(client, run, after)

    async with aclosing(_unbroken(resume, after)) as events:
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


async def _unbroken(resume: Callable[[str], Awaitable[_Stream]], after: str) -> AsyncGenerator[ServerEvent]:
    """Yield events without an end; where the connection breaks, go on behind the last that came."""
    loop = asyncio.get_running_loop()
    heard, met = loop.time(), False
    while loop.time() - heard < PATIENCE_SECONDS:
        try:
            async with await resume(after) as events:
                async for event in events:
                    heard, met, after = loop.time(), True, event.id or after
                    yield event
        except ApiError as error:
            if not met or error.answer.status < HTTPStatus.INTERNAL_SERVER_ERROR:
                raise
        except (aiohttp.ClientError, TimeoutError):
            pass
        await asyncio.sleep(PAUSE_SECONDS)
    raise Unavailable("The connection breaks again and again. Look whether the product is up.", code="dependency.api")


def _following(client: Client, run: str, after: str) -> _Stream:
    return client.stream("GET", f"/v1/runs/{run}/events", Last_Event_ID=after)
