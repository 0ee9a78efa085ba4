"""What a database is asked about all tenants: the change feed, views as they are written, the walk over all chains."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from core import RunId, TenantId
from core.events import Stored
from data.ports import RawEvent, Row


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
