"""What a run's events amount to. Pure: a resumed run and a live one think alike."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import assert_never

from core import ActionKind, ContentRef, Lane, parse_timestamp
from core.bodies import (
    AccessRefused,
    AnswerFlagged,
    AnswerGiven,
    ApprovalEscalated,
    ApprovalGiven,
    ApprovalRequested,
    ApprovalResolved,
    Body,
    CancelRequested,
    DecisionMade,
    DocumentReceived,
    FlagResolved,
    ModelFinished,
    PassagesIndexed,
    PassagesRetrieved,
    ProposalRejected,
    RecordChanged,
    RunEnded,
    RunOpened,
    RunParked,
    RunResumed,
    ToolFinished,
)
from core.errors import Defect
from core.events import Event, Stored
from core.parts import Limits, RunState, Usage

MAX_INTERRUPTIONS = 5
"""A run whose model calls were cut short more often than this is given up."""


@dataclass(slots=True)
class ProposalState:
    """An action that the model proposed, or that takes another back, and how far it has come.

    Attributes:
        given: approvals, of the several that it takes, since it was last asked for.
        escalated: owners and admins were told, since then, that it waits.
    """

    step: int
    call: int
    tool: str
    rejected: ProposalRejected | None = None
    decision: DecisionMade | None = None
    requested: ApprovalRequested | None = None
    given: list[ApprovalGiven] = field(default_factory=list[ApprovalGiven])
    escalated: bool = False
    resolved: ApprovalResolved | None = None
    finished: ToolFinished | None = None

    @property
    def waiting(self) -> ApprovalRequested | None:
        """The approval that it waits for."""
        if self.requested is None or (self.resolved and self.resolved.approval == self.requested.approval):
            return None
        return self.requested

    @property
    def in_flight(self) -> bool:
        """Whether its effect was allowed and no outcome is known."""
        return self.finished is None and self.decision is not None and _allows(self.decision)

    @property
    def settled(self) -> bool:
        """Whether nothing more will come of it."""
        if self.rejected or self.finished:
            return True
        if self.resolved and self.resolved.verdict in ("denied", "expired") and not self.waiting:
            return True
        return self.decision is not None and self.decision.decision.lane is Lane.NEVER


@dataclass(slots=True)
class Progress:
    """The fold of a run's events.

    Attributes:
        models: the model calls that gave an answer; `model_calls` are all that ended.
        active: time spent so far, without the time since `active_since` and without waiting for people or a restart.
        last_at: when the last event was written.
        carrier: the lease under which it was last opened or taken up.
    """

    opened: RunOpened | None = None
    opened_at: datetime | None = None
    state: RunState = RunState.RUNNING
    retrieved: PassagesRetrieved | None = None
    models: list[ModelFinished] = field(default_factory=list[ModelFinished])
    proposals: list[ProposalState] = field(default_factory=list[ProposalState])
    model_in_flight: DecisionMade | None = None
    model_calls: list[ModelFinished] = field(default_factory=list[ModelFinished])
    model_error: str = ""
    interruptions: int = 0
    answer: AnswerGiven | None = None
    ended: RunEnded | None = None
    ended_at: datetime | None = None
    cancelled: CancelRequested | None = None
    usage: Usage = field(default_factory=Usage)
    received: DocumentReceived | None = None
    indexed: int = 0
    active: timedelta = timedelta()
    active_since: datetime | None = None
    last_at: datetime | None = None
    carrier: str = ""

    @property
    def run(self) -> RunOpened:
        if self.opened is None:
            raise Defect("The run's log does not begin with its opening.", code="defect.log")
        return self.opened

    @property
    def step(self) -> int:
        """Number of the last model call, 0 before the first."""
        return self.models[-1].step if self.models else 0

    @property
    def pending(self) -> ProposalState | None:
        """The first proposal that something must still be done about."""
        return next((p for p in self.proposals if not p.settled), None)

    @property
    def deadline(self) -> datetime:
        """When the run's active time is used up; the time that it waits for people does not count."""
        limits = self.limits
        if self.active_since is None:
            raise Defect("The run's log does not begin with its opening.", code="defect.log")
        return self.active_since + timedelta(seconds=limits.seconds) - self.active

    @property
    def limits(self) -> Limits:
        """How far the run may go."""
        if self.run.limits is None:
            raise Defect("A run without limits cannot be carried on.", code="defect.log")
        return self.run.limits

    def active_at(self, now: datetime) -> timedelta:
        """Return how long the run has been at work; less than nothing where a clock was set back."""
        return self.active + (now - (self.active_since or now))

    def proposal(self, step: int, call: int) -> ProposalState:
        for proposal in self.proposals:
            if (proposal.step, proposal.call) == (step, call):
                return proposal
        raise Defect("The log speaks of a proposal that no model made.", code="defect.log")


