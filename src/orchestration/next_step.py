"""What a turn does next, given what its events amount to. Pure, as that is."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from core import Effect
from core.bodies import ApprovalRequested, ModelFinished
from core.parts import RunState
from orchestration.state import Progress, ProposalState


@dataclass(frozen=True, slots=True)
class Retrieve:
    pass


@dataclass(frozen=True, slots=True)
class CallModel:
    step: int


@dataclass(frozen=True, slots=True)
class Act:
    """Decide and do what the model proposed."""

    proposal: ProposalState


@dataclass(frozen=True, slots=True)
class Wait:
    """Somebody must decide first."""

    approval: ApprovalRequested
    proposal: ProposalState


@dataclass(frozen=True, slots=True)
class Unknown:
    """The process died inside an effect: nobody here can say whether it happened."""

    proposal: ProposalState


@dataclass(frozen=True, slots=True)
class Reply:
    """The model proposed nothing more: its text is the answer."""

    model: ModelFinished


@dataclass(frozen=True, slots=True)
class End:
    state: RunState
    code: str


_ENDED_BY = {
    "asked": End(RunState.CANCELLED, "run.cancelled"),
    "agent_revoked": End(RunState.REFUSED, "refused.agent_revoked"),
}

Next = Retrieve | CallModel | Act | Wait | Unknown | Reply | End


def next_step(progress: Progress, now: datetime, effect_of: Callable[[str], Effect | None]) -> Next:  # noqa: C901, PLR0911 - a list of rules, first match wins
    """Return what a turn does next. `effect_of` says what a registered tool does to the world."""
    if progress.ended:
        return End(progress.ended.state, progress.ended.code)
    pending = progress.pending
    if pending and pending.in_flight and effect_of(pending.tool) is not Effect.READ:
        return Unknown(pending)
    if any(p.finished and p.finished.outcome == "unknown" for p in progress.proposals):
        return End(RunState.OUTCOME_UNKNOWN, "tool.outcome_unknown")
    if progress.cancelled:
        return _ENDED_BY[progress.cancelled.cause]
    if pending and (waiting := pending.waiting):
        return Wait(waiting, pending)
    if progress.model_error:
        return End(RunState.FAILED, progress.model_error)
    if now >= progress.deadline:
        return End(RunState.LIMIT_REACHED, "limit.seconds")
    if pending:
        return Act(pending)
    if progress.run.undoes:
        return _undone(progress.proposals[0])
    if progress.run.use_knowledge and progress.retrieved is None:
        return Retrieve()
    if progress.models and not progress.models[-1].proposals:
        return Reply(progress.models[-1])
    return CallModel(progress.step + 1)


def _undone(proposal: ProposalState) -> End:
    """Return how a run ends that had one thing to do, which was to take another back."""
    if proposal.finished is None:
        return End(RunState.FAILED, "undo.failed") if proposal.rejected else End(RunState.REFUSED, "undo.refused")
    if proposal.finished.outcome == "ok":
        return End(RunState.COMPLETED, "")
    return End(RunState.FAILED, "undo.failed")
