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

    async def key(self, id_: ContentId) -> bytes | None:
        """Return the key of the commitment, for whoever takes the content with them; None where `get` finds none."""
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

    @property
    def governed(self) -> Governed: ...

    async def ready(self) -> None:
        """Raise `Unavailable` unless reads and writes work."""
        ...


OpenStore = AbstractAsyncContextManager[Store]
