"""What tenants have used, counted from the runs in the log that were completed: each unit is one run."""

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from datetime import datetime

from pydantic import BaseModel, ConfigDict

from control import contexts
from core import TenantId, parse_timestamp, timestamp
from core.parts import RunKind
from data import COMPLETED, CompletedRun, Projector, Store

_PAGE = 500


class Unit(BaseModel):
    """What can be billed; see `environments/units.yaml`. `name` is the dimension's id in the offer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    runs: RunKind
    title: str
    says: str


class Ledger:
    """Reads the view of completed runs, which outlives a tenant's data as the log does.

    Args:
        units: by name.
    """

    def __init__(self, store: Store, units: Mapping[str, Unit]) -> None:
        self._store = store
        self.units = units

    async def catch_up(self) -> None:
        """Have in the view all that was appended until now."""
        await Projector(self._store.platform).catch_up()

    async def hours(self, tenant: TenantId, unit: str, since: datetime, until: datetime) -> Counter[str]:
        """Return how many units were used in each hour from `since` to before `until`."""
        hours = Counter[str]()
        async for run in self.runs(tenant, unit, since, until):
            at = parse_timestamp(run.ended_at)
            hours[timestamp(at.replace(minute=0, second=0, microsecond=0))] += 1
        return hours

    async def runs(self, tenant: TenantId, unit: str, since: datetime, until: datetime) -> AsyncIterator[CompletedRun]:
        """Give the runs that are units, each one, the latest first."""
        views = self._store.tenant(contexts.from_meter(tenant)).views
        states, cursor = [self.units[unit].runs], None
        while since < until:
            page = await views.list(
                COMPLETED.view,
                states=states,
                since=timestamp(since),
                until=timestamp(until),
                cursor=cursor,
                limit=_PAGE,
            )
            for row in page.items:
                yield CompletedRun.model_validate_json(row.body)
            if (cursor := page.cursor) is None:
                return
