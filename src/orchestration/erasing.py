"""Erasing a document: its passages, its bytes and their keys, its record. What earlier answers show of it: `shown`."""

from core import DocumentId
from core.errors import Conflict, NotFound, PreconditionFailed
from data import TenantData, Versioned
from orchestration.records import DocumentRecord


async def erase_document(data: TenantData, document: DocumentId) -> None:
    """Erase a document for good. Nobody sees it from the first step on; broken off, it can be done again.

    Raises:
        NotFound: there is none.
        Conflict: somebody changes it at the same moment.
    """
    found = await data.records.get(DocumentRecord, document)
    if found is None:
        raise NotFound("There is no such document any more.")
    try:
        etag = await _marked(data, found)
        await data.knowledge.remove(document)
        record = found.value
        await data.content.erase([ref.id for ref in (record.title, record.content, record.original) if ref])
        await data.records.delete(DocumentRecord, document, etag=etag)
    except PreconditionFailed:
        raise Conflict("Somebody else is changing this document. Look at it again.", code="document.changed") from None


async def _marked(data: TenantData, found: Versioned[DocumentRecord]) -> str:
    if found.value.erasing:
        return found.etag
    return await data.records.put(found.key, found.value.model_copy(update={"erasing": True}), etag=found.etag)
