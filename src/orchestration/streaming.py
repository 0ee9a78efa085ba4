"""A run as server-sent events: each event with its number as id, text as it is written without one."""

from collections.abc import AsyncGenerator, AsyncIterator

import orjson

from core import ContentRef
from data import TenantData
from orchestration.live import Delta, Item, Snapshot
from orchestration.presentation import Fetch, present
from web import event_bytes


async def event_stream(items: AsyncIterator[Item], fetch: Fetch) -> AsyncGenerator[bytes]:
    """Turn what happens into the bytes of an event stream.

    Event types are those of the log. Besides, without an id, since they are transport: `delta` with the next piece of
    text, and `snapshot` with all text of the step so far for somebody who joins in the middle.
    """
    async for item in items:
        if isinstance(item, Delta):
            yield event_bytes(event="delta", data=orjson.dumps({"text": item.text}), id=None)
        elif isinstance(item, Snapshot):
            yield event_bytes(event="snapshot", data=orjson.dumps({"text": item.text}), id=None)
        else:
            shown = await present(item, fetch)
            yield event_bytes(event=item.event.body.type, data=orjson.dumps(shown), id=str(item.event.seq))


def fetcher(data: TenantData) -> Fetch:
    """Return a function that reads content, each piece once."""
    known: dict[str, bytes] = {}

    async def fetch(ref: ContentRef) -> bytes:
        if ref.id not in known:
            known[ref.id] = await data.content.get(ref)
        return known[ref.id]

    return fetch
