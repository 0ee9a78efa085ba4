"""A stamp at a customer's tells the publisher that it is alive and of which version: outwards, and only if asked to.

Nothing else is told: no number of users or runs, no name, no content. The token of the stamp's own identity says which
it is. Nobody waits for the answer, and what the publisher answers changes nothing here.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from http import HTTPStatus

import aiohttp
import orjson

from core.errors import MandateError
from mandate.host import Host
from mandate.version import VERSION
from web import ServiceTokens

EVERY = timedelta(minutes=15)
_SECONDS = 10.0
_log = logging.getLogger(__name__)


@asynccontextmanager
async def telling_of_itself(host: Host, tokens: ServiceTokens) -> AsyncGenerator[None]:
    """Tell for as long as the context lasts, if an address is set."""
    telling = asyncio.create_task(_tell(host, tokens)) if host.settings.heartbeat_url else None
    yield
    if telling:
        telling.cancel()


async def _tell(host: Host, tokens: ServiceTokens) -> None:
    while True:
        await beat(host.session, host.settings.heartbeat_url, host.settings.heartbeat_audience, tokens)
        await asyncio.sleep(EVERY.total_seconds())


async def beat(session: aiohttp.ClientSession, url: str, audience: str, tokens: ServiceTokens) -> None:
    """Tell once; what goes wrong is said in the log, and the next time mends it."""
    with suppress(aiohttp.ClientError, TimeoutError, MandateError):
        headers = {
            "Authorization": f"Bearer {await tokens.token(f'{audience}/.default')}",
            "Content-Type": "application/json",
        }
        body, address = orjson.dumps({"version": VERSION}), f"{url.rstrip('/')}/v1/stamps/heartbeat"
        async with (
            asyncio.timeout(_SECONDS),
            session.post(address, data=body, headers=headers, allow_redirects=False) as answer,
        ):
            if answer.status == HTTPStatus.NO_CONTENT:
                return
    _log.warning("heartbeat.unheard")
