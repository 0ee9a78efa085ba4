"""Knowledge: passages, found by vector and by full text, trimmed to what the reader may read before they are ranked."""

from collections.abc import Mapping, Sequence
from itertools import islice

from core import Clock, ContentClass, ContentId, DocumentId, Permit, TenantContext, timestamp
from data.knowledge import Hit, Passage, Query, Reader, Term
from data.ranking import DEPTH, fuse, spend_to_index, spend_to_search
from data.sqlite.connections import Connection
from data.sqlite.database import Database
from data.sqlite.governed import expiry, is_kept, refuse_barred
from data.sqlite.passages import (
    bump_version,
    expired_passages,
    find_passage,
    matched_words,
    matching,
    numbered_passage,
    passages_of,
    remove_passages,
    write_passage,
)
from data.sqlite.ranking import Indexes

CHUNK = 50
"""Passages written in one go, so that a large document does not keep other writers waiting."""


class SqliteKnowledge:
    def __init__(
        self,
        database: Database,
        context: TenantContext,
        indexes: Indexes,
        clock: Clock,
        retention: Mapping[ContentClass, int],
    ) -> None:
        self._database = database
        self._tenant = context.tenant
        self._indexes = indexes
        self._clock = clock
        self._retention = retention

    async def index(self, permit: Permit, passages: Sequence[Passage]) -> None:
        spend_to_index(permit, self._tenant, passages)

        def write(connection: Connection, chunk: Sequence[Passage]) -> None:
            refuse_barred(connection, self._tenant)
            for passage in chunk:
                write_passage(connection, self._tenant, passage)
            bump_version(connection, self._tenant)

        for start in range(0, len(passages), CHUNK):
            chunk = passages[start : start + CHUNK]
            await self._database.write(lambda connection, chunk=chunk: write(connection, chunk))

    async def search(self, permit: Permit, query: Query, *, vector: bytes, reader: Reader) -> Sequence[Hit]:
        spend_to_search(permit, self._tenant, query)
        depth = max(DEPTH, query.limit)

        def work(connection: Connection) -> Sequence[Hit]:
            with connection:  # one snapshot: what is ranked is what is returned
                index = self._indexes.current(connection, self._tenant, len(vector) // 4)
                readable = index.allowed(reader, frozenset(query.collections))
                allowed = index.without(readable, expired_passages(connection, self._tenant, *self._now(connection)))
                found = matching(connection, self._tenant, query.text)
                by_text = list(islice((number for number in found if index.permits(allowed, number)), depth))
                by_vector = index.nearest(vector, allowed, depth)
                return [
                    Hit(
                        numbered_passage(connection, self._tenant, number),
                        score,
                        rank_vector,
                        rank_text,
                        similarity=index.similarity(vector, number),
                        matched=self._matched(connection, query, number) if rank_text else (),
                    )
                    for number, score, rank_vector, rank_text in fuse(by_vector, by_text)[: query.limit]
                ]

        return await self._database.read(work)

    async def get(self, passage: str, reader: Reader) -> Passage | None:
        def work(connection: Connection) -> Passage | None:
            found = find_passage(connection, self._tenant, passage)
            return None if found is None or self._is_over(connection, found.term) else found

        found = await self._database.read(work)
        return found if found and reader.may_read(found.collection, found.owner) else None

    async def of(self, document: DocumentId) -> Sequence[Passage]:
        def work(connection: Connection) -> Sequence[Passage]:
            found = passages_of(connection, self._tenant, document)
            return [passage for passage in found if not self._is_over(connection, passage.term)]

        return await self._database.read(work)

    async def over(self, terms: Sequence[Term]) -> Sequence[ContentId]:
        def work(connection: Connection) -> Sequence[ContentId]:
            return [term.content for term in terms if self._is_over(connection, term)]

        return await self._database.read(work) if terms else []

    async def remove(self, document: DocumentId, *, keep: int = 0) -> int:
        def work(connection: Connection) -> int:
            removed = remove_passages(connection, self._tenant, document, keep)
            if removed:
                bump_version(connection, self._tenant)
            return removed

        return await self._database.write(work)

    def _now(self, connection: Connection) -> tuple[str, str]:
        """Return the time, and that before which texts of documents have expired."""
        oldest = expiry(connection, self._tenant, ContentClass.DOCUMENT, self._retention, self._clock)
        return timestamp(self._clock.now()), oldest

    def _is_over(self, connection: Connection, term: Term) -> bool:
        return term.is_over(*self._now(connection)) and not is_kept(connection, self._tenant, term)

    def _matched(self, connection: Connection, query: Query, number: int) -> tuple[str, ...]:
        return matched_words(connection, self._tenant, query.text, number) if query.explain else ()
