"""What the product asks of a database. Nothing here promises more than both SQLite and Azure Cosmos DB can do.

`Store` is the door: `tenant(context)` gives the only handle through which a tenant's data is reached, and
`platform(...)` the few things that by their nature have no tenant yet (the change feed, runs to be carried on).
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import ClassVar, Generic, NamedTuple, Protocol, TypeVar

from pydantic import BaseModel

from core import (
    Confidentiality,
    Content,
    ContentClass,
    ContentId,
    ContentRef,
    PrincipalId,
    RunId,
    TenantContext,
    TenantId,
)
from core.events import Stored
from data.governed import Governed
from data.knowledge import Knowledge

MAX_APPEND_EVENTS = 100
MAX_APPEND_BYTES = 1_000_000
"""Of the events as they are. Cosmos DB takes 2 MB in one batch, in which each event is quoted once more as JSON."""


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


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of content without its bytes: `at` is when it was stored, `size` how many bytes it has."""

    id: ContentId
    kind: ContentClass
    owner: PrincipalId
    confidentiality: Confidentiality
    at: str
    size: int


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
            NotFound: never written, erased, or its time is up.
            Defect: the bytes do not match the commitment (code `defect.commitment`).
        """
        ...

    async def matches(self, ref: ContentRef, data: bytes) -> bool:
        """Return whether `data` is what `ref` commits to; False where it was erased."""
        ...

    async def erase(self, ids: Sequence[ContentId]) -> int:
        """Destroy the bytes and the keys, and return how many were there.

        Raises:
            Conflict: a legal hold keeps one of them (`hold.active`); none was erased.
        """
        ...

    async def list(
        self, *, owner: PrincipalId | None = None, cursor: str | None = None, limit: int = 500
    ) -> "Page[Piece]":
        """Return what there is, in order of the ids, without its bytes; of `owner` only, if one is named."""
        ...

    async def take(self, id_: ContentId) -> tuple[bytes, bytes] | None:
        """Return the commitment's key and the bytes as they are, for an archive; None where `get` finds none."""
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
class FeedPage:
    """Appended events of all tenants: each run's in order, those of different runs in any.

    Attributes:
        checkpoint: opaque; where to read on.
    """

    events: Sequence[Stored]
    checkpoint: str


class FedHead(NamedTuple):
    """That a run has come to an event, with the hash as it is stored: nothing is parsed, nothing believed."""

    tenant: TenantId
    run: RunId
    seq: int
    hash: str


class Platform(Protocol):
    """What has no tenant by its nature. Given to projections, the driver and the directory, never to a request.

    What goes over all tenants comes in no particular order, and in as many reads as it takes.
    """

    async def feed(self, *, after: str, limit: int = 500) -> FeedPage:
        """Return what was appended behind a checkpoint, "" for all of it; fewer events than `limit`: no more yet."""
        ...

    async def heads(self, *, after: str, limit: int = 5000) -> tuple[Sequence[FedHead], str]:
        """Return what `feed` would, without the events, and where to read on: to vouch for what is stored as it is."""
        ...

    async def waiting(self, name: str, *, limit: int = 1000) -> int:
        """Return how many events the feed has behind the checkpoint `name`; counted up to `limit`."""
        ...

    async def checkpoint(self, name: str) -> str:
        """Return the checkpoint that was written last under `name`; "" if none was."""
        ...

    async def rows(self, view: str, keys: Sequence[tuple[TenantId, str]]) -> Sequence[Row]: ...

    async def project(self, rows: Mapping[str, Sequence[Row]], *, name: str, checkpoint: str) -> None:
        """Write rows by view, and the checkpoint no earlier than they are on disk.

        A row is written only if its `seq` is greater than the stored one's.
        """
        ...

    async def reset(self, view: str) -> None:
        """Forget the view's rows and all checkpoints, so that it is rebuilt."""
        ...

    def due(self, view: str, *, states: Sequence[str]) -> AsyncIterator[Row]:
        """Give the rows of all tenants in any of `states`: the runs that somebody must carry on."""
        ...

    def scan(self, view: str) -> AsyncIterator[Row]:
        """Give all tenants' rows: to compare a view with its rebuild."""
        ...

    def runs(self) -> AsyncIterator[tuple[TenantId, RunId]]:
        """Give all tenants' runs, each once: the walk over all chains."""
        ...

    async def raw(self, tenant: TenantId, run: RunId, *, after: int = 0, limit: int = 1000) -> Sequence[RawEvent]:
        """Return a run's events as `RunLog.raw` does."""
        ...


class Store(Protocol):
    def tenant(self, context: TenantContext) -> TenantData: ...

    @property
    def platform(self) -> Platform: ...

    @property
    def governed(self) -> Governed: ...

    async def ready(self) -> None:
        """Raise `Unavailable` unless reads and writes work."""
        ...


OpenStore = AbstractAsyncContextManager[Store]