def fold(events: Iterable[Stored]) -> Progress:
    """Return the state that `events`, all of a run's in order, amount to."""
    progress = Progress()
    for stored in events:
        apply(progress, stored.event)
    return progress


def apply(progress: Progress, event: Event) -> None:
    """Take one more event into account."""
    at = parse_timestamp(event.at)
    body = event.body
    match body:
        case RunOpened():
            progress.opened, progress.opened_at, progress.active_since = body, at, at
            progress.carrier = body.carrier
            if body.undoes:
                progress.proposals = [ProposalState(step=1, call=0, tool=body.undoes.tool)]
        case RunParked():
            _pause(progress, at)
            progress.state = RunState.PARKED
        case RunResumed():
            if progress.state is RunState.RUNNING:
                _pause(progress, progress.last_at or at)
            progress.state, progress.active_since = RunState.RUNNING, at
            progress.carrier = body.carrier
        case CancelRequested():
            progress.cancelled = progress.cancelled or body
        case RunEnded():
            progress.ended, progress.ended_at, progress.state = body, at, body.state
        case _:
            _apply_step(progress, body)
    progress.last_at = at


def _pause(progress: Progress, at: datetime) -> None:
    """Count the active time up to `at`."""
    progress.active += at - (progress.active_since or at)


def _apply_step(progress: Progress, body: Body) -> None:  # noqa: C901, PLR0912 - one case for each kind of event
    match body:
        case DecisionMade():
            _decided(progress, body)
        case PassagesRetrieved():
            progress.retrieved = body
            progress.usage = progress.usage.plus(body.usage)
        case ModelFinished():
            _model_finished(progress, body)
        case ProposalRejected():
            progress.proposal(body.step, body.call).rejected = body
        case ToolFinished():
            progress.proposal(body.step, body.call).finished = body
            progress.usage = progress.usage.plus(Usage(tool_calls=1))
        case ApprovalRequested():
            _requested(progress.proposal(body.step, body.call), body)
        case ApprovalGiven():
            progress.proposal(body.step, body.call).given.append(body)
        case ApprovalEscalated():
            progress.proposal(body.step, body.call).escalated = True
        case ApprovalResolved():
            progress.proposal(body.step, body.call).resolved = body
        case AnswerGiven():
            progress.answer = body
        case DocumentReceived():
            progress.received = body
        case PassagesIndexed():
            progress.indexed = body.done
            progress.usage = progress.usage.plus(body.usage)
        case AnswerFlagged() | FlagResolved() | AccessRefused() | RecordChanged():
            pass
        case RunOpened() | RunParked() | RunResumed() | CancelRequested() | RunEnded():
            raise Defect("Handled by `apply`.", code="defect.log")
        case _:
            assert_never(body)


def _requested(proposal: ProposalState, body: ApprovalRequested) -> None:
    proposal.requested, proposal.given, proposal.escalated = body, [], False


def _decided(progress: Progress, body: DecisionMade) -> None:
    if body.kind is ActionKind.CALL_TOOL:
        progress.proposal(body.step, body.call).decision = body
    elif body.kind is ActionKind.CALL_MODEL and body.target != "embed":
        progress.model_in_flight = body if body.decision.lane is Lane.AUTOMATIC else None


def _model_finished(progress: Progress, body: ModelFinished) -> None:
    progress.model_in_flight = None
    progress.usage = progress.usage.plus(body.usage)
    progress.model_calls.append(body)
    progress.interruptions += body.outcome == "interrupted"
    if body.outcome == "failed" or progress.interruptions > MAX_INTERRUPTIONS:
        progress.model_error = body.error
    if body.outcome == "answered":
        progress.models.append(body)
        progress.proposals += [ProposalState(body.step, p.call, p.tool) for p in body.proposals]


def _allows(decision: DecisionMade) -> bool:
    return decision.decision.lane is Lane.AUTOMATIC or decision.approval is not None


def message_of(progress: Progress) -> ContentRef:
    """Return where the person's message is."""
    message = progress.run.message
    if message is None:
        raise Defect("A turn without a message cannot be carried on.", code="defect.log")
    return message
