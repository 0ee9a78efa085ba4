"""Knowledge: a logical partition for each collection of a tenant, asked once by vector and once by words.

The two lists are fused here and not by the service: its own fusion counts how rare words are over the container, unless
each query is within one logical partition, and then each collection is ranked for itself.
"""

import asyncio
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import LiteralString, cast

from core import ContentClass, ContentId, DocumentId, Permit, TenantContext
from core.errors import Defect
from data.cosmos.governed import Decided, Rules
from data.cosmos.items import Document, Items, Value, text
from data.cosmos.keys import encoded
from data.cosmos.passages import IN_TIME, READABLE, document_of, numbers_of, passage_of, readable_by, similarity
from data.knowledge import Hit, Passage, Query, Reader, Term
from data.ranking import DEPTH, fuse, spend_to_index, spend_to_search, words_of

CHUNK = 50
"""Passages in one batch: half a megabyte, with vectors of 384 numbers."""

AT_ONCE = 16

_IN = f"c.tenant = @tenant AND c.collection = @collection AND {READABLE} AND {IN_TIME}"
_BY_VECTOR = (
    f"SELECT TOP @depth c.tenant, c.id, VectorDistance(c.vector, @vector) AS near FROM c WHERE {_IN}"
    " AND c.compared = true ORDER BY VectorDistance(c.vector, @vector)"
)
# mandate: allow[tenant-statement] - whoever fills in `where` names the tenant first
_HOLDS = "SELECT TOP @depth c.tenant, c.id FROM c WHERE {where} AND FullTextContainsAny(c.said, {words})"
# mandate: allow[tenant-statement] - the same
_BY_WORDS = f"{_HOLDS} ORDER BY RANK FullTextScore(c.said, {{words}})"

Found = tuple[str, str]
"""Collection and document id of a passage."""


