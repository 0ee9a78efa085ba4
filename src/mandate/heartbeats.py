"""A stamp at a customer's tells the publisher that it is alive and of which version: outwards, and only if asked to.

Nothing else is told: no number of users or runs, no name, no content. The token of the stamp's own identity says which
it is. Where the customer lets the publisher's control plane say what may be done here (hybrid), it is asked for that
instead, each minute, and obeyed; otherwise nobody waits for the answer, and it changes nothing.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from http import HTTPStatus

import aiohttp
import orjson
from pydantic import ValidationError

from control import Follower, Orders
from core.errors import MandateError, Unavailable
from mandate.host import Host
from mandate.version import VERSION
from web import ServiceTokens, read_bounded

EVERY = timedelta(minutes=15)
ASKED_EVERY = timedelta(minutes=1)
_SECONDS = 10.0
_MOST_BYTES = 256_000
_log = logging.getLogger(__name__)


@asynccontextmanager
async def telling_of_itself(host: Host, tokens: ServiceTokens) -> AsyncGenerator[None]:
    """Tell, or ask, for as long as the context lasts, if an address is set."""
    telling = asyncio.create_task(_tell(host, tokens)) if host.settings.heartbeat_url else None
    yield
    if telling:
        telling.cancel()


async def _tell(host: Host, tokens: ServiceTokens) -> None:
    publisher = Publisher(host.session, host.settings.heartbeat_url, host.settings.heartbeat_audience, tokens)
    follower = Follower(host.store, host.clock, host.directory, host.entitlements, host.switches, host.access)
    controlled = host.settings.publisher_controls
    while True:
        try:
            await (publisher.lead(follower) if controlled else publisher.beat())
        except MandateError as error:  # of our own store: the next time mends it
            _log.warning("heartbeat.unkept", extra={"code": error.code})
        await asyncio.sleep((ASKED_EVERY if controlled else EVERY).total_seconds())


class Publisher:
    """The publisher's API, as a stamp reaches it."""

    def __init__(self, session: aiohttp.ClientSession, url: str, audience: str, tokens: ServiceTokens) -> None:
        self._session = session
        self._url = f"{url.rstrip('/')}/v1/stamps"
        self._scope = f"{audience}/.default"
        self._tokens = tokens

    async def beat(self) -> None:
        """Tell once; what goes wrong is said in the log, and the next time mends it."""
        try:
            await self._post("heartbeat", HTTPStatus.NO_CONTENT)
        except (aiohttp.ClientError, TimeoutError, MandateError):
            _log.warning("heartbeat.unheard")

    async def lead(self, follower: Follower) -> None:
        """Ask what may be done here, and have it so; an answer that cannot be read is none.

        Raises:
            MandateError: our own store does not take it.
        """
        try:
            orders = Orders.model_validate_json(await self._post("orders", HTTPStatus.OK))
        except (aiohttp.ClientError, TimeoutError, MandateError, ValidationError):
            _log.warning("orders.unheard")
            await follower.unheard()
        else:
            await follower.obey(orders)

    async def _post(self, what: str, wanted: HTTPStatus) -> bytes:
        headers = {
            "Authorization": f"Bearer {await self._tokens.token(self._scope)}",
            "Content-Type": "application/json",
        }
        body, address = orjson.dumps({"version": VERSION}), f"{self._url}/{what}"
        async with (
            asyncio.timeout(_SECONDS),
            self._session.post(address, data=body, headers=headers, allow_redirects=False) as answer,
        ):
            if answer.status != wanted:
                raise Unavailable("The publisher does not answer as expected.", code="dependency.publisher")
            return await read_bounded(answer.content.iter_any(), _MOST_BYTES)
