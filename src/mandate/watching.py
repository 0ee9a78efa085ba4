"""`mandate watch`: whether what was just released answers, for as long as it takes to believe it."""

import asyncio
from collections.abc import Sequence
from http import HTTPStatus

import aiohttp

PATH = "/readyz"
CANDIDATE = "/readyz/candidate"


async def watch(addresses: Sequence[str], seconds: float, every: float, misses: int, *, candidate: bool) -> int:
    """Ask each address again and again whether it is ready.

    Args:
        addresses: of stamps, such as `https://mandate.example`.
        seconds: for how long.
        every: so many seconds between two questions; each has as long for its answer.
        misses: so many in a row, at one address, are too many.
        candidate: ask for the candidate revision too, which only some tenants reach.

    Returns:
        0 if they were ready all the time, 1 as soon as one was not.
    """
    timeout = aiohttp.ClientTimeout(total=every)
    bases = [address.rstrip("/") for address in addresses]
    urls = [f"{base}{path}" for base in bases for path in ((PATH, CANDIDATE) if candidate else (PATH,))]
    async with aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as session:
        watching = [asyncio.create_task(_watch(session, one, seconds, every, misses)) for one in urls]
        for done in asyncio.as_completed(watching):
            if bad := await done:
                print(f"{bad} was not ready {misses} times in a row: stop, and go back.")
                return 1
    print(f"Ready for {seconds:.0f} s: {', '.join(urls)}")
    return 0


async def _watch(session: aiohttp.ClientSession, url: str, seconds: float, every: float, misses: int) -> str:
    """Return the URL once it was not ready too often; nothing when the time is over."""
    loop = asyncio.get_running_loop()
    end, missed = loop.time() + seconds, 0
    while loop.time() < end:
        asked = loop.time()
        missed = 0 if await _ready(session, url) else missed + 1
        if missed == misses:
            return url
        await asyncio.sleep(max(0.0, asked + every - loop.time()))
    return ""


async def _ready(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(url) as response:
            return response.status == HTTPStatus.OK
    except (aiohttp.ClientError, TimeoutError):
        return False
