"""What a tenant's data is reached by. Nothing here promises more than both SQLite and Azure Cosmos DB can do."""

from collections.abc import Sequence
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
class Seen:
    """A record as somebody read it, for what is written only as long as it is so; `etag` None: there was none."""

    tenant: TenantId
    kind: str
    key: str
    etag: str | None


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
    async def append(
        self, events: Sequence[Stored], content: Sequence[Content] = (), *, resting_on: Sequence[Seen] = ()
    ) -> None:
        """Append consecutive events of one run, all or none; durable on return, `content` no later than the events.

        `resting_on` are records of the tenant, or the publisher's switches. SQLite compares them in the transaction
        that writes, Cosmos DB, which has none over two partitions, right before it.

        Raises:
            Conflict: the first sequence number is taken: another writer was faster (code `conflict.sequence`).
            PreconditionFailed: one of `resting_on` is not as it was seen; nothing was written.
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


class Journal(Protocol):
    """Lines that are kept apart from the store and its backups, each under a name; none is changed or lost."""

    async def note(self, name: str, line: bytes, /) -> None:
        """Keep a line; durable on return.

        Args:
            name: of no other line, made of letters, digits and `/_-.`.
            line: without a line break.

        Raises:
            Unavailable: it cannot be written (`dependency.journal`).
        """
        ...

    async def lines(self) -> Sequence[bytes]:
        """Return all lines. Raises `Unavailable` as `note`."""
        ...


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
