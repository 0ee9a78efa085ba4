"""Keeping the views up with the change feed, and comparing them with their rebuild.

A view may be forgotten and built again at any time. It is for lists and alarms, never for what must be exact.
"""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress

from core import TenantId
from core.errors import MandateError
from core.events import Event
from data.flag_views import FLAGS
from data.ports import FeedItem, Platform, Row
from data.run_views import APPROVALS, RUNS, Projection
from data.usage_view import USAGE
from data.use_views import USES

PAGE = 500
IDLE_SECONDS = 1.0
"""Longest that another process's events wait to be noticed."""

BURST_SECONDS = 0.05
"""Pause after a wake-up, so that what is appended in quick succession is folded at once: the views' usual lag."""

Key = tuple[TenantId, str]

PROJECTIONS = (RUNS, APPROVALS, FLAGS, USAGE, USES)
"""All views that there are. `RUNS` comes first, since the others are folded with the help of its rows."""

_log = logging.getLogger(__name__)


class Projector:
    """Keeps the views up with the log. Several processes may do so at once: a row never goes back."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._wake = asyncio.Event()

    def notify(self) -> None:
        """Say that something was appended."""
        self._wake.set()

    async def run(self) -> None:
        """Keep the views current until cancelled; what goes wrong is logged and tried again."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(IDLE_SECONDS):
                    await self._wake.wait()
                    await asyncio.sleep(BURST_SECONDS)
            self._wake.clear()
            try:
                await self.catch_up()
            except MandateError as error:
                _log.warning("views.behind", extra={"code": error.code})

    async def catch_up(self) -> int:
        """Fold all that was appended since, and return how many events that were."""
        after, count = await self._start(), 0
        while page := await self._platform.feed(after=after, limit=PAGE):
            await self._fold(page)
            count += len(page)
            after = page[-1].position
            if len(page) < PAGE:
                break
        return count

    async def lag(self) -> int:
        """Return how many events the view that is furthest behind still lacks."""
        head, start = await asyncio.gather(self._platform.head(), self._start())
        return max(0, head - start)

    async def _start(self) -> int:
        """Where to read on: a view that is further already skips what it knows, by sequence number."""
        names = (projection.name for projection in PROJECTIONS)
        return min(await asyncio.gather(*(self._platform.checkpoint(name) for name in names)))

    async def _fold(self, page: Sequence[FeedItem]) -> None:
        """Fold a page into all views; they are written at the same moment, so as to share one wait for the disk."""
        runs: dict[Key, Row] = {}
        async with asyncio.TaskGroup() as writes:
            for projection in PROJECTIONS:
                events = events_by_key(projection, page, runs)
                rows = runs if projection is RUNS else dict[Key, Row]()
                if events:
                    stored = await self._platform.rows(projection.view, list(events))
                    rows |= {(row.tenant, row.key): row for row in stored}
                changed = fold_page(projection, rows, events, runs)
                writes.create_task(
                    self._platform.project(
                        projection.name, view=projection.view, rows=changed, checkpoint=page[-1].position
                    )
                )


def events_by_key(projection: Projection, page: Sequence[FeedItem], runs: dict[Key, Row]) -> dict[Key, list[Event]]:
    """Return a page's events by the row that they are about, in order."""
    events: dict[Key, list[Event]] = {}
    for item in page:
        event = item.stored.event
        for key in projection.keys(event, runs.get((event.tenant, event.run))):
            events.setdefault((event.tenant, key), []).append(event)
    return events


def fold_page(
    projection: Projection, rows: dict[Key, Row], events: dict[Key, list[Event]], runs: dict[Key, Row]
) -> Sequence[Row]:
    """Fold events into `rows`, each once, and return those that changed."""
    changed: list[Row] = []
    for key, about in events.items():
        row = rows.get(key)
        news = [event for event in about if row is None or event.seq > row.seq]
        run = runs.get((key[0], about[0].run))
        if news and (folded := projection.fold(key[1], row, news, run)):
            rows[key] = folded
            changed.append(folded)
    return changed


async def rebuild_differences(platform: Platform, projection: Projection) -> Sequence[Key]:
    """Fold the whole feed anew, in memory, and return the keys of the rows that the stored view has otherwise.

    Compares with the view as far as it has come; if it moves on meanwhile, so does the comparison.
    """
    runs: dict[Key, Row] = {}
    rebuilt = runs if projection is RUNS else dict[Key, Row]()
    after = 0
    while True:
        target = await platform.checkpoint(projection.name)
        while page := [item for item in await platform.feed(after=after, limit=PAGE) if item.position <= target]:
            after = page[-1].position
            fold_page(RUNS, runs, events_by_key(RUNS, page, runs), runs)
            if projection is not RUNS:
                fold_page(projection, rebuilt, events_by_key(projection, page, runs), runs)
        stored = await _all_rows(platform, projection.view)
        differences = [key for key in stored | rebuilt if stored.get(key) != rebuilt.get(key)]
        if not differences or target == await platform.checkpoint(projection.name):
            return differences


async def _all_rows(platform: Platform, view: str) -> dict[Key, Row]:
    rows: dict[Key, Row] = {}
    after: Key | None = None
    while page := await platform.scan(view, after=after, limit=PAGE):
        after = (page[-1].tenant, page[-1].key)
        rows |= {(row.tenant, row.key): row for row in page}
    return rows
