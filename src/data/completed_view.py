"""Runs that were completed and in which a model was called: what may be billed is counted from these.

One row for each such run, under the time at which it ended. A run that failed, was refused or was cancelled has none;
nor has one in which no model was called, such as the taking back of an effect. What one run is counted as cannot be
more than one: its row is fed by its own end alone, and a run that was taken up again after a crash ends once.
"""

from collections.abc import Sequence

from core import RunId
from core.bodies import RunEnded
from core.events import Event
from core.parts import RunKind, RunState
from data.ports import Row
from data.run_views import Projection, RunSummary, Summary, body_of, by_run


class CompletedRun(Summary):
    """The body of a row of `COMPLETED`, whose `state` is the kind, and whose `sort` begins with `ended_at`."""

    run: RunId
    kind: RunKind
    agent: str
    ended_at: str


def _fold(_key: str, row: Row | None, events: Sequence[Event], run: Row | None) -> Row | None:
    end = next((event for event in events if isinstance(event.body, RunEnded)), None)
    if row is not None or end is None or run is None or not _counts(end):
        return None
    opened = RunSummary.model_validate_json(run.body)
    completed = CompletedRun(run=end.run, kind=opened.kind, agent=opened.agent, ended_at=end.at)
    return Row(
        tenant=end.tenant,
        key=end.run,
        sort=f"{end.at} {end.run}",
        owner=opened.requester,
        state=opened.kind,
        run=end.run,
        seq=end.seq,
        body=body_of(completed),
    )


def _counts(end: Event) -> bool:
    body = end.body
    return isinstance(body, RunEnded) and body.state is RunState.COMPLETED and body.usage.model_calls > 0


COMPLETED = Projection(view="completed", keys=by_run, fold=_fold)
