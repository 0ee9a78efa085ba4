"""How long an organisation's content stays: as its plan says, and a shorter time only once it has been so for a while.

Who buys less has that time to take away what is then no longer kept.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import ClassVar

from pydantic import ConfigDict

from core import Clock, ContentClass, parse_timestamp, timestamp
from core.errors import PreconditionFailed
from data import Record, Store, TenantData

GRACE = timedelta(days=30)
RETENTION_KEY = "content"

Days = Mapping[ContentClass, int]
"""0 is for ever."""


class RetentionRecord(Record):
    """Key: `RETENTION_KEY`.

    Attributes:
        kept: what holds.
        wanted: what the plan says, and `environments/governance.yaml` where it says nothing.
        since: since when.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: ClassVar[str] = "retention"

    kept: Days
    wanted: Days
    since: str

    @property
    def shorter_from(self) -> str:
        """When what is wanted holds whole."""
        return timestamp(parse_timestamp(self.since) + GRACE)


async def settle_retention(store: Store, data: TenantData, wanted: Days, clock: Clock) -> None:
    """Let the store keep content for as long as it shall now; repeated, it goes on where time has passed."""
    found = await data.records.get(RetentionRecord, RETENTION_KEY)
    record = _settled(found.value if found else None, wanted, clock.now())
    if found is None or record != found.value:
        try:
            await data.records.put(RETENTION_KEY, record, etag=found.etag if found else None)
        except PreconditionFailed:
            return  # another process is at it
    await store.governed.retain(data.context.tenant, record.kept)


def _settled(known: RetentionRecord | None, wanted: Days, now: datetime) -> RetentionRecord:
    if known is None:  # nothing of it is older than the sweep before
        return RetentionRecord(kept=wanted, wanted=wanted, since=timestamp(now))
    if known.wanted != wanted:
        kept = {kind: _longer(known.kept.get(kind, 0), days) for kind, days in wanted.items()}
        return RetentionRecord(kept=kept, wanted=wanted, since=timestamp(now))
    if now >= parse_timestamp(known.shorter_from):
        return known.model_copy(update={"kept": wanted})
    return known


def _longer(one: int, other: int) -> int:
    return max(one, other) if one and other else 0
