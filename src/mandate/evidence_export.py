"""`mandate evidence export`: an organisation's events as lines of JSON, as a SIEM takes them in."""

import sys
from urllib.parse import urlencode

import aiohttp
import orjson

from core import Json
from mandate.client import Client
from mandate.people import sign_in

PAGE = 500


async def export(url: str, user: str, after: str, *, ocsf: bool) -> int:
    """Print what `GET /v1/evidence/events` has behind a cursor, and the next cursor on stderr.

    Raises:
        NotFound: there is no such user.
        ApiError: they may not read it, or the cursor is none.
    """
    async with aiohttp.ClientSession() as session:
        client = await sign_in(session, url, user)
        more = True
        while more:
            page = await _page(client, after, ocsf=ocsf)
            items, after, more = page["items"], str(page["cursor"]), bool(page["more"])
            assert isinstance(items, list)
            for item in items:
                sys.stdout.buffer.write(orjson.dumps(item, option=orjson.OPT_APPEND_NEWLINE))
            sys.stdout.flush()
    print(f"Go on with --after {after}", file=sys.stderr)
    return 0


async def _page(client: Client, after: str, *, ocsf: bool) -> dict[str, Json]:
    query = {"format": "ocsf" if ocsf else "json", "limit": str(PAGE), **({"cursor": after} if after else {})}
    return await client.get(f"/v1/evidence/events?{urlencode(query)}")
