"""A run as server-sent events: each event with its number as id, text as it is written without one."""

from collections.abc import Sequence
from dataclasses import asdict, replace

import orjson

from core import ContentClass, ContentRef, DocumentId
from data import TenantData
from orchestration.live import Delta, Item, Snapshot
from orchestration.presentation import Fetch, present
from orchestration.records import DocumentRecord
from orchestration.retrieval import ERASED, parse_passages
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

    Passages of documents that are about to go are not shown any more, also in a run that found them before.
    """
    known = {} if known is None else known

    async def fetch(ref: ContentRef) -> bytes:
        if ref.id not in known:
            found = await data.content.get(ref)
            known[ref.id] = await _without_erased(data, found) if ref.kind is ContentClass.PASSAGES else found
        return known[ref.id]

    return fetch


async def _without_erased(data: TenantData, passages: bytes) -> bytes:
    """Return passages that somebody was shown, those of documents that are gone without their words."""
    shown = parse_passages(passages)
    gone = {document for document in {passage.document for passage in shown} if await _is_gone(data, document)}
    if not gone:
        return passages
    kept = [replace(p, heading=ERASED, text=ERASED, matched=()) if p.document in gone else p for p in shown]
    return orjson.dumps([asdict(passage) for passage in kept])


async def _is_gone(data: TenantData, document: DocumentId) -> bool:
    found = await data.records.get(DocumentRecord, document)
    return found is None or found.value.erasing
