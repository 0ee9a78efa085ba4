"""What people who wait for a run see as it happens. Transport only: the log is the truth, this forgets everything."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field

from core import RunId, TenantId
from core.events import RunEnded, RunParked, Stored

QUEUE_LIMIT = 1000
"""A follower that is this many items behind is cut off; it reconnects with its last event id."""


@dataclass(frozen=True, slots=True)
class Delta:
    """Text that the model is writing: no event, no id."""

    text: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All text of the step so far, for somebody who joins in the middle."""

    text: str


Item = Stored | Delta | Snapshot


@dataclass(slots=True)
class Live:
    """One run's followers in this process.

    Attributes:
        text: what the model has written in this step.
        known: bytes of content that the run has written or read, by content id.
    """

    text: str = ""
    holders: int = 0
    known: dict[str, bytes] = field(default_factory=dict[str, bytes])
    followers: set[asyncio.Queue[Item | None]] = field(default_factory=set[asyncio.Queue[Item | None]])

    def event(self, stored: Stored) -> None:
        self.text = ""
        self._put(stored)

    def delta(self, text: str) -> None:
        self.text += text
        self._put(Delta(text))

    def _put(self, item: Item) -> None:
        for queue in list(self.followers):
            if queue.qsize() >= QUEUE_LIMIT:
                self.followers.discard(queue)
                queue.put_nowait(None)
            else:
                queue.put_nowait(item)


class Hub:
    """The followed runs of this process, by tenant and run."""

    def __init__(self) -> None:
        self._runs: dict[tuple[TenantId, RunId], Live] = {}

    def take(self, tenant: TenantId, run: RunId) -> Live:
        """Return the run's live side, which stays while somebody carries or follows the run; `leave` it after."""
        live = self._runs.setdefault((tenant, run), Live())
        live.holders += 1
        return live

    def leave(self, tenant: TenantId, run: RunId) -> None:
        live = self._runs[tenant, run]
        live.holders -= 1
        if not live.holders:
            del self._runs[tenant, run]

    @contextmanager
    def follow(self, tenant: TenantId, run: RunId) -> Generator[tuple[Live, asyncio.Queue[Item | None]]]:
        """Give a queue of what happens from now on; None in it means that the follower was too slow."""
        live = self.take(tenant, run)
        queue: asyncio.Queue[Item | None] = asyncio.Queue()
        if live.text:
            queue.put_nowait(Snapshot(live.text))
        live.followers.add(queue)
        try:
            yield live, queue
        finally:
            live.followers.discard(queue)
            self.leave(tenant, run)


async def drain(queue: asyncio.Queue[Item | None], within: float) -> list[Item | None]:
    """Return what is in the queue, waiting at most `within` seconds for the first; neighbouring deltas are joined."""
    try:
        async with asyncio.timeout(within):
            items = [await queue.get()]
    except TimeoutError:
        return []
    while not queue.empty():
        item, last = queue.get_nowait(), items[-1]
        if isinstance(item, Delta) and isinstance(last, Delta):
            items[-1] = Delta(last.text + item.text)
        else:
            items.append(item)
    return items


def closes(item: Item, *, when_parked: bool) -> bool:
    """Return whether a stream ends with this, the last that is known of the run."""
    if not isinstance(item, Stored):
        return False
    body = item.event.body
    return isinstance(body, RunEnded) or (when_parked and isinstance(body, RunParked))
