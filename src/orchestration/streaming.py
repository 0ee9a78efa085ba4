"""A run as server-sent events: each event with its number as id, text as it is written without one."""

from collections.abc import Sequence

import orjson

from core import ContentClass, ContentRef
from data import TenantData
from orchestration.live import Delta, Item, Snapshot
from orchestration.presentation import Fetch, present
from orchestration.shown import shown_again, stored_form
from web import event_bytes


async def stream_bytes(items: Sequence[Item], fetch: Fetch) -> bytes:
    """Return what happened as the bytes of an event stream.

    Event types are those of the log. Besides, without an id, since they are transport: `delta` with the next piece of
    text, and `snapshot` with all text of the step so far for somebody who joins in the middle.
    """
    return b"".join([await _bytes(item, fetch) for item in items])


async def _bytes(item: Item, fetch: Fetch) -> bytes:
    if isinstance(item, Delta):
        return event_bytes(event="delta", data=orjson.dumps({"text": item.text}), id=None)
    if isinstance(item, Snapshot):
        return event_bytes(event="snapshot", data=orjson.dumps({"text": item.text}), id=None)
    shown = await present(item, fetch)
    return event_bytes(event=item.event.body.type, data=orjson.dumps(shown), id=str(item.event.seq))


def fetcher(data: TenantData, known: dict[str, bytes] | None = None) -> Fetch:
    """Return a function that reads content, each piece once; what is `known` already it does not read at all.

    Of passages it returns, each time, what the principal of `data` may be shown of them now.
    """
    known = {} if known is None else known

    async def fetch(ref: ContentRef) -> bytes:
        if ref.id not in known:
            known[ref.id] = await data.content.get(ref)
        if ref.kind is ContentClass.PASSAGES:
            return stored_form((await shown_again(data, known[ref.id])).passages)
        return known[ref.id]

    return fetch
