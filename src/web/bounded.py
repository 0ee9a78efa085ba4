"""Reading what a peer sends without letting it fill the memory."""

import aiohttp


async def read_bounded(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """Return the whole body.

    Raises:
        aiohttp.ClientPayloadError: it is larger than `limit` bytes, or breaks off.
    """
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > limit:
            raise aiohttp.ClientPayloadError(f"the body is larger than {limit} bytes")
    return bytes(body)
