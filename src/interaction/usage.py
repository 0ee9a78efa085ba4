"""What a tenant used in a period: sums over the rows of its runs, made anew for whoever asks."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from operator import add, attrgetter
from typing import Literal, get_args

from pydantic import ConfigDict, Field

from core import PrincipalId
from core.errors import Unprocessable
from core.parts import RunState, Usage
from data import USAGE, Row, RunUsage, Views, period
from interaction.answers import Told
from interaction.tables import csv_of

Dimension = Literal["day", "agent", "user", "model", "state"]
DIMENSIONS: Mapping[str, Dimension] = {name: name for name in get_args(Dimension)}

LONGEST_DAYS = 92
DEFAULT_DAYS = 30
MOST_RUNS = 200_000
"""Most runs that are added up for one answer."""

_OF_MODELS = ("model_calls", "input_tokens", "output_tokens", "cost_micros")
_OF_RUNS = (
    "tool_calls",
    "approvals_asked",
    "approvals_approved",
    "approvals_denied",
    "refusals",
    "active_ms",
)
_of_model: Callable[[Usage], tuple[int, ...]] = attrgetter(*_OF_MODELS)
_of_run: Callable[[RunUsage], tuple[int, ...]] = attrgetter(*_OF_RUNS)
_NOTHING = (0,) * len(_OF_MODELS)
_PAGE = 1000
_NO_MODEL = ""


class Used(Told):
    """Sums over runs.

    Attributes:
        runs: how many were opened; of a model, how many used it.
        states: the same by the state that each is in now.
        cost_micros: in millionths of the currency.
        tool_calls: null by model, as the four behind it: they are no model's.
        refusals: what the rules did not allow.
        active_ms: time at work, without waiting for people.
    """

    runs: int
    states: dict[RunState, int]
    model_calls: int
    input_tokens: int
    output_tokens: int
    cost_micros: int
    tool_calls: int | None
    approvals_asked: int | None
    approvals_approved: int | None
    approvals_denied: int | None
    refusals: int | None
    active_ms: int | None


class UsageLine(Used):
    """One group; what it is not grouped by is null.

    Attributes:
        day: on which the runs were opened, in UTC.
        agent: empty for runs without one, such as a search.
        user: pseudonym of who asked.
        model: target that was called; empty for runs that called none.
    """

    day: str | None = None
    agent: str | None = None
    user: str | None = None
    model: str | None = None
    state: RunState | None = None


class UsageReport(Told):
    """What was used from the day `first` to the day `last` (UTC), both included.

    Attributes:
        items: one for each group in which there is something, in the order of what it is grouped by.
        lag: how many events it is behind the log.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", serialize_by_alias=True)

    first: date = Field(serialization_alias="from")
    last: date = Field(serialization_alias="to")
    by: list[Dimension]
    currency: str
    items: list[UsageLine]
    totals: Used
    lag: int


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked for: a period, how it is grouped, and whose; None for everybody's."""

    first: date
    last: date
    by: tuple[Dimension, ...]
    owner: PrincipalId | None


def asked_period(first: date | None, last: date | None, today: date) -> tuple[date, date]:
    """Return the period, by default the last 30 days until `last`.

    Raises:
        Unprocessable: it ends before it begins, or is too long (`request.period`).
    """
    last = last or max(today, first or today)
    first = first or date.fromordinal(max(1, last.toordinal() - DEFAULT_DAYS + 1))
    if not 0 < (last - first).days + 1 <= LONGEST_DAYS:
        raise Unprocessable(
            f"Ask for a period of 1 to {LONGEST_DAYS} days that begins with `from`.", code="request.period"
        )
    return first, last


async def usage_report(views: Views, asked: Asked, *, currency: str, lag: int) -> UsageReport:
    """Add up what was used.

    Raises:
        Unprocessable: more than 200,000 runs were opened in the period (`request.period`).
    """
    sums = _Sums(asked.by)
    since, until = period(asked.first, asked.last)
    cursor: str | None = None
    while True:
        page = await views.list(USAGE.view, owner=asked.owner, since=since, until=until, cursor=cursor, limit=_PAGE)
        await asyncio.to_thread(sums.add, page.items)  # a page is some 10 ms of work
        cursor = page.cursor
        if cursor is None:
            break
        if sums.totals.runs >= MOST_RUNS:
            raise Unprocessable(
                f"More than {MOST_RUNS} runs fall into this period; ask for a shorter one.", code="request.period"
            )
    return UsageReport(
        first=asked.first,
        last=asked.last,
        by=list(asked.by),
        currency=currency,
        items=sums.lines(),
        totals=Used.model_validate(sums.totals.told()),
        lag=lag,
    )


def usage_csv(report: UsageReport) -> str:
    """Return the report's groups as a table; there are no totals in it, so that whoever adds up gets what is so."""
    states = [*RunState]
    sums = [*_OF_MODELS, *_OF_RUNS]
    lines = [
        [
            *(getattr(line, dimension) for dimension in report.by),
            line.runs,
            *(line.states.get(state, 0) for state in states),
            *(getattr(line, name) for name in sums),
            report.currency,
        ]
        for line in report.items
    ]
    return csv_of([*report.by, "runs", *states, *sums, "currency"], lines)


@dataclass(slots=True)
class _Sum:
    """Sums of one group while they grow: of what is a model's, and of what is a run's."""

    states: Counter[RunState] = field(default_factory=Counter[RunState])
    of_models: Sequence[int] = (0,) * len(_OF_MODELS)
    of_runs: Sequence[int] = (0,) * len(_OF_RUNS)

    def add(self, state: RunState, of_models: Sequence[int], of_run: Sequence[int]) -> None:
        self.states[state] += 1
        self.of_models = [*map(add, self.of_models, of_models)]
        self.of_runs = [*map(add, self.of_runs, of_run)]

    @property
    def runs(self) -> int:
        return self.states.total()

    def told(self, *, by_model: bool = False) -> dict[str, object]:
        of_models = dict(zip(_OF_MODELS, self.of_models, strict=True))
        of_runs = dict.fromkeys(_OF_RUNS) if by_model else dict(zip(_OF_RUNS, self.of_runs, strict=True))
        return {"runs": self.runs, "states": dict(sorted(self.states.items())), **of_models, **of_runs}


class _Sums:
    def __init__(self, by: tuple[Dimension, ...]) -> None:
        self.totals = _Sum()
        self._by = by
        self._groups: dict[tuple[str, ...], _Sum] = {}

    def add(self, rows: Sequence[Row]) -> None:
        for row in rows:
            run = RunUsage.model_validate_json(row.body)
            of_run = _of_run(run)
            of_models = {model: _of_model(used) for model, used in run.models.items()} or {_NO_MODEL: _NOTHING}
            together = [*map(sum, zip(*of_models.values(), strict=True))]
            self.totals.add(run.state, together, of_run)
            for model, used in of_models.items() if "model" in self._by else ((_NO_MODEL, together),):
                self._group(run, model).add(run.state, used, of_run)

    def _group(self, run: RunUsage, model: str) -> _Sum:
        names = {"day": run.day, "agent": run.agent, "user": run.requester, "model": model, "state": run.state}
        key = tuple(names[dimension] for dimension in self._by)
        if key not in self._groups:
            self._groups[key] = _Sum()
        return self._groups[key]

    def lines(self) -> list[UsageLine]:
        by_model = "model" in self._by
        return [
            UsageLine.model_validate({**dict(zip(self._by, names, strict=True)), **group.told(by_model=by_model)})
            for names, group in sorted(self._groups.items())
        ]
