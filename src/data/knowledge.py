"""What the product asks of a store of passages: the port of search, and the values that go through it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from core import Confidentiality, ContentId, DocumentId, Json, Permit, PrincipalId, canonical, digest


@dataclass(frozen=True, slots=True)
class Term:
    """For how long what was made of a document stays: as long as the document's text.

    Attributes:
        content: the text.
        owner: whose it is.
        since: when it was stored; the class `document` says for how many days it stays.
        until: when its collection's own retention is over; empty if that states none.
    """

    content: ContentId
    owner: PrincipalId
    since: str
    until: str = ""

    def is_over(self, now: str, oldest: str) -> bool:
        """Return whether its time is up, if no hold keeps it; `oldest` is the class's bound, empty for none."""
        return self.since < oldest or "" < self.until < now


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a document, as it is indexed. Who may read it, and its label, are its collection's affair."""

    id: str
    document: DocumentId
    collection: str
    ordinal: int
    heading: str
    text: str
    vector: bytes
    """Little-endian float32, normalised."""
    term: Term

    @property
    def owner(self) -> PrincipalId:
        return self.term.owner


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that was found.

    Attributes:
        score: the sum of what both ranks give (`rank_score`), in millionths.
        rank_vector: from 1; 0 where it was not found that way.
        rank_text: the same.
        similarity: cosine of question and passage, in millionths; 0 where the vectors cannot be compared.
        matched: the words of the question that full text finds in it, if the query asks for them.
        readers: groups that may read it, where a customer's own source says so; none means all who read the collection.
        confidentiality: its own level, where such a source says so.
    """

    passage: Passage
    score: int
    rank_vector: int
    rank_text: int
    similarity: int = 0
    matched: tuple[str, ...] = ()
    readers: tuple[str, ...] = ()
    confidentiality: Confidentiality | None = None


@dataclass(frozen=True, slots=True)
class Reader:
    """For whom a search is trimmed, as the records of the collections stand now; what is not named is closed.

    Attributes:
        principal: who asks.
        whole: collections of which they may read all.
        own: collections of which they may read only what they brought themselves.
    """

    principal: PrincipalId
    whole: frozenset[str] = frozenset()
    own: frozenset[str] = frozenset()

    def may_read(self, collection: str, owner: PrincipalId) -> bool:
        return collection in self.whole or (collection in self.own and owner == self.principal)


@dataclass(frozen=True, slots=True)
class Query:
    """What is looked for: `text` is a person's words, not a query language.

    Attributes:
        explain: also find out which words matched, at some cost.
    """

    text: str
    collections: tuple[str, ...]
    limit: int
    explain: bool = False

    @property
    def arguments(self) -> Json:
        """What a permit to search is bound to; the words only by their hash."""
        return {"text": digest(self.text.encode()), "collections": self.collections, "limit": self.limit}


def indexing(passages: "Sequence[Passage]") -> Json:
    """Return what a permit to index is bound to: the passages' ids and texts."""
    said = canonical([[passage.id, passage.heading, passage.text] for passage in passages])
    return {"passages": digest(said)}


RANK_CONSTANT = 60


def rank_score(rank: int) -> int:
    """Return what a rank adds to a fused score, in millionths (Cormack, Clarke and Buettcher 2009); 0 for rank 0."""
    return round(1_000_000 / (RANK_CONSTANT + rank)) if rank else 0


KNOWLEDGE = "knowledge"
"""The target of a permit to search."""


class Knowledge(Protocol):
    """Passages whose time is up are there for nobody, from that moment on, whether or not they were removed yet."""

    async def index(self, permit: Permit, passages: Sequence[Passage]) -> None:
        """Write passages of one collection, replacing any of the same id; durable on return.

        Raises:
            Defect: the permit is not for these passages (`indexing`) in this collection.
        """
        ...

    async def search(self, permit: Permit, query: Query, *, vector: bytes, reader: Reader) -> Sequence[Hit]:
        """Return the best passages by vector and by full text, fused by reciprocal rank (k = 60).

        Trimmed to what `reader` may read before anything is ranked.

        Raises:
            Defect: the permit is not for this query.
        """
        ...

    async def get(self, passage: str, reader: Reader) -> Passage | None: ...

    async def over(self, terms: Sequence[Term]) -> Sequence[ContentId]:
        """Return the texts among these whose time is up, and which no legal hold keeps."""
        ...

    async def of(self, document: DocumentId) -> Sequence[Passage]:
        """Return all passages of a document in order, whoever may read them: for an archive of the tenant's."""
        ...

    async def remove(self, document: DocumentId, *, keep: int = 0) -> int:
        """Remove the document's passages of ordinal `keep` and above, and return how many there were."""
        ...
