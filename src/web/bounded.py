"""Reading what a peer sends without letting it fill the memory."""

import aiohttp

from core.errors import Unavailable


async def read_bounded(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """Return the whole body.

    Raises:
        Unavailable: it is larger than `limit` bytes (`dependency.response_size`).
    """
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > limit:
            raise Unavailable("A service we need sent too large an answer.", code="dependency.response_size")
    return bytes(body)
