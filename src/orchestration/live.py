"""What people who wait for a run see as it happens. Transport only: the log is the truth, this forgets everything."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field

from core import RunId, TenantId
from core.bodies import RunEnded, RunParked
from core.events import Stored

QUEUE_LIMIT = 1000
"""A follower that is this many items behind is cut off; it reconnects with its last event id."""

FRAME_SECONDS = 0.033
"""Shortest time between two pieces of a stream: thirty times a second is flowing text, and each piece costs CPU."""


@dataclass(frozen=True, slots=True)
class Delta:
    """Text that the model is writing: no event, no id. `after` is the number of the last event before it."""

    text: str
    after: int = 0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All text of the step so far, for somebody who joins in the middle; `after` as in `Delta`."""

    text: str
    after: int = 0


Item = Stored | Delta | Snapshot


class Follower:
    """What one reader of a run has yet to be given. Text that is written in small pieces is joined."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._items: list[Item | None] = []
        self._urgent = False
        self._not_before = 0.0
        self._waiter: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def put(self, item: Item) -> bool:
        """Add what has happened, and return whether the reader is still followed: too far behind, it is cut off."""
        last = self._items[-1] if self._items else None
        if isinstance(item, Delta) and isinstance(last, Delta):
            self._items[-1] = Delta(last.text + item.text, last.after)
        else:
            self._items.append(item if len(self._items) < QUEUE_LIMIT else None)
        self._urgent = self._urgent or self._items[-1] is None or closes(item, when_parked=True)
        if self._waiter:
            self._wake_at(self._due)
        return self._items[-1] is not None

    async def take(self, within: float) -> list[Item | None]:
        """Return what has happened, waiting at most `within` seconds for it; None at the end for who was cut off.

        Two takes are a frame apart, unless the run has ended or parked.
        """
        now = self._loop.time()
        due = self._due if self._items else now + within
        if due > now:
            self._waiter = self._loop.create_future()
            self._wake_at(due)
            try:
                await self._waiter
            finally:
                self._waiter = None
        self._not_before = self._loop.time() + FRAME_SECONDS
        items, self._items, self._urgent = self._items, [], False
        return items

    @property
    def _due(self) -> float:
        return 0.0 if self._urgent else self._not_before

    def _wake_at(self, due: float) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = self._loop.call_at(due, self._wake)

    def _wake(self) -> None:
        if self._waiter and not self._waiter.done():
            self._waiter.set_result(None)


@dataclass(slots=True)
class Live:
    """One run's followers in this process.

    Attributes:
        text: what the model has written in this step.
        after: number of the last event that followers were shown.
        known: bytes of content that the run has written or read, by content id.
    """

    text: str = ""
    after: int = 0
    holders: int = 0
    known: dict[str, bytes] = field(default_factory=dict[str, bytes])
    followers: set[Follower] = field(default_factory=set[Follower])

    def event(self, stored: Stored) -> None:
        self.text, self.after = "", stored.event.seq
        self._put(stored)

    def delta(self, text: str) -> None:
        self.text += text
        self._put(Delta(text, self.after))

    def _put(self, item: Item) -> None:
        self.followers.difference_update([follower for follower in self.followers if not follower.put(item)])


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
    def follow(self, tenant: TenantId, run: RunId) -> Generator[tuple[Live, Follower]]:
        """Give what follows the run from now on."""
        live, follower = self.take(tenant, run), Follower()
        if live.text:
            follower.put(Snapshot(live.text, live.after))
        live.followers.add(follower)
        try:
            yield live, follower
        finally:
            live.followers.discard(follower)
            self.leave(tenant, run)


def closes(item: Item, *, when_parked: bool) -> bool:
    """Return whether a stream ends with this, the last that is known of the run."""
    if not isinstance(item, Stored):
        return False
    body = item.event.body
    return isinstance(body, RunEnded) or (when_parked and isinstance(body, RunParked))
