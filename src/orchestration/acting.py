"""From what the model proposed to what happens: validate, label, decide, then do it, ask for it or refuse it."""

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

import orjson

from control import ActionRequest, ApprovalNeeded, Granted, Refused, Ruling
from core import (
    ActionKind,
    ApprovalId,
    Content,
    ContentClass,
    ContentRef,
    Facts,
    Label,
    Lane,
    Origin,
    Permit,
    derived_id,
    timestamp,
)
from core.bodies import ApprovalRequested, Body, ProposalRejected, RunParked, ToolFinished
from core.errors import MandateError, Unprocessable
from orchestration import approvals
from orchestration.conversation import Transcript, parse_model_message, transcribe
from orchestration.guarding import of_arguments
from orchestration.labelling import Traced, flow, joined, label_arguments
from orchestration.records import ApprovalRecord
from orchestration.state import ProposalState, message_of
from orchestration.turn import Turn
from orchestration.undoing import arguments_for
from telemetry import span
from tools import Arguments, Caller, Failed, Ok, Tool, ToolOutcome, Unknown, idempotency_key

_OUTCOMES: dict[type[ToolOutcome], Literal["ok", "failed", "unknown"]] = {
    Ok: "ok",
    Failed: "failed",
    Unknown: "unknown",
}


@dataclass(frozen=True, slots=True)
class _Attempt:
    """A proposal that turned out to be an action: a known tool with valid arguments."""

    proposal: ProposalState
    tool: Tool
    arguments: Arguments


async def act(turn: Turn, proposal: ProposalState) -> None:
    """Carry one proposal as far as it goes now: to an outcome, a refusal, or a wait for approval."""
    attempt = await _attempt(turn, proposal)
    if not isinstance(attempt, _Attempt):
        turn.stage([ProposalRejected(step=proposal.step, call=proposal.call, tool=proposal.tool, cause=attempt)])
        return
    approved = await _approved(turn, attempt)
    stored = approved.arguments if approved else _store(turn, attempt.arguments)
    traced, transcript = await _read(turn, attempt)
    facts = {
        **await _own_facts(turn, attempt),
        **flow(attempt.tool, traced, transcript.sources),
        **of_arguments(attempt.arguments.values),
    }
    (verdict,) = await turn.services.gate.authorize(
        turn.writer,
        turn.actor,
        [_request(attempt, stored, approved, traced, facts)],
        situation=await turn.situation(
            transcript.sources.label, await turn.watch.checked(turn.context, transcript.texts)
        ),
        following=lambda rulings: _parked(turn, attempt, stored, rulings[0]),
    )
    turn.note()
    if isinstance(verdict, ApprovalNeeded) and proposal.waiting:
        await approvals.record_for(turn, proposal.waiting)  # before anybody is told that there is something to decide
    turn.sync()
    if isinstance(verdict, Granted):
        await _do(turn, attempt, verdict.permit, joined(traced))
        return
    await _give_back(turn, attempt)
    if isinstance(verdict, Refused) and verdict.ends:
        turn.end_refused(verdict.ends)


async def give_up(turn: Turn, proposal: ProposalState) -> None:
    """The process died inside an effect. Do not guess and do not repeat it: write that nobody here can say."""
    attempt = await _attempt(turn, proposal)
    assert isinstance(attempt, _Attempt)
    turn.stage([_finished(turn, attempt, Unknown(code="run.restarted"), result=None, milliseconds=0)])


async def _attempt(turn: Turn, proposal: ProposalState) -> _Attempt | Literal["unknown_tool", "invalid_arguments"]:
    tool = turn.services.registry.get(proposal.tool)
    if tool is None:
        return "unknown_tool"
    try:
        return _Attempt(proposal, tool, tool.parse(await _raw_arguments(turn, proposal)))
    except Unprocessable:
        return "invalid_arguments"


async def _read(turn: Turn, attempt: _Attempt) -> tuple[dict[str, Traced], Transcript]:
    """Return where each value came from, and all that it may have come from."""
    leaves, undoes = attempt.arguments.leaves(), turn.progress.run.undoes
    if undoes is None:
        transcript = await transcribe(turn)
        return label_arguments(leaves, transcript.sources), transcript
    _, label = await arguments_for(turn.data, turn.services.registry, undoes)
    transcript = Transcript()
    transcript.user((await turn.content(message_of(turn.progress))).decode())
    transcript.sources.records.append(({}, label))
    return {path: Traced(label, Origin.RECORD) for path in leaves}, transcript


async def _raw_arguments(turn: Turn, proposal: ProposalState) -> str:
    if undoes := turn.progress.run.undoes:
        arguments, _ = await arguments_for(turn.data, turn.services.registry, undoes)
        return arguments.decode()
    model = next(m for m in turn.progress.models if m.step == proposal.step)
    assert model.message is not None
    _, calls = parse_model_message(await turn.content(model.message))
    return calls[proposal.call].arguments


async def _approved(turn: Turn, attempt: _Attempt) -> ApprovalRecord | None:
    """Return the approval that this run holds for exactly these arguments."""
    resolved = attempt.proposal.resolved
    if resolved is None or resolved.verdict != "approved":
        return None
    found = await turn.data.records.get(ApprovalRecord, resolved.approval)
    if found is None:
        return None
    same = await turn.data.content.matches(found.value.arguments, attempt.arguments.canonical())
    return found.value if same else None


