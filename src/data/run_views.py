"""The two views that the product lists most: runs, and approvals. Each is a pure fold of events into rows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict

from core import Actor, ApprovalId, ContentRef, ConversationId, Effect, Json, RunId, canonical
from core.bodies import (
    AnswerFlagged,
    ApprovalEscalated,
    ApprovalGiven,
    ApprovalRequested,
    ApprovalResolved,
    FlagResolved,
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

ApprovalState = Literal["pending", "approved", "denied", "expired", "superseded"]


@dataclass(frozen=True, slots=True)
class Projection:
    """A view and how it is made.

    Attributes:
        view: names its rows; with a new name it is built anew.
        keys: the keys of the rows that an event is about.
        fold: given a key, its row with further events of its run in it, in order; None if they change nothing.

    Both functions are given the run's row in `RUNS` too, with these events in it or later ones: from it they may take
    only what does not change any more.
    """

    view: str
    keys: Callable[[Event, Row | None], Sequence[str]]
    fold: Callable[[str, Row | None, Sequence[Event], Row | None], Row | None]


class Summary(BaseModel):
    """The body of a view's row."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class RunLine(Summary):
    """The body of a row of which there is one for each run."""

    run: RunId
    kind: RunKind
    agent: str
    requester: str
    state: RunState
    opened_at: str

    def row(self, last: Event) -> Row:
        """Return the row; `last` is the last event that went in."""
        return Row(
            tenant=last.tenant,
            key=self.run,
            sort=f"{self.opened_at} {self.run}",
            owner=self.requester,
            state=self.state,
            run=self.run,
            seq=last.seq,
            body=body_of(self),
        )


class RunSummary(RunLine):
    """One line of the list of runs: the body of a row of `RUNS`."""

    conversation: ConversationId | None
    updated_at: str
    ended_at: str = ""
    code: str = ""
    usage: Usage = Usage()
    steps: int = 0
    parked_until: str = ""
    look_at: str = ""
    """When something is to be done about what it waits for, before its time is over."""
    deadline: str
    approval: ApprovalId | None = None
    """The last that it asked for."""
    carrier: str = ""
    """The lease under which it was last opened or taken up."""


class Given(Summary):
    """One of several approvals: whose, when, and whose deputy they were."""

    by: str
    at: str
    in_place_of: str = ""


class ApprovalSummary(Summary):
    """One line of the inbox: the body of a row of `APPROVALS`.

    Attributes:
        requester: whose run it is.
        agent: which proposed it.
        arguments: what exactly is asked for, in the content store.
        approvers: how many people have to approve; `given` has those who did before the last.
        escalated: it had waited for long, and owners and admins were told.
        decided_at: when the last of them did, or somebody said no; `resolved_at` is when the run knew.
    """

    approval: ApprovalId
    run: RunId
    step: int
    call: int
    tool: str
    effect: Effect
    arguments: ContentRef
    requester: str
    agent: str
    policy_version: str
    requested_at: str
    expires_at: str
    approvers: int = 1
    given: tuple[Given, ...] = ()
    escalated: bool = False
    verdict: ApprovalState = "pending"
    approver: Actor | None = None
    reason: ContentRef | None = None
    decided_at: str = ""
    resolved_at: str = ""


def by_run(event: Event, _: Row | None) -> Sequence[str]:
    """Return the key of a view that has one row for each run."""
    return (event.run,)


def _fold_run(_key: str, row: Row | None, events: Sequence[Event], _: Row | None) -> Row | None:
    summary = RunSummary.model_validate_json(row.body) if row else _opened(events[0])
    if summary is None:
        return None
    for event in events:
        summary = _run_after(summary, event)
    return summary.row(events[-1])


def _opened(event: Event) -> RunSummary | None:
    body = event.body
    if not isinstance(body, RunOpened):
        return None
    # A log of accesses or of administrative acts has no end, and nothing in it is to be carried on.
    state = RunState.COMPLETED if body.kind in (RunKind.ACCESS, RunKind.ADMIN) else RunState.RUNNING
    return RunSummary(
        run=event.run,
        kind=body.kind,
        agent=body.agent,
        state=state,
        requester=event.actor.id,
        conversation=body.conversation,
        opened_at=event.at,
        updated_at=event.at,
        deadline=body.deadline,
        carrier=body.carrier,
    )


