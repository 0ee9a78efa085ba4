"""Reading what a peer sends without letting it fill the memory."""

from collections.abc import AsyncIterator

import aiohttp


async def read_bounded(pieces: AsyncIterator[bytes], limit: int) -> bytes:
    """Return the whole body that comes in `pieces`.

    Raises:
        aiohttp.ClientPayloadError: it is larger than `limit` bytes, or breaks off.
    """
    body = bytearray()
    async for piece in pieces:
        body += piece
        if len(body) > limit:
            raise aiohttp.ClientPayloadError(f"the body is larger than {limit} bytes")
    return bytes(body)