class CosmosKnowledge:
    """Finds and keeps the passages of one tenant.

    Args:
        dimensions: of the vectors that the container compares.
    """

    def __init__(self, items: Items, context: TenantContext, dimensions: int, decided: Decided) -> None:
        self._items = items
        self._decided = decided
        self._tenant = context.tenant
        self._dimensions = dimensions

    async def index(self, permit: Permit, passages: Sequence[Passage]) -> None:
        collection = spend_to_index(permit, self._tenant, passages)
        for start in range(0, len(passages), CHUNK):
            chunk = [document_of(self._tenant, one, self._dimensions) for one in passages[start : start + CHUNK]]
            (await self._decided.rules(self._tenant)).refuse()
            await self._items.upsert_all((self._tenant, collection), chunk)
            await self._forget_elsewhere(collection, [text(document, "id") for document in chunk])

    async def search(self, permit: Permit, query: Query, *, vector: bytes, reader: Reader) -> Sequence[Hit]:
        spend_to_search(permit, self._tenant, query)
        depth, words, rules = max(DEPTH, query.limit), words_of(query.text), await self._decided.rules(self._tenant)
        trimmed = {**readable_by(reader), **self._in_time(rules)}
        collections = list(dict.fromkeys(query.collections))
        by_vector, by_words = await asyncio.gather(
            asyncio.gather(*(self._by_vector(one, vector, trimmed, depth) for one in collections)),
            asyncio.gather(*(self._by_words(one, words, trimmed, depth) for one in collections)),
        )
        nearest = sorted((item for found in by_vector for item in found), key=lambda item: (-item[0], item[1]))
        # Scores of words are those of one collection and cannot be compared: each collection's best comes first.
        worded = [found for rank in zip_longest(*by_words) for found in rank if found]
        fused = fuse([found for _, found in nearest[:depth]], worded[:depth])[: query.limit]
        passages = await asyncio.gather(*(self._passage(found, reader, rules) for found, *_ in fused))
        matched = await self._matched(words, [found for found, *_ in fused]) if query.explain else {}
        return [
            Hit(
                passage,
                score,
                rank_vector,
                rank_text,
                similarity=similarity(vector, passage.vector),
                matched=tuple(word for word in words if found in matched.get(word, ())) if rank_text else (),
            )
            for passage, (found, score, rank_vector, rank_text) in zip(passages, fused, strict=True)
            if passage
        ]

    async def get(self, passage: str, reader: Reader) -> Passage | None:
        sql = f"SELECT * FROM c WHERE c.tenant = @tenant AND c.id = @id AND {READABLE}"
        found = await self._items.query(self._tenant, sql, id=encoded(passage), **readable_by(reader))
        rules = await self._decided.rules(self._tenant)
        return next((one for one in map(passage_of, found) if not self._is_over(one.term, rules)), None)

    async def of(self, document: DocumentId) -> Sequence[Passage]:
        sql = "SELECT * FROM c WHERE c.tenant = @tenant AND c.document = @document"
        found = map(passage_of, await self._items.query(self._tenant, sql, document=document))
        rules = await self._decided.rules(self._tenant)
        there = [passage for passage in found if not self._is_over(passage.term, rules)]
        return sorted(there, key=lambda passage: passage.ordinal)

    async def over(self, terms: Sequence[Term]) -> Sequence[ContentId]:
        rules = await self._decided.rules(self._tenant)
        return [term.content for term in terms if self._is_over(term, rules)]

    async def remove(self, document: DocumentId, *, keep: int = 0) -> int:
        sql = (
            "SELECT c.tenant, c.id, c.collection FROM c WHERE c.tenant = @tenant AND c.document = @document"
            " AND c.ordinal >= @keep"
        )
        return await self._delete(await self._items.query(self._tenant, sql, document=document, keep=keep))

    def _in_time(self, rules: Rules) -> dict[str, Value]:
        """Return the parameters of `IN_TIME`; where something is held, it leaves all to `_is_over`."""
        return {"now": "", "oldest": ""} if rules.held else dict(zip(("now", "oldest"), self._now(rules), strict=True))

    def _now(self, rules: Rules) -> tuple[str, str]:
        """Return the time, and that before which texts of documents have expired."""
        return self._decided.now(), self._decided.expiry(rules, ContentClass.DOCUMENT)

    def _is_over(self, term: Term, rules: Rules) -> bool:
        return term.is_over(*self._now(rules)) and not rules.holds(term.owner, term.content)

    async def _by_vector(
        self, collection: str, vector: bytes, trimmed: Mapping[str, Value], depth: int
    ) -> list[tuple[float, Found]]:
        if len(vector) != 4 * self._dimensions:
            return []
        found = await self._items.query(
            (self._tenant, collection),
            _BY_VECTOR,
            collection=collection,
            vector=numbers_of(vector),
            depth=depth,
            **trimmed,
        )
        return [(_near(document), (collection, text(document, "id"))) for document in found]

    async def _by_words(
        self, collection: str, words: Sequence[str], trimmed: Mapping[str, Value], depth: int
    ) -> list[Found]:
        if not words:
            return []
        names = {f"word{place}": word for place, word in enumerate(words)}
        marks = cast("LiteralString", ", ".join(f"@{name}" for name in names))  # numbered by us
        sql = _BY_WORDS.format(where=_IN, words=marks)
        found = await self._items.query(
            (self._tenant, collection), sql, collection=collection, depth=depth, **names, **trimmed
        )
        return [(collection, text(document, "id")) for document in found]

    async def _passage(self, found: Found, reader: Reader, rules: Rules) -> Passage | None:
        """Return a passage that was found, unless it was removed or closed to the reader since, or its time is up."""
        collection, id_ = found
        document = await self._items.read((self._tenant, collection), id_)
        passage = passage_of(document) if document else None
        if passage is None or self._is_over(passage.term, rules):
            return None
        return passage if reader.may_read(passage.collection, passage.owner) else None

    async def _matched(self, words: Sequence[str], found: Sequence[Found]) -> dict[str, set[Found]]:
        """Return which of the passages each word is in, in any of its forms."""
        sql = _HOLDS.format(
            where="c.tenant = @tenant AND c.collection = @collection AND ARRAY_CONTAINS(@ids, c.id)", words="@word"
        )
        ids: dict[str, list[str]] = {}
        for collection, id_ in found:
            ids.setdefault(collection, []).append(id_)

        async def holding(word: str, collection: str) -> set[Found]:
            its = ids[collection]
            documents = await self._items.query(
                (self._tenant, collection), sql, collection=collection, ids=its, word=word, depth=len(its)
            )
            return {(collection, text(document, "id")) for document in documents}

        matched: dict[str, set[Found]] = {}
        for word in words:
            matched[word] = set().union(*await asyncio.gather(*(holding(word, collection) for collection in ids)))
        return matched

    async def _forget_elsewhere(self, collection: str, ids: Sequence[str]) -> None:
        """Delete what was indexed under the same ids in another collection: a passage is in one at a time."""
        sql = (
            "SELECT c.tenant, c.id, c.collection FROM c WHERE c.tenant = @tenant AND ARRAY_CONTAINS(@ids, c.id)"
            " AND c.collection != @collection"
        )
        await self._delete(await self._items.query(self._tenant, sql, ids=list(ids), collection=collection))

    async def _delete(self, documents: Sequence[Document]) -> int:
        deleted = 0
        for start in range(0, len(documents), AT_ONCE):
            deleted += sum(
                await asyncio.gather(
                    *(
                        self._items.delete((self._tenant, text(one, "collection")), text(one, "id"))
                        for one in documents[start : start + AT_ONCE]
                    )
                )
            )
        return deleted


def _near(document: Document) -> float:
    value = document.get("near")
    if not isinstance(value, int | float):
        raise Defect("The store gave a distance that is no number.", code="defect.store")
    return float(value)