def _store(turn: Turn, arguments: Arguments) -> ContentRef:
    content = turn.new_content(arguments.canonical(), ContentClass.ARGUMENTS)
    turn.stage([], [content])
    return content.ref


async def _own_facts(turn: Turn, attempt: _Attempt) -> Facts:
    """Return what the tool declares of the arguments; money is set aside, and what was moved before is told."""
    facts = attempt.tool.facts(attempt.arguments)
    if not isinstance(amount := facts.get("amount_cents"), int):
        return facts
    user = turn.context.principal.id
    return {**facts, **await turn.services.money.set_aside(turn.data, _place(turn, attempt), user, amount)}


async def _give_back(turn: Turn, attempt: _Attempt) -> None:
    """Free what was set aside for what certainly moved no money."""
    if "amount_cents" in attempt.tool.facts(attempt.arguments):
        with suppress(MandateError):  # then it counts for a day, which lets less through, not more
            await turn.services.money.give_back(turn.data, _place(turn, attempt))


def _place(turn: Turn, attempt: _Attempt) -> str:
    return f"{turn.writer.run}/{attempt.proposal.step}/{attempt.proposal.call}"


def _request(
    attempt: _Attempt,
    stored: ContentRef,
    approved: ApprovalRecord | None,
    traced: Mapping[str, Traced],
    facts: Facts,
) -> ActionRequest:
    tool, arguments = attempt.tool, attempt.arguments
    return ActionRequest(
        kind=ActionKind.CALL_TOOL,
        target=tool.name,
        step=attempt.proposal.step,
        call=attempt.proposal.call,
        arguments=arguments.values,
        stored_arguments=stored,
        argument_labels={path: one.label for path, one in traced.items()},
        argument_origins={path: one.origin for path, one in traced.items()},
        approval=approvals.binding(approved) if approved else None,
        facts={
            **facts,
            "effect": tool.effect.value,
            "reversible": tool.reversible,
        },
    )


def _parked(turn: Turn, attempt: _Attempt, stored: ContentRef, ruling: Ruling) -> list[Body]:
    """Return the events that park the run behind its decision, if that asks for an approval."""
    if ruling.lane is not Lane.APPROVAL:
        return []
    now = turn.services.clock.now()
    until = timestamp(now + approvals.LIFETIME)
    requested = ApprovalRequested(
        approval=ApprovalId(derived_id("apr", turn.context.tenant, turn.writer.run, str(ruling.seq))),
        step=attempt.proposal.step,
        call=attempt.proposal.call,
        tool=attempt.tool.name,
        effect=attempt.tool.effect,
        arguments=stored,
        policy_version=ruling.decision.policy_version,
        expires_at=until,
        approvers=ruling.decision.approvers,
        escalates_at=timestamp(now + approvals.ESCALATES_AFTER),
    )
    return [requested, RunParked(cause="approval", until=until)]


async def _do(turn: Turn, attempt: _Attempt, permit: Permit, read: Label) -> None:
    """Have the tool's effect, once, and stage what came of it."""
    started = time.monotonic()
    caller = Caller(
        tenant=turn.context.tenant,
        run=turn.writer.run,
        on_behalf_of=turn.context.principal.id,
        correlation=turn.context.correlation,
        idempotency_key=_key(turn, attempt),
        deadline=turn.progress.deadline,
        held=lambda: turn.lease.held,
    )
    name = attempt.tool.name
    with span("execute_tool", turn.context, operation="execute_tool", tool=name, effect=attempt.tool.effect) as sp:
        outcome = await turn.services.executor.execute(permit, attempt.tool, attempt.arguments, caller, read=read)
        sp.set(outcome=_OUTCOMES[type(outcome)])
    turn.services.budgets.count_call(turn.data)
    result = _result(turn, outcome)
    milliseconds = int((time.monotonic() - started) * 1000)
    turn.stage(
        [_finished(turn, attempt, outcome, result=result.ref if result else None, milliseconds=milliseconds)],
        [result] if result else [],
    )
    if isinstance(outcome, Failed):
        await _give_back(turn, attempt)


def _result(turn: Turn, outcome: ToolOutcome) -> Content | None:
    match outcome:
        case Ok():
            return turn.new_content(outcome.result, ContentClass.RESULT)
        case Failed():
            told = orjson.dumps({"error": outcome.code, "detail": outcome.message})
            return turn.new_content(told, ContentClass.RESULT)
        case Unknown():
            return None


def _finished(
    turn: Turn, attempt: _Attempt, outcome: ToolOutcome, *, result: ContentRef | None, milliseconds: int
) -> ToolFinished:
    return ToolFinished(
        step=attempt.proposal.step,
        call=attempt.proposal.call,
        tool=attempt.tool.name,
        effect=attempt.tool.effect,
        outcome=_OUTCOMES[type(outcome)],
        idempotency_key=_key(turn, attempt),
        result=result,
        label=Label() if isinstance(outcome, Unknown) else outcome.label,
        duration_ms=milliseconds,
        error="" if isinstance(outcome, Ok) else outcome.code,
    )


def _key(turn: Turn, attempt: _Attempt) -> str:
    proposal = attempt.proposal
    assert proposal.decision is not None
    assert proposal.decision.arguments is not None
    return idempotency_key(turn.writer.run, proposal.step, proposal.call, proposal.decision.arguments.commitment)
