"""The list of flags: what readers hold against answers, and what came of it."""

from collections.abc import Sequence
from typing import Literal

from core import ContentRef, FlagId, RunId
from core.bodies import AnswerFlagged, FlagResolved
from core.events import Event
from core.parts import FlagKind
from data.ports import Row
from data.run_views import Projection, RunSummary, Summary, body_of

FlagState = Literal["open", "resolved"]


class FlagSummary(Summary):
    """A reader's objection to an answer: the body of a row of `FLAGS`. The reasons are in the content store."""

    flag: FlagId
    run: RunId
    agent: str
    requester: str
    kind: FlagKind
    reason: ContentRef
    flagged_by: str
    flagged_at: str
    state: FlagState = "open"
    resolution: ContentRef | None = None
    resolved_by: str = ""
    resolved_at: str = ""


def _keys(event: Event, _: Row | None) -> Sequence[str]:
    return (event.body.flag,) if isinstance(event.body, AnswerFlagged | FlagResolved) else ()


def _fold(_: str, row: Row | None, events: Sequence[Event], run: Row | None) -> Row | None:
    summary = FlagSummary.model_validate_json(row.body) if row else _flagged(events[0], run)
    if summary is None:
        return None
    for event in events:
        if isinstance(event.body, FlagResolved):
            changes = {"resolution": event.body.reason, "resolved_by": event.actor.id, "resolved_at": event.at}
            summary = summary.model_copy(update={"state": "resolved", **changes})
    return Row(
        tenant=events[-1].tenant,
        key=summary.flag,
        sort=f"{summary.flagged_at} {summary.flag}",
        owner=summary.flagged_by,
        state=summary.state,
        run=summary.run,
        seq=events[-1].seq,
        body=body_of(summary),
    )


def _flagged(event: Event, run: Row | None) -> FlagSummary | None:
    body = event.body
    if not isinstance(body, AnswerFlagged) or run is None:
        return None
    opened = RunSummary.model_validate_json(run.body)
    return FlagSummary(
        flag=body.flag,
        run=event.run,
        agent=opened.agent,
        requester=opened.requester,
        kind=body.kind,
        reason=body.reason,
        flagged_by=event.actor.id,
        flagged_at=event.at,
    )


FLAGS = Projection(view="flags", keys=_keys, fold=_fold)