def _run_after(summary: RunSummary, event: Event) -> RunSummary:
    usage, changes = summary.usage, dict[str, object]()
    match event.body:
        case AnswerFlagged() | FlagResolved():  # said of the run, by somebody else, when it was over
            return summary
        case RunParked(until=until):
            changes = {"state": RunState.PARKED, "parked_until": until}
        case RunResumed(carrier=carrier):
            changes = {"state": RunState.RUNNING, "parked_until": "", "look_at": "", "carrier": carrier}
        case RunEnded(state=state, code=code) as body:
            changes = {"state": state, "code": code, "ended_at": event.at, "parked_until": "", "look_at": ""}
            usage = usage if body.usage == Usage() else body.usage
        case ModelFinished(step=step) as body:
            changes = {"steps": max(summary.steps, step)}
            usage = usage.plus(body.usage)
        case PassagesRetrieved() | PassagesIndexed() as body:
            usage = usage.plus(body.usage)
        case ToolFinished():
            usage = usage.plus(Usage(tool_calls=1))
        case ApprovalRequested(approval=approval, escalates_at=at):
            changes = {"approval": approval, "look_at": at}
        case ApprovalEscalated():
            changes = {"look_at": ""}
        case _:
            pass
    return summary.model_copy(update={**changes, "usage": usage, "updated_at": event.at})


def _approval_keys(event: Event, run: Row | None) -> Sequence[str]:
    body = event.body
    if isinstance(body, ApprovalRequested | ApprovalGiven | ApprovalEscalated | ApprovalResolved):
        return (body.approval,)
    if isinstance(body, RunEnded) and run:
        approval = RunSummary.model_validate_json(run.body).approval
        return (approval,) if approval else ()
    return ()


def _fold_approval(_key: str, row: Row | None, events: Sequence[Event], run: Row | None) -> Row | None:
    summary = ApprovalSummary.model_validate_json(row.body) if row else _requested(events[0], run)
    if summary is None:
        return None
    for event in events:
        summary = _approval_after(summary, event)
    return Row(
        tenant=events[-1].tenant,
        key=summary.approval,
        sort=f"{summary.requested_at} {summary.approval}",
        owner=summary.requester,
        state=summary.verdict,
        run=summary.run,
        seq=events[-1].seq,
        body=body_of(summary),
    )


def _requested(event: Event, run: Row | None) -> ApprovalSummary | None:
    body = event.body
    if not isinstance(body, ApprovalRequested) or run is None:
        return None
    opened = RunSummary.model_validate_json(run.body)
    return ApprovalSummary(
        approval=body.approval,
        run=event.run,
        step=body.step,
        call=body.call,
        tool=body.tool,
        effect=body.effect,
        arguments=body.arguments,
        requester=opened.requester,
        agent=opened.agent,
        policy_version=body.policy_version,
        requested_at=event.at,
        expires_at=body.expires_at,
        approvers=body.approvers,
    )


def _approval_after(summary: ApprovalSummary, event: Event) -> ApprovalSummary:
    changes: dict[str, object]
    match event.body:
        case ApprovalGiven(approver=approver, decided_at=at, in_place_of=absent):
            changes = {"given": (*summary.given, Given(by=approver.id, at=at, in_place_of=absent))}
        case ApprovalEscalated():
            changes = {"escalated": True}
        case ApprovalResolved(verdict=verdict, approver=approver, reason=reason, decided_at=at):
            changes = {"verdict": verdict, "approver": approver, "reason": reason, "decided_at": at}
            changes["resolved_at"] = event.at
        case RunEnded() if summary.verdict == "pending":  # a run that was cancelled or ran out of time asks no longer
            changes = {"verdict": "superseded", "resolved_at": event.at}
        case _:
            return summary
    return summary.model_copy(update=changes)


def body_of(summary: Summary) -> bytes:
    body: dict[str, Json] = summary.model_dump(mode="json")
    return canonical(body)


RUNS = Projection(view="runs", keys=by_run, fold=_fold_run)
APPROVALS = Projection(view="approvals", keys=_approval_keys, fold=_fold_approval)
