"""What changes in lists, told as it happens: one look at the store for all who listen in this process.

The log is ahead of the lists: an event is told when the rows that it is about have it, so whoever is told of a change
finds it in the list as well. A listener begins by reading the list anew, also after a connection broke: so nothing is
missed, and there is nothing to resume.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterable
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated

from fastapi import Depends, Request
from pydantic import BaseModel
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException

from core import PrincipalId, TenantContext, TenantId
from core.bodies import (
    ApprovalEscalated,
    ApprovalGiven,
    ApprovalRequested,
    ApprovalResolved,
    RunEnded,
    RunOpened,
    RunParked,
    RunResumed,
)
from core.errors import MandateError, RateLimited
from core.events import Event
from data import APPROVALS, CHECKPOINT, RUNS, Platform, Row, Store
from interaction.relay import Relay, wants_stream
from web import event_bytes

POLL_SECONDS = 0.5
LONGEST_STREAM = timedelta(minutes=10)
MOST_STREAMS = 6
"""Of one person at a time, in one process."""

_PAGE = 500
_QUEUE = 1000
_PENDING = 10_000

_log = logging.getLogger(__name__)

Key = tuple[TenantId, str]
Rows = dict[Key, Row]

_MOVES = (RunOpened, RunParked, RunResumed, RunEnded)
_TOLD = (*_MOVES, ApprovalRequested, ApprovalGiven, ApprovalEscalated, ApprovalResolved)


@dataclass(frozen=True, slots=True, eq=False)
class _Listener:
    """Somebody who wants to know of `view`: rows of their tenant, of `owner` alone unless that is None."""

    tenant: TenantId
    view: str
    owner: PrincipalId | None
    queue: asyncio.Queue[Row | None] = field(default_factory=asyncio.Queue[Row | None])

    def tell(self, row: Row) -> None:
        if self.tenant == row.tenant and self.owner in (None, row.owner):
            # Who is too slow is cut off: they connect again, and read the list anew.
            self.queue.put_nowait(row if self.queue.qsize() < _QUEUE else None)


class Changes:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._listeners: set[_Listener] = set()
        self._streams: Counter[tuple[TenantId, PrincipalId]] = Counter()
        self._after: str | None = None
        self._pending: list[Event] = []
        self._wanted = asyncio.Event()
        self._begun = asyncio.Event()

    @contextmanager
    def listen(
        self, context: TenantContext, view: str, *, owner: PrincipalId | None
    ) -> Generator[asyncio.Queue[Row | None]]:
        """Give a queue of rows of `view` as they change from now on; None in it ends it.

        Raises:
            RateLimited: the person has too many of these open (`rate.streams`).
        """
        person = (context.tenant, context.principal.id)
        if self._streams[person] >= MOST_STREAMS:
            raise RateLimited(
                "You have too many live lists open. Close one, or wait until one ends.",
                code="rate.streams",
                retry_after=30,
            )
        listener = _Listener(context.tenant, view, owner)
        self._streams[person] += 1
        self._listeners.add(listener)
        self._wanted.set()
        try:
            yield listener.queue
        finally:
            self._listeners.discard(listener)
            self._streams[person] -= 1
            self._streams += Counter()  # forgets whoever has none left

    async def begun(self) -> None:
        """Wait until it is settled from where on changes are told: only then is a list read that misses none."""
        await self._begun.wait()

    async def run(self) -> None:
        """Look for changes until cancelled, as long as somebody listens; what goes wrong is logged and tried again."""
        while True:
            if not self._listeners:
                self._after, self._pending = None, []
                self._begun.clear()
                self._wanted.clear()
                await self._wanted.wait()
            try:
                await self._look()
            except MandateError as error:
                _log.warning("changes.behind", extra={"code": error.code})
            await asyncio.sleep(POLL_SECONDS)

    async def _look(self) -> None:
        platform = self._store.platform
        if self._after is None:
            self._after = await platform.checkpoint(CHECKPOINT)
            self._begun.set()
        while (page := await platform.feed(after=self._after, limit=_PAGE)).events:
            self._after = page.checkpoint
            tenants = {listener.tenant for listener in self._listeners}
            events = (stored.event for stored in page.events)
            # mandate: equal[check] - this spares reads; what keeps tenants apart is `tell`
            self._pending += [event for event in events if event.tenant in tenants and isinstance(event.body, _TOLD)]
            if len(page.events) < _PAGE:
                break
        if len(self._pending) > _PENDING:
            self._begin_again()
        elif self._pending:
            await self._tell(platform)

    def _begin_again(self) -> None:
        """Cut all off, as the lists are too far behind the log; they connect again, and read the lists anew."""
        for listener in self._listeners:
            listener.queue.put_nowait(None)
        self._pending = []

    async def _tell(self, platform: Platform) -> None:
        runs = await _rows(platform, RUNS.view, ((event.tenant, event.run) for event in self._pending))
        approvals = await _rows(platform, APPROVALS.view, (key for e in self._pending for key in _asked(e, runs)))
        told = [event for event in self._pending if _shown(event, runs, approvals)]
        moved = [(event.tenant, event.run) for event in told if isinstance(event.body, _MOVES)]
        asked = [key for event in told for key in _asked(event, runs)]
        for view, rows, keys in ((RUNS.view, runs, moved), (APPROVALS.view, approvals, asked)):
            for listener in [listener for listener in self._listeners if listener.view == view]:
                for key in dict.fromkeys(keys):
                    listener.tell(rows[key])
        self._pending = [event for event in self._pending if not _shown(event, runs, approvals)]


async def _rows(platform: Platform, view: str, keys: Iterable[Key]) -> Rows:
    wanted = list(dict.fromkeys(keys))
    return {(row.tenant, row.key): row for row in await platform.rows(view, wanted)} if wanted else {}


def _asked(event: Event, runs: Rows) -> list[Key]:
    """Return the keys of the approvals that the event is about, as far as its run's row can tell."""
    return [(event.tenant, key) for key in APPROVALS.keys(event, runs.get((event.tenant, event.run)))]


