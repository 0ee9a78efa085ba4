"""The record of a document on its way into the index: made by the run that takes it in, changed by one that follows."""

from collections.abc import Mapping
from datetime import timedelta

import orjson

from core import Clock, Content, ContentClass, DocumentId, derived_id, timestamp
from core.errors import Conflict, NotFound, PreconditionFailed, Unprocessable
from data import RunWriter, TenantData, Versioned, read_run
from orchestration.access import access_of
from orchestration.chunking import chunk_markdown
from orchestration.readers import MARKDOWN
from orchestration.records import CollectionRecord, DocumentRecord
from orchestration.state import Progress, fold


async def collection_named(data: TenantData, name: str) -> CollectionRecord:
    """Return a collection that the principal may use; raises `NotFound`."""
    found = await data.records.get(CollectionRecord, name)
    if found is None or not (await access_of(data)).sees(found.value):
        raise NotFound("There is no such collection. See GET /v1/collections for those that you can use.")
    if found.value.source:
        raise Unprocessable("This collection is in an index of your organisation: add to it there.", code="source.own")
    return found.value


async def collection_of(data: TenantData, document: DocumentRecord) -> CollectionRecord:
    """Return the collection that a document is in; raises `NotFound`."""
    found = await data.records.get(CollectionRecord, document.collection)
    if found is None:
        raise NotFound("The document's collection is not there any more.")
    return found.value


async def words_of(data: TenantData, record: DocumentRecord) -> tuple[str, str]:
    """Return title and text; raises `NotFound` where they were erased."""
    said: dict[str, str] = orjson.loads(await data.content.get(record.content))
    return said["title"], said["text"]


async def free_document(data: TenantData, document: DocumentId) -> Versioned[DocumentRecord]:
    """Return the record of a document that no run is indexing.

    Raises:
        NotFound: there is none.
        Conflict: one is.
    """
    found = await data.records.get(DocumentRecord, document)
    if found is None or found.value.erasing:
        raise gone()
    if not fold(await read_run(data, found.value.run)).ended:
        raise Conflict("The document is being indexed at this moment. Wait until it is done.", code="document.indexing")
    return found


async def document_of(clock: Clock, writer: RunWriter, progress: Progress) -> DocumentRecord:
    """Return the record of the document that an ingestion is about; made or changed if the run has only begun.

    Raises:
        NotFound: it was erased, or its collection is not there.
        Conflict: another run is indexing it.
    """
    data = writer.data
    assert progress.run.message is not None
    asked: dict[str, str] = orjson.loads(await data.content.get(progress.run.message))
    document = DocumentId(asked.get("again") or derived_id("doc", data.context.tenant, writer.run))
    found = await data.records.get(DocumentRecord, document)
    if found and found.value.run == writer.run and not found.value.erasing:
        return found.value
    if progress.received:
        raise gone()
    try:
        if "again" in asked:
            return await _again(clock, writer, await free_document(data, document))
        return await _new(clock, writer, document, asked, progress)
    except PreconditionFailed:  # somebody was faster: look again
        return await document_of(clock, writer, progress)


async def _new(
    clock: Clock, writer: RunWriter, document: DocumentId, asked: Mapping[str, str], progress: Progress
) -> DocumentRecord:
    data, file = writer.data, progress.run.attachment
    collection = await collection_named(data, asked["collection"])
    owner = data.context.principal.id
    title = Content.new(asked["title"].encode(), kind=ContentClass.TITLE, owner=owner)
    await data.content.put([title])
    assert progress.run.message is not None
    record = DocumentRecord(
        id=document,
        collection=collection.id,
        owner=owner,
        title=title.ref,
        content=progress.run.message,
        passages=len(chunk_markdown(asked["title"], asked["text"])),
        run=writer.run,
        brought_at=writer.events[0].event.at,
        updated_at=timestamp(clock.now()),
        media_type=asked.get("media_type", MARKDOWN),
        size=len(await data.content.get(file)) if file else len(asked["text"].encode()),
        original=file,
        expires_at=_expiry(clock, collection),
    )
    await data.records.put(document, record, etag=None)
    return record


def _expiry(clock: Clock, collection: CollectionRecord) -> str:
    days = collection.retention_days
    return timestamp(clock.now() + timedelta(days=days)) if days else ""


async def _again(clock: Clock, writer: RunWriter, found: Versioned[DocumentRecord]) -> DocumentRecord:
    """Take a document over, to index it anew."""
    data, record = writer.data, found.value
    changes = {
        "passages": len(chunk_markdown(*await words_of(data, record))),
        "run": writer.run,
        "updated_at": timestamp(clock.now()),
        "version": record.version + 1,
    }
    again = record.model_copy(update=changes)
    await data.records.put(record.id, again, etag=found.etag)
    return again


def gone() -> NotFound:
    """Return what to say of a document that is not there any more."""
    return NotFound("The document was erased.", code="document.erased")
