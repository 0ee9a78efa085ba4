"""Every decision of a run with what belongs to it: the rules, the arguments, who approved, what came of it."""

from collections.abc import Sequence
from typing import Literal

import orjson
from pydantic import JsonValue

from core import ActionKind, ApprovalId, ContentRef, Effect, Fact, Label, Lane, Origin
from core.bodies import (
    AnswerGiven,
    ApprovalGiven,
    ApprovalRequested,
    ApprovalResolved,
    Body,
    DecisionMade,
    ModelFinished,
    PassagesIndexed,
    PassagesRetrieved,
    RunEnded,
    ToolFinished,
)
from core.errors import NotFound, Unprocessable
from core.events import Event, Stored
from interaction.answers import Told
from orchestration import ERASED, Fetch
from tools import Registry, Tool

ApprovalStatus = Literal["pending", "approved", "denied", "expired", "superseded"]
Outcome = Literal["done", "failed", "unknown", "none"]


_TOOL_OUTCOMES: dict[str, Outcome] = {"ok": "done", "failed": "failed", "timeout": "unknown", "unknown": "unknown"}


_VERDICTS = {
    Lane.AUTOMATIC: "The rules allow this without asking a person",
    Lane.NEVER: "The rules forbid this",
    Lane.APPROVAL: "The rules leave this to a person",
}


class YesTold(Told):
    """One person's approval, where others have to approve as well; names may be gone.

    Attributes:
        in_place_of: whose deputy they were in this; null for a right of their own.
        through: the organisation's own app in which they signed it; null for the console and the API.
    """

    approver: str
    approver_name: str | None = None
    in_place_of: str | None
    in_place_of_name: str | None = None
    through: str | None = None
    at: str
    reason: str


class ApprovalTold(Told):
    """What a person was asked, and what they said. `approver` is their pseudonym.

    Attributes:
        approvers: how many different people have to approve.
        given: who did before the last.
    """

    approval: ApprovalId
    status: ApprovalStatus
    requested_at: str
    expires_at: str
    approver: str | None
    decided_at: str | None
    reason: str | None
    approvers: int
    given: list[YesTold]


class DecisionTold(Told):
    """One decision of the gate.

    Attributes:
        seq: number of the event that holds it.
        consequence: what the action does, in plain words; for tools only.
        verdict: the lane in plain words.
        allowed: whether it let the action happen.
        facts: all that the policies were given to decide on.
        argument_labels: who could have chosen each argument, by its path.
        argument_origins: what each label rests on; empty in decisions from before it was written down.
        approval: the one that it asked for, or that it relied on.
        outcome: what became of the action; `none` if nothing happened, or has not yet.
        sources: the passages that the agent had been shown by then.
    """

    seq: int
    at: str
    step: int
    call: int
    kind: ActionKind
    target: str
    effect: Effect | None
    consequence: str | None
    arguments: dict[str, JsonValue] | None
    argument_labels: dict[str, Label]
    argument_origins: dict[str, Origin]
    lane: Lane
    verdict: str
    allowed: bool
    policies: list[str]
    policy_version: str
    reason: str
    facts: dict[str, Fact]
    approval: ApprovalTold | None
    outcome: Outcome
    sources: list[str]


async def decisions_of(events: Sequence[Stored], fetch: Fetch, registry: Registry) -> list[DecisionTold]:
    """Return all decisions of a run in order."""
    told: list[DecisionTold] = []
    for stored in events:
        made = stored.event.body
        if isinstance(made, DecisionMade):
            told.append(await _decision(stored.event, made, events, fetch, registry))
    return told


async def _decision(
    event: Event, made: DecisionMade, events: Sequence[Stored], fetch: Fetch, registry: Registry
) -> DecisionTold:
    later = [stored.event for stored in events if stored.event.seq > event.seq]
    arguments = await arguments_of(made.arguments, fetch)
    tool = registry.get(made.target) if made.kind is ActionKind.CALL_TOOL else None
    allowed = made.decision.lane is Lane.AUTOMATIC or made.approval is not None
    return DecisionTold(
        seq=event.seq,
        at=event.at,
        step=made.step,
        call=made.call,
        kind=made.kind,
        target=made.target,
        effect=tool.effect if tool else None,
        consequence=consequence(tool, arguments) if tool else None,
        arguments=arguments,
        argument_labels=made.argument_labels,
        argument_origins=made.argument_origins,
        lane=made.decision.lane,
        verdict=_VERDICTS[made.decision.lane],
        allowed=allowed,
        policies=list(made.decision.policies),
        policy_version=made.decision.policy_version,
        reason=made.decision.reason,
        facts=made.decision.facts,
        approval=await _approval(made, events, later, fetch),
        outcome=outcome_of(made, later) if allowed else "none",
        sources=_shown_before(event, events),
    )


