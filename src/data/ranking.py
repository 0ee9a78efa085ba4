"""What every search shares: who may read a passage, which words are looked for, how two rankings become one."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from core import ActionKind, Confidentiality, Permit, TenantId
from core.errors import Defect
from data.knowledge import KNOWLEDGE, Passage, Query, Reader, indexing, rank_score

DEPTH = 50
"""How far down each of the two rankings is read before they are fused, at least."""

MAX_TERMS = 32
"""Words of a question that are searched for."""

K = TypeVar("K", int, tuple[str, str])


@dataclass(frozen=True, slots=True)
class Access:
    """What decides who may read a passage. Few differ, so each is asked once and not per passage."""

    collection: str
    owner: str
    readers: frozenset[str]
    confidentiality: Confidentiality

    @classmethod
    def of(cls, passage: Passage) -> "Access":
        return cls(passage.collection, passage.owner, frozenset(passage.readers), passage.label.confidentiality)

    def readable(self, reader: Reader) -> bool:
        if self.confidentiality.rank > reader.ceiling.rank:
            return False
        return not self.readers or not self.readers.isdisjoint(reader.groups) or self.owner == reader.principal


def words_of(text: str) -> list[str]:
    """Return the first words of `text`, each once."""
    words = dict.fromkeys(match.group().casefold() for match in re.finditer(r"\w+", text))
    return list(words)[:MAX_TERMS]


def fuse(by_vector: Sequence[K], by_text: Sequence[K]) -> list[tuple[K, int, int, int]]:
    """Fuse two rankings by reciprocal rank (Cormack, Clarke and Buettcher 2009).

    Returns:
        What is ranked, score in millionths, rank by vector and by text (0 where not found that way), best first.
    """
    vector_ranks = {number: rank for rank, number in enumerate(by_vector, start=1)}
    text_ranks = {number: rank for rank, number in enumerate(by_text, start=1)}
    fused = [
        (number, rank_score(vector_ranks.get(number, 0)) + rank_score(text_ranks.get(number, 0)))
        for number in vector_ranks | text_ranks
    ]
    fused.sort(key=lambda item: (-item[1], item[0]))
    return [(number, score, vector_ranks.get(number, 0), text_ranks.get(number, 0)) for number, score in fused]


def spend_to_search(permit: Permit, tenant: TenantId, query: Query) -> None:
    """Spend a permit to search.

    Raises:
        Defect: it is not for this query, or another tenant's.
    """
    _check_tenant(permit, tenant)
    permit.spend(ActionKind.RETRIEVE, KNOWLEDGE, query.arguments)


def spend_to_index(permit: Permit, tenant: TenantId, passages: Sequence[Passage]) -> str:
    """Spend a permit to index, and return the collection that all the passages go into.

    Raises:
        Defect: they go into several, or the permit is not for them, or another tenant's.
    """
    collections = {passage.collection for passage in passages}
    if len(collections) != 1:
        raise Defect("Passages are indexed into one collection at a time.", code="defect.index")
    collection = collections.pop()
    _check_tenant(permit, tenant)
    permit.spend(ActionKind.INGEST, collection, indexing(passages))
    return collection


def _check_tenant(permit: Permit, tenant: TenantId) -> None:
    if permit.tenant != tenant:
        raise Defect("A permit of another tenant was presented.", code="defect.permit_mismatch")
