"""What the product asks of a database. Nothing here promises more than both SQLite and Azure Cosmos DB can do.

`Store` is the door: `tenant(context)` gives the only handle through which a tenant's data is reached, and
`platform(...)` the few things that by their nature have no tenant yet (the change feed, runs to be carried on).
"""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import ClassVar, Generic, Protocol, TypeVar

from pydantic import BaseModel

from core import (
    Confidentiality,
    Content,
    ContentId,
    ContentRef,
    DocumentId,
    Json,
    Label,
    Permit,
    PrincipalId,
    RunId,
    TenantContext,
    TenantId,
    canonical,
    digest,
)
from core.events import Stored

MAX_APPEND_EVENTS = 100
MAX_APPEND_BYTES = 2_000_000


class Record(BaseModel):
    """What is not a run: one typed document with an ETag. `kind` names its family, unique across the product."""

    kind: ClassVar[str]


R = TypeVar("R", bound=Record)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Versioned(Generic[R]):
    key: str
    value: R
    etag: str


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a list, and the opaque cursor of the next; None when this was the last."""

    items: Sequence[T]
    cursor: str | None


@dataclass(frozen=True, slots=True)
class RawEvent:
    """A stored event before anything is believed of it, for verification: where it stands, its bytes, their hash."""

    seq: int
    data: bytes
    hash: str


class RunLog(Protocol):
    async def append(self, events: Sequence[Stored], content: Sequence[Content] = ()) -> None:
        """Append consecutive events of one run, all or none; durable on return, `content` no later than the events.

        Raises:
            Conflict: the first sequence number is taken: another writer was faster (code `conflict.sequence`).
            TooLarge: more than `MAX_APPEND_EVENTS` events or `MAX_APPEND_BYTES` bytes.
        """
        ...

    async def read(self, run: RunId, *, after: int = 0, limit: int = 1000) -> Sequence[Stored]:
        """Return the run's events after sequence number `after`, in order; none if the tenant has no such run.

        Raises:
            Defect: an event is not as it was written (code `defect.chain`).
        """
        ...

    async def raw(self, run: RunId, *, after: int = 0, limit: int = 1000) -> Sequence[RawEvent]:
        """Return what `read` would, as it is on disk: nothing is parsed and nothing checked."""
        ...


class ContentStore(Protocol):
    async def put(self, content: Sequence[Content]) -> None: ...

    async def get(self, ref: ContentRef) -> bytes:
        """Return the bytes.

        Raises:
            NotFound: never written, or erased.
            Defect: the bytes do not match the commitment (code `defect.commitment`).
        """
        ...

    async def matches(self, ref: ContentRef, data: bytes) -> bool:
        """Return whether `data` is what `ref` commits to; False where it was erased."""
        ...

    async def erase(self, ids: Sequence[ContentId]) -> int:
        """Destroy the bytes and the keys, and return how many were there."""
        ...


class Records(Protocol):
    async def get(self, model: type[R], key: str) -> Versioned[R] | None: ...

    async def put(self, key: str, value: Record, *, etag: str | None) -> str:
        """Create (`etag` None) or replace (the current ETag), and return the new ETag; durable on return.

        Raises:
            PreconditionFailed: it exists already, or `etag` is not the current one.
        """
        ...

    async def delete(self, model: type[Record], key: str, *, etag: str) -> None:
        """Delete it; `PreconditionFailed` if `etag` is not the current one."""
        ...

    async def list(
        self, model: type[R], *, prefix: str = "", cursor: str | None = None, limit: int = 100
    ) -> Page[Versioned[R]]:
        """Return the records whose key starts with `prefix`, in key order."""
        ...


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a document, as it is indexed. `readers` are the groups that may read it; empty means all members."""

    id: str
    document: DocumentId
    collection: str
    ordinal: int
    heading: str
    text: str
    vector: bytes
    """Little-endian float32, normalised."""
    label: Label
    readers: tuple[str, ...]
    owner: PrincipalId


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that was found.

    Attributes:
        score: the sum of what both ranks give (`rank_score`), in millionths.
        rank_vector: from 1; 0 where it was not found that way.
        rank_text: the same.
        similarity: cosine of question and passage, in millionths; 0 where the vectors cannot be compared.
        matched: the words of the question that full text finds in it, if the query asks for them.
    """

    passage: Passage
    score: int
    rank_vector: int
    rank_text: int
    similarity: int = 0
    matched: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reader:
    """For whom a search is trimmed: passages without readers, with one of `groups` among them, or their own.

    Of these only such as are no more confidential than `ceiling`, which is the agent's.
    """

    principal: PrincipalId
    groups: frozenset[str]
    ceiling: Confidentiality = Confidentiality.RESTRICTED


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

    async def remove(self, document: DocumentId, *, keep: int = 0) -> int:
        """Remove the document's passages of ordinal `keep` and above, and return how many there were."""
        ...


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a view: what a projection made of one run's events (or of one approval's).

    Attributes:
        key: unique in the view and the tenant.
        sort: lists are in descending order of this.
        owner: whose it is; lists can be narrowed to it.
        state: lists can be narrowed to it.
        seq: the run's last event that went in: an event at or before it is not applied again.
        body: canonical JSON.
    """

    tenant: TenantId
    key: str
    sort: str
    owner: str
    state: str
    run: RunId
    seq: int
    body: bytes


class Views(Protocol):
    async def get(self, view: str, key: str) -> Row | None: ...

    async def list(
        self,
        view: str,
        *,
        owner: str | None = None,
        states: Sequence[str] = (),
        since: str = "",
        until: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page[Row]:
        """Return rows whose `sort` is `since` or greater and less than `until`, in descending order of it."""
        ...


class TenantData(Protocol):
    """Everything of one tenant, reached through the context that the handle was made with."""

    @property
    def context(self) -> TenantContext: ...
    @property
    def log(self) -> RunLog: ...
    @property
    def content(self) -> ContentStore: ...
    @property
    def records(self) -> Records: ...
    @property
    def knowledge(self) -> Knowledge: ...
    @property
    def views(self) -> Views: ...


@dataclass(frozen=True, slots=True)
class FeedItem:
    position: int
    stored: Stored


class Platform(Protocol):
    """What has no tenant by its nature. Given to projections, the driver and the directory, never to a request."""

    async def feed(self, *, after: int, limit: int = 500) -> Sequence[FeedItem]:
        """Return appended events of all tenants in commit order, `after` a checkpoint; fewer than `limit`: no more."""
        ...

    async def head(self) -> int:
        """Return the position of the last event appended, 0 if there is none."""
        ...

    async def checkpoint(self, name: str) -> int: ...

    async def rows(self, view: str, keys: Sequence[tuple[TenantId, str]]) -> Sequence[Row]: ...

    async def project(self, name: str, *, view: str, rows: Sequence[Row], checkpoint: int) -> None:
        """Write rows and the checkpoint together; a row is written only if its `seq` is greater than the stored one."""
        ...

    async def reset(self, name: str, *, view: str) -> None:
        """Forget the view and its checkpoint, so that it is rebuilt."""
        ...

    async def due(self, view: str, *, states: Sequence[str], limit: int = 1000) -> Sequence[Row]:
        """Return rows of all tenants in any of `states`, oldest first: the runs that somebody must carry on."""
        ...

    async def scan(self, view: str, *, after: tuple[TenantId, str] | None = None, limit: int = 500) -> Sequence[Row]:
        """Return all tenants' rows behind `after`, ordered by tenant and key: to compare a view with its rebuild."""
        ...

    async def runs(
        self, *, after: tuple[TenantId, RunId] | None = None, limit: int = 1000
    ) -> Sequence[tuple[TenantId, RunId]]:
        """Return all tenants' runs behind `after`, ordered by tenant and run: the walk over all chains."""
        ...

    async def raw(self, tenant: TenantId, run: RunId, *, after: int = 0, limit: int = 1000) -> Sequence[RawEvent]:
        """Return a run's events as `RunLog.raw` does."""
        ...


class Store(Protocol):
    def tenant(self, context: TenantContext) -> TenantData: ...

    @property
    def platform(self) -> Platform: ...

    async def ready(self) -> None:
        """Raise `Unavailable` unless reads and writes work."""
        ...


OpenStore = AbstractAsyncContextManager[Store]