def consequence(tool: Tool, arguments: dict[str, JsonValue] | None) -> str:
    """Return what the action does, in plain words."""
    if arguments is None:
        return f"Calls {tool.name}; with what was erased."
    try:
        return tool.consequence(tool.parse(orjson.dumps(arguments).decode()))
    except Unprocessable:
        return f"Calls {tool.name}, as it was in an earlier version."


async def arguments_of(stored: ContentRef | None, fetch: Fetch) -> dict[str, JsonValue] | None:
    """Return what an action is done with; None if there is nothing, or it was erased."""
    if stored is None:
        return None
    try:
        arguments: dict[str, JsonValue] = orjson.loads(await fetch(stored))
    except NotFound:
        return None
    return arguments


async def _approval(
    made: DecisionMade, events: Sequence[Stored], later: Sequence[Event], fetch: Fetch
) -> ApprovalTold | None:
    if made.decision.lane is not Lane.APPROVAL:
        return None
    asked = asked_for(made, events, later)
    if asked is None:
        return None
    event, requested = asked
    resolved, decided_at = resolution_of(requested.approval, events)
    return ApprovalTold(
        approval=requested.approval,
        status=_status(resolved, events),
        requested_at=event.at,
        expires_at=requested.expires_at,
        approver=resolved.approver.id if resolved and resolved.approver else None,
        decided_at=decided_at,
        reason=await text_of(resolved.reason, fetch) if resolved and resolved.reason else None,
        approvers=requested.approvers,
        given=[
            YesTold(
                approver=given.approver.id,
                in_place_of=given.in_place_of or None,
                through=given.through or None,
                at=given.decided_at,
                reason=await text_of(given.reason, fetch),
            )
            for given in given_for(requested.approval, events)
        ],
    )


def asked_for(
    made: DecisionMade, events: Sequence[Stored], later: Sequence[Event]
) -> tuple[Event, ApprovalRequested] | None:
    """Return the approval that a decision relied on, else the one that it asked for; None if there is none."""
    for event in (stored.event for stored in events) if made.approval else later:
        body = event.body
        if not isinstance(body, ApprovalRequested):
            continue
        if body.approval == made.approval or (not made.approval and (body.step, body.call) == (made.step, made.call)):
            return event, body
    return None


def given_for(approval: ApprovalId, events: Sequence[Stored]) -> list[ApprovalGiven]:
    """Return the approvals before the last, where it takes several."""
    bodies = (stored.event.body for stored in events)
    return [body for body in bodies if isinstance(body, ApprovalGiven) and body.approval == approval]


def resolution_of(approval: ApprovalId, events: Sequence[Stored]) -> tuple[ApprovalResolved | None, str | None]:
    """Return what came of an approval, and when."""
    for stored in events:
        body = stored.event.body
        if isinstance(body, ApprovalResolved) and body.approval == approval:
            return body, stored.event.at
    return None, None


def _status(resolved: ApprovalResolved | None, events: Sequence[Stored]) -> ApprovalStatus:
    if resolved:
        return resolved.verdict
    return "superseded" if any(isinstance(stored.event.body, RunEnded) for stored in events) else "pending"


async def text_of(ref: ContentRef, fetch: Fetch) -> str:
    try:
        return (await fetch(ref)).decode()
    except NotFound:
        return ERASED


def outcome_of(made: DecisionMade, later: Sequence[Event]) -> Outcome:
    """Return what came of an action that was let happen, from the events behind its decision."""
    for event in later:
        if found := _outcome_in(event.body, made):
            return found
    return "none"


def _outcome_in(body: Body, made: DecisionMade) -> Outcome | None:
    """Return what an event says of the action that was decided on; None if it is about something else."""
    match made.kind, body:
        case ActionKind.CALL_TOOL, ToolFinished(step=made.step, call=made.call, outcome=outcome):
            return _TOOL_OUTCOMES[outcome]
        case ((ActionKind.CALL_MODEL | ActionKind.SHOW), ModelFinished(step=made.step, outcome=outcome)):
            return "done" if outcome == "answered" else "failed"
        case (ActionKind.SHOW, AnswerGiven()) | (
            (ActionKind.RETRIEVE | ActionKind.CALL_MODEL),
            PassagesRetrieved(step=made.step),
        ):
            return "done"
        case ((ActionKind.INGEST | ActionKind.CALL_MODEL), PassagesIndexed()):
            return "done"
        case _, RunEnded():
            return "none"
        case _:
            return None


def _shown_before(event: Event, events: Sequence[Stored]) -> list[str]:
    shown: list[str] = []
    for stored in events[: event.seq - 1]:
        if isinstance(stored.event.body, PassagesRetrieved):
            shown += [passage.passage for passage in stored.event.body.passages]
    return shown
