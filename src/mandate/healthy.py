"""`mandate healthy`: how a container says that it is well, where no platform asks its probes itself."""

import asyncio
import sys
from http import HTTPStatus

import aiohttp

from mandate.services import Services
from mandate.settings import Settings

SECONDS = 3.0


async def healthy() -> int:
    """Ask each declared service that listens on this machine whether it lives; return 0 if there is one, and all do."""
    declared = Services.load(Settings().root / "environments").services
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=SECONDS)) as session:
        urls = [f"http://127.0.0.1:{service.port}{service.probes.live}" for service in declared.values()]
        answers = await asyncio.gather(*(_answer(session, url) for url in urls))
    here = {name: well for name, well in zip(declared, answers, strict=True) if well is not None}
    for name, well in here.items():
        print(f"{name}: {'lives' if well else 'does not answer as it should'}")
    if not here:
        print("No service listens here.", file=sys.stderr)
    return 0 if here and all(here.values()) else 1


async def _answer(session: aiohttp.ClientSession, url: str) -> bool | None:
    """Return whether a service is well; None if nothing listens there."""
    try:
        async with session.get(url) as response:
            return response.status == HTTPStatus.OK
    except aiohttp.ClientConnectorError:
        return None
    except (aiohttp.ClientError, TimeoutError):
        return False
