"""Who may read what of a tenant's knowledge: the one place that decides, from the records as they are at that moment.

A collection's record says who may read what is in it, and how it is labelled. Nothing is copied into documents,
passages or answers, so that a change holds at the next search, at the next look at a passage, and for what earlier
answers and running runs were shown. Of a person those groups count that the latest of their tokens named.
"""

import asyncio
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from control import groups_now
from core import Confidentiality, DocumentId
from data import Reader, TenantData
from orchestration.records import CollectionRecord, DocumentRecord


@dataclass(frozen=True, slots=True)
class Access:
    """What the principal of `data` may read, in the groups that they are in now: for one request or step, no longer."""

    data: TenantData
    groups: frozenset[str]
    _known: dict[str, CollectionRecord] = field(default_factory=dict[str, CollectionRecord])

    def reads(self, collection: CollectionRecord) -> bool:
        """Return whether they may read all that is in the collection; one without readers is for all members."""
        return not collection.readers or not self.groups.isdisjoint(collection.readers)

    def sourced(self, collection: CollectionRecord, readers: Collection[str]) -> bool:
        """Return whether they may read a passage of a customer's own source, which named `readers` for it."""
        return self.reads(collection) and (not readers or not self.groups.isdisjoint(readers))

    def sees(self, collection: CollectionRecord) -> bool:
        """Return whether they may know of the collection and use it; whose it is does not read what others bring."""
        return self.reads(collection) or collection.owner == self.data.context.principal.id

    async def collections(self, names: Iterable[str]) -> dict[str, CollectionRecord]:
        """Return those that there are, whoever may read them."""
        asked = dict.fromkeys(names)
        new = [name for name in asked if name not in self._known]
        found = await asyncio.gather(*(self.data.records.get(CollectionRecord, name) for name in new))
        self._known.update({one.key: one.value for one in found if one})
        return {name: self._known[name] for name in asked if name in self._known}

    async def there(self, documents: Iterable[DocumentRecord]) -> list[DocumentRecord]:
        """Return those documents that are still there for anybody: not being erased, and their time is not up."""
        kept = [document for document in documents if not document.erasing]
        over = await self.data.knowledge.over([document.term for document in kept])
        return [document for document in kept if document.content.id not in over]

    async def readable(self, documents: Iterable[DocumentRecord]) -> list[DocumentRecord]:
        """Return those documents that they may read: of collections that they may, and their own."""
        there = await self.there(documents)
        known = await self.collections(document.collection for document in there)
        return [document for document in there if self._reads(document, known.get(document.collection))]

    async def document(self, document: DocumentId) -> DocumentRecord | None:
        """Return the document if it is there and they may read it."""
        found = await self.data.records.get(DocumentRecord, document)
        readable = await self.readable([found.value] if found else [])
        return readable[0] if readable else None

    def reader(
        self, collections: Iterable[CollectionRecord], ceiling: Confidentiality = Confidentiality.RESTRICTED
    ) -> Reader:
        """Return how a search in `collections` is trimmed for them; an agent reads nothing above its ceiling."""
        low = [one for one in collections if one.confidentiality.rank <= ceiling.rank]
        whole = frozenset(one.id for one in low if self.reads(one))
        own = frozenset(one.id for one in low) - whole
        return Reader(self.data.context.principal.id, whole, own)

    def _reads(self, document: DocumentRecord, collection: CollectionRecord | None) -> bool:
        return collection is not None and (document.owner == self.data.context.principal.id or self.reads(collection))


async def access_of(data: TenantData) -> Access:
    """Return what the principal of `data` may read now."""
    return Access(data, await groups_now(data))
