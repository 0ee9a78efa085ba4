"""The documents behind the pages of Knowledge: which there are for somebody, collection by collection."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core import Role, TenantContext
from data import Versioned
from interaction.authority import oversees
from interaction.dependencies import InteractionDependencies
from interaction.parameters import no_such
from interaction.people import NameOf, names_in
from interaction.routes.collections import CollectionView, view_collection
from orchestration import Access, CollectionRecord, DocumentRecord, access_of

MOST_COLLECTIONS = 100
MOST_DOCUMENTS = 5000
_PAGE = 1000


def powers(me: TenantContext) -> Mapping[str, bool]:
    """Return what the templates ask about somebody: to bring and to search, to decide about collections, to oversee."""
    return {
        "makes": me.has(Role.USER, Role.APPROVER, Role.ADMIN, Role.OWNER),
        "administers": me.has(Role.ADMIN, Role.OWNER),
        "oversees": oversees(me),
    }


@dataclass(frozen=True, slots=True)
class Shelf:
    """A collection as somebody sees it.

    Attributes:
        owner: the name behind it; None if nobody knows it any more.
        documents: those that they may read, the newest first.
        readable: whether they may read the collection, rather than only oversee it.
        complete: False where the organisation has so many documents that not all were looked at.
    """

    collection: CollectionView
    owner: str | None
    documents: Sequence[DocumentRecord]
    readable: bool
    complete: bool


async def shelves_of(me: TenantContext, deps: InteractionDependencies) -> Sequence[Shelf]:
    """Return the collections that somebody may read or oversees."""
    data = deps.store.tenant(me)
    page = await data.records.list(CollectionRecord, limit=MOST_COLLECTIONS)
    access, names = await access_of(data), names_in(data)
    seen = [found for found in page.items if oversees(me) or access.sees(found.value)]
    documents, complete = await _documents(access)
    return [await _shelf(found, access, names, documents, complete=complete) for found in seen]


async def shelf_of(me: TenantContext, deps: InteractionDependencies, collection: str) -> Shelf:
    """Return one of them; raises `NotFound`."""
    data = deps.store.tenant(me)
    found = await data.records.get(CollectionRecord, collection)
    access = await access_of(data)
    if found is None or not (oversees(me) or access.sees(found.value)):
        raise no_such("collection")
    documents, complete = await _documents(access)
    return await _shelf(found, access, names_in(data), documents, complete=complete)


async def _shelf(
    found: Versioned[CollectionRecord],
    access: Access,
    names: NameOf,
    documents: Mapping[str, Sequence[DocumentRecord]],
    *,
    complete: bool,
) -> Shelf:
    record = found.value
    return Shelf(
        collection=view_collection(record, found.etag),
        owner=await names(record.owner),
        documents=documents.get(record.id, ()),
        readable=access.sees(record),
        complete=complete,
    )


async def _documents(access: Access) -> tuple[Mapping[str, Sequence[DocumentRecord]], bool]:
    """Return all documents that somebody may read by collection, the newest first, and whether these are all.

    Their ids do not sort by age, so that whoever wants the newest has to look at all.
    """
    found: list[DocumentRecord] = []
    cursor: str | None = None
    for _ in range(MOST_DOCUMENTS // _PAGE):
        page = await access.data.records.list(DocumentRecord, cursor=cursor, limit=_PAGE)
        found += await access.readable(item.value for item in page.items)
        cursor = page.cursor
        if cursor is None:
            break
    by_collection: dict[str, list[DocumentRecord]] = {}
    for record in sorted(found, key=lambda record: record.updated_at, reverse=True):
        by_collection.setdefault(record.collection, []).append(record)
    return by_collection, cursor is None
