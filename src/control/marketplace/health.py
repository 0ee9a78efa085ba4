"""How a tenant is doing, for the publisher: what it ran and what that cost, of numbers alone."""

from dataclasses import dataclass
from datetime import date, timedelta

from core.parts import RunState
from data import USAGE, RunUsage, Views, period

DAYS = 30
MOST_RUNS = 5_000
"""So many of a tenant's runs are added up; of one with more the latest count."""

_BAD = (RunState.FAILED, RunState.OUTCOME_UNKNOWN)
_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Health:
    """What a tenant did in the last thirty days.

    Attributes:
        bad: runs that failed, or of which nobody knows how they ended.
        cost_micros: what models cost, in millionths of the currency of the model catalogue.
        last_at: when it last did something; empty if it did nothing.
        partial: there are more runs than were added up.
    """

    runs: int = 0
    bad: int = 0
    cost_micros: int = 0
    last_at: str = ""
    partial: bool = False


async def health_of(views: Views, today: date) -> Health:
    """Add up a tenant's runs."""
    since, until = period(today - timedelta(days=DAYS - 1), today)
    runs, bad, cost, last, cursor = 0, 0, 0, "", None
    while True:
        page = await views.list(USAGE.view, since=since, until=until, cursor=cursor, limit=_PAGE)
        for row in page.items:
            run = RunUsage.model_validate_json(row.body)
            runs, bad, last = runs + 1, bad + (run.state in _BAD), max(last, run.last_at)
            cost += sum(used.cost_micros for used in run.models.values())
        cursor = page.cursor
        if cursor is None or runs >= MOST_RUNS:
            return Health(runs, bad, cost, last, partial=cursor is not None)
