"""Keeping a connection usable after a streamed answer."""

import asyncio
from contextlib import suppress

import aiohttp

_SECONDS = 1.0


async def read_to_end(response: aiohttp.ClientResponse) -> None:
    """Read what follows the last event, for a moment at most.

    A stream says that it is finished before its body ends. Closed in between, its connection would be lost, and the
    next call would pay for a TLS handshake.
    """
    with suppress(TimeoutError, aiohttp.ClientError):
        async with asyncio.timeout(_SECONDS):
            async for _ in response.content.iter_any():
                pass
