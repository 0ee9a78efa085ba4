"""Keeping the views up with the change feed, and comparing them with their rebuild.

A view may be forgotten and built again at any time. It is for lists and alarms, never for what must be exact.
"""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from contextlib import suppress

from core import TenantId
from core.errors import MandateError
from core.events import Event, Stored
from data.completed_view import COMPLETED
from data.flag_views import FLAGS
from data.platform import Platform
from data.ports import Row
from data.run_views import APPROVALS, RUNS, Projection
from data.usage_view import USAGE
from data.use_views import USES

PAGE = 500
IDLE_SECONDS = 1.0
"""Longest that another process's events wait to be noticed."""

BURST_SECONDS = 0.05
"""Pause after a wake-up, so that what is appended in quick succession is folded at once: the views' usual lag."""

Key = tuple[TenantId, str]

PROJECTIONS = (RUNS, APPROVALS, FLAGS, USAGE, USES, COMPLETED)
"""All views that there are. `RUNS` comes first, since the others are folded with the help of its rows."""

CHECKPOINT = " ".join(projection.view for projection in PROJECTIONS)
"""How far the log is folded into all views. A new view has a new name, so that the log is read from its beginning."""

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
        after, count = await self._platform.checkpoint(CHECKPOINT), 0
        while (page := await self._platform.feed(after=after, limit=PAGE)).events:
            changed = await self._fold(page.events)
            await self._platform.project(changed, name=CHECKPOINT, checkpoint=page.checkpoint)
            count += len(page.events)
            after = page.checkpoint
            if len(page.events) < PAGE:
                break
        return count

    async def lag(self) -> int:
        """Return how many events the views still lack; of very many, a bound that they exceed."""
        return await self._platform.waiting(CHECKPOINT)

    async def _fold(self, page: Sequence[Stored]) -> dict[str, Sequence[Row]]:
        """Fold a page into all views, each of which skips what it knows by sequence number; return what changed."""
        runs: dict[Key, Row] = {}
        changed: dict[str, Sequence[Row]] = {}
        for projection in PROJECTIONS:
            events = events_by_key(projection, page, runs)
            rows = runs if projection is RUNS else dict[Key, Row]()
            if events:
                stored = await self._platform.rows(projection.view, list(events))
                rows |= {(row.tenant, row.key): row for row in stored}
            changed[projection.view] = fold_page(projection, rows, events, runs)
        return changed


def events_by_key(projection: Projection, page: Iterable[Stored], runs: dict[Key, Row]) -> dict[Key, list[Event]]:
    """Return a page's events by the row that they are about, in order."""
    events: dict[Key, list[Event]] = {}
    for event in (stored.event for stored in page):
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

    The stored view is brought up to the log first. If that moves on meanwhile, so does the comparison.
    """
    runs: dict[Key, Row] = {}
    rebuilt = runs if projection is RUNS else dict[Key, Row]()
    after = ""
    while True:
        while (page := await platform.feed(after=after, limit=PAGE)).events:
            after = page.checkpoint
            fold_page(RUNS, runs, events_by_key(RUNS, page.events, runs), runs)
            if projection is not RUNS:
                fold_page(projection, rebuilt, events_by_key(projection, page.events, runs), runs)
        await Projector(platform).catch_up()
        stored = {(row.tenant, row.key): row async for row in platform.scan(projection.view)}
        differences = [key for key in stored | rebuilt if stored.get(key) != rebuilt.get(key)]
        if not differences or not (await platform.feed(after=after, limit=1)).events:
            return differences
