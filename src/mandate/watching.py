"""`mandate watch`: whether what was just released answers, for as long as it takes to believe it."""

import asyncio
from collections.abc import Sequence
from http import HTTPStatus

import aiohttp

PATH = "/readyz"


async def watch(addresses: Sequence[str], seconds: float, every: float, misses: int) -> int:
    """Ask each address again and again whether it is ready.

    Args:
        addresses: of stamps, such as `https://mandate.example`.
        seconds: for how long.
        every: so many seconds between two questions; each has as long for its answer.
        misses: so many in a row, at one address, are too many.

    Returns:
        0 if they were ready all the time, 1 as soon as one was not.
    """
    timeout = aiohttp.ClientTimeout(total=every)
    async with aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as session:
        watching = [asyncio.create_task(_watch(session, one, seconds, every, misses)) for one in addresses]
        for done in asyncio.as_completed(watching):
            if bad := await done:
                print(f"{bad} was not ready {misses} times in a row: stop, and go back.")
                return 1
    print(f"Ready for {seconds:.0f} s: {', '.join(addresses)}")
    return 0


async def _watch(session: aiohttp.ClientSession, address: str, seconds: float, every: float, misses: int) -> str:
    """Return the address once it was not ready too often; nothing when the time is over."""
    loop = asyncio.get_running_loop()
    end, missed = loop.time() + seconds, 0
    while loop.time() < end:
        asked = loop.time()
        missed = 0 if await _ready(session, address) else missed + 1
        if missed == misses:
            return address
        await asyncio.sleep(max(0.0, asked + every - loop.time()))
    return ""


async def _ready(session: aiohttp.ClientSession, address: str) -> bool:
    try:
        async with session.get(f"{address.rstrip('/')}{PATH}") as response:
            return response.status == HTTPStatus.OK
    except (aiohttp.ClientError, TimeoutError):
        return False
