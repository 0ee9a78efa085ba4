"""What each run used: the view behind `GET /v1/usage`.

One row for each run, and sums are made when somebody asks. A row of sums, such as of a day, would be fed by many runs:
no sequence number could say which events are in it already, and two processes that fold the same feed would count some
twice. A run's row is fed by its own events alone, so that its `seq` says exactly what is in it. A run counts as a whole
on the day (UTC) on which it was opened, also where it waited for a person until a later one.
"""

from collections.abc import Iterator, Sequence
from datetime import date

from core import Lane, parse_timestamp
from core.bodies import (
    ApprovalRequested,
    ApprovalResolved,
    DecisionMade,
    ModelFinished,
    PassagesIndexed,
    PassagesRetrieved,
    RunEnded,
    RunOpened,
    RunParked,
    RunResumed,
    ToolFinished,
)
from core.events import Event
from core.parts import RunKind, RunState, Usage
from data.ports import Row
from data.run_views import Projection, RunLine, by_run

EMBED = "embed"
"""The logical model of retrieval and indexing, whose events name none."""


class RunUsage(RunLine):
    """What one run used: the body of a row of `USAGE`.

    Attributes:
        planned: the target that each logical model stood for when the run was opened.
        models: what was used, by the target that was called; by the planned one where no call got an answer.
        refusals: what the gate did not allow.
        active_ms: time at work: without waiting for people, or for a restart.
    """

    last_at: str
    planned: dict[str, str]
    models: dict[str, Usage]
    tool_calls: int = 0
    approvals_asked: int = 0
    approvals_approved: int = 0
    approvals_denied: int = 0
    refusals: int = 0
    active_ms: int = 0

    @property
    def day(self) -> str:
        return self.opened_at[:10]


def period(first: date, last: date) -> tuple[str, str]:
    """Return the bounds of `Row.sort` for runs opened from the day `first` to the day `last`, the latter included."""
    return first.isoformat(), f"{last.isoformat()}U"  # the letter behind the T of a timestamp


def _fold(_key: str, row: Row | None, events: Sequence[Event], _: Row | None) -> Row | None:
    usage = RunUsage.model_validate_json(row.body) if row else _opened(events[0])
    if usage is None:
        return None
    for event in events:
        usage = _after(usage, event)
    return usage.row(events[-1])


def _opened(event: Event) -> RunUsage | None:
    body = event.body
    if not isinstance(body, RunOpened) or body.kind in (RunKind.ACCESS, RunKind.ADMIN):
        return None  # a log of accesses or of administrative acts uses nothing
    return RunUsage(
        run=event.run,
        kind=body.kind,
        agent=body.agent,
        requester=event.actor.id,
        state=RunState.RUNNING,
        opened_at=event.at,
        last_at=event.at,
        models={},
        planned={logical: pin.partition("@")[0] for logical, pin in body.versions.models.items()},
    )


def _after(usage: RunUsage, event: Event) -> RunUsage:
    changes = dict(_changes(usage, event))
    last_at = max(usage.last_at, event.at)
    if usage.state is RunState.RUNNING and not isinstance(event.body, RunResumed):
        changes["active_ms"] = usage.active_ms + milliseconds(usage.last_at, last_at)
    return usage.model_copy(update={**changes, "last_at": last_at})


def _changes(usage: RunUsage, event: Event) -> Iterator[tuple[str, object]]:
    match event.body:
        case RunParked():
            yield "state", RunState.PARKED
        case RunResumed():
            yield "state", RunState.RUNNING
        case RunEnded(state=state):
            yield "state", state
        case ModelFinished() as body:
            yield "models", _with(usage, body.target or usage.planned.get(body.logical, body.logical), body.usage)
        case PassagesRetrieved() | PassagesIndexed() as body:
            yield "models", _with(usage, usage.planned.get(EMBED, EMBED), body.usage)
        case ToolFinished():
            yield "tool_calls", usage.tool_calls + 1
        case DecisionMade(decision=decision):
            yield "refusals", usage.refusals + (decision.lane is Lane.NEVER)
        case ApprovalRequested():
            yield "approvals_asked", usage.approvals_asked + 1
        case ApprovalResolved(verdict=verdict):
            yield "approvals_approved", usage.approvals_approved + (verdict == "approved")
            yield "approvals_denied", usage.approvals_denied + (verdict == "denied")
        case _:
            pass


def _with(usage: RunUsage, model: str, used: Usage) -> dict[str, Usage]:
    return {**usage.models, model: usage.models.get(model, Usage()).plus(used)}


def milliseconds(start: str, end: str) -> int:
    """Return the milliseconds between two stored times."""
    return round((parse_timestamp(end) - parse_timestamp(start)).total_seconds() * 1000)


USAGE = Projection(view="usage", keys=by_run, fold=_fold)