def _shown(event: Event, runs: Rows, approvals: Rows) -> bool:
    """Return whether all rows that the event is about have it."""
    rows = [runs.get((event.tenant, event.run)), *(approvals.get(key) for key in _asked(event, runs))]
    return all(row is not None and row.seq >= event.seq for row in rows)


async def changes_of(request: Request) -> Changes:
    changes: Changes = request.app.state.changes
    return changes


LiveChanges = Annotated[Changes, Depends(changes_of)]


def live_list(
    changes: Changes,
    context: TenantContext,
    view: str,
    *,
    owner: PrincipalId | None,
    headers: Headers,
    name: str,
    line: Callable[[Row], Awaitable[BaseModel | None]],
) -> Relay:
    """Return a stream of a list's lines as they change: first `ready`, then each as an event `name`.

    Raises:
        HTTPException: 406, the caller does not ask for a stream.
        RateLimited: see `Changes.listen`.
    """
    if not wants_stream(headers):
        raise HTTPException(406)
    stack = AsyncExitStack()
    queue = stack.enter_context(changes.listen(context, view, owner=owner))
    return Relay(stack, _pieces(changes, queue, name, line), {})


async def _pieces(
    changes: Changes, queue: asyncio.Queue[Row | None], name: str, line: Callable[[Row], Awaitable[BaseModel | None]]
) -> AsyncGenerator[bytes]:
    told: dict[str, bytes] = {}
    try:
        async with asyncio.timeout(LONGEST_STREAM.total_seconds()):
            await changes.begun()
            yield event_bytes(event="ready", data=b"{}")
            while row := await queue.get():
                shown = await line(row)
                if shown and (data := shown.model_dump_json().encode()) != told.get(row.key):
                    yield event_bytes(event=name, data=data)
                    told[row.key] = data
    except TimeoutError:
        return
