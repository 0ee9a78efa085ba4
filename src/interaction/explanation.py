"""Why a run did what it did, composed from its log alone: every decision, and a few sentences for whom it affects."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import orjson

from control import AgentManifest
from core import (
    ActionKind,
    ApprovalId,
    ContentRef,
    DocumentId,
    Effect,
    Fact,
    Json,
    Label,
    Lane,
    RunId,
    parse_timestamp,
)
from core.errors import NotFound, Unprocessable
from core.events import (
    ApprovalRequested,
    ApprovalResolved,
    DecisionMade,
    Event,
    PassagesRetrieved,
    RunState,
    Stored,
    ToolFinished,
)
from interaction.answers import Told
from interaction.run_view import ERASED, message_text, state_of
from orchestration import Fetch, fold, shown_passages
from tools import Registry, Tool

ApprovalStatus = Literal["pending", "approved", "denied", "expired", "superseded"]
Outcome = Literal["done", "failed", "unknown", "none"]


class Source(Told):
    """A passage that the agent was shown, and whether its answer cites it."""

    number: int
    passage: str
    document: DocumentId
    heading: str
    text: str
    label: Label
    cited: bool


class ApprovalTold(Told):
    """What a person was asked, and what they said. `approver` is their pseudonym."""

    approval: ApprovalId
    status: ApprovalStatus
    requested_at: str
    expires_at: str
    approver: str | None
    decided_at: str | None
    reason: str | None


class DecisionTold(Told):
    """One decision of the gate.

    Attributes:
        seq: number of the event that holds it.
        consequence: what the action does, in plain words; for tools only.
        allowed: whether it let the action happen.
        facts: all that the policies were given to decide on.
        argument_labels: who could have chosen each argument, by its path.
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
    arguments: dict[str, Json] | None
    argument_labels: dict[str, Label]
    lane: Lane
    allowed: bool
    policies: list[str]
    policy_version: str
    reason: str
    facts: dict[str, Fact]
    approval: ApprovalTold | None
    outcome: Outcome
    sources: list[str]


class PlainWords(Told):
    """The same for somebody whom the run affects: a sentence or a few for each question."""

    asked: str
    looked_at: str
    decided: str
    done: str
    objection: str


class Explanation(Told):
    run: RunId
    state: RunState
    agent: str
    plain: PlainWords
    decisions: list[DecisionTold]
    sources: list[Source]


@dataclass(frozen=True, slots=True)
class Story:
    """What plain words are made from."""

    agent: AgentManifest | None
    opened_at: str
    message: str | None
    state: RunState
    decisions: Sequence[DecisionTold]
    sources: Sequence[Source]


async def decisions_of(events: Sequence[Stored], fetch: Fetch, registry: Registry) -> list[DecisionTold]:
    """Return all decisions of a run in order, each with what belongs to it."""
    told: list[DecisionTold] = []
    for stored in events:
        if isinstance(stored.event.body, DecisionMade):
            told.append(await _decision(stored.event, stored.event.body, events, fetch, registry))  # noqa: PERF401 - reads better than a comprehension of five clauses
    return told


async def sources_of(events: Sequence[Stored], fetch: Fetch) -> list[Source]:
    """Return the passages that the agent was shown, in the order of their numbers."""
    progress = fold(events)
    cited = {citation.passage for citation in progress.answer.citations} if progress.answer else set[str]()
    if progress.retrieved is None:
        return []
    labels = {passage.passage: passage.label for passage in progress.retrieved.passages}
    return [
        Source(
            number=shown.number,
            passage=shown.passage,
            document=shown.document,
            heading=shown.heading,
            text=shown.text,
            label=labels[shown.passage],
            cited=shown.passage in cited,
        )
        for shown in await shown_passages(progress.retrieved, fetch)
    ]


async def story_of(
    events: Sequence[Stored], fetch: Fetch, registry: Registry, agent: AgentManifest | None
) -> Story:
    progress = fold(events)
    return Story(
        agent=agent,
        opened_at=events[0].event.at,
        message=await message_text(progress, fetch),
        state=state_of(progress),
        decisions=await decisions_of(events, fetch, registry),
        sources=await sources_of(events, fetch),
    )


async def _decision(
    event: Event, made: DecisionMade, events: Sequence[Stored], fetch: Fetch, registry: Registry
) -> DecisionTold:
    later = [stored.event for stored in events if stored.event.seq > event.seq]
    arguments = await _arguments(made.arguments, fetch)
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
        lane=made.decision.lane,
        allowed=allowed,
        policies=list(made.decision.policies),
        policy_version=made.decision.policy_version,
        reason=made.decision.reason,
        facts=made.decision.facts,
        approval=await _approval(made, events, later, fetch),
        outcome=_outcome(made, later) if allowed else "none",
        sources=_shown_before(event, events),
    )


def consequence(tool: Tool, arguments: dict[str, Json] | None) -> str:
    """Return what the action does, in plain words."""
    if arguments is None:
        return f"Calls {tool.name}; with what was erased."
    try:
        return tool.consequence(tool.parse(orjson.dumps(arguments).decode()))
    except Unprocessable:
        return f"Calls {tool.name}, as it was in an earlier version."


async def _arguments(stored: ContentRef | None, fetch: Fetch) -> dict[str, Json] | None:
    if stored is None:
        return None
    try:
        arguments: dict[str, Json] = orjson.loads(await fetch(stored))
    except NotFound:
        return None
    return arguments


async def _approval(
    made: DecisionMade, events: Sequence[Stored], later: Sequence[Event], fetch: Fetch
) -> ApprovalTold | None:
    if made.decision.lane is not Lane.APPROVAL:
        return None
    asked = _asked(made, events, later)
    if asked is None:
        return None
    event, requested = asked
    resolved, decided_at = _resolved(requested.approval, events)
    return ApprovalTold(
        approval=requested.approval,
        status=_status(resolved, events),
        requested_at=event.at,
        expires_at=requested.expires_at,
        approver=resolved.approver.id if resolved and resolved.approver else None,
        decided_at=decided_at,
        reason=await text_of(resolved.reason, fetch) if resolved and resolved.reason else None,
    )


def _asked(
    made: DecisionMade, events: Sequence[Stored], later: Sequence[Event]
) -> tuple[Event, ApprovalRequested] | None:
    """Return the approval that the decision relied on, else the one that it asked for."""
    for event in (stored.event for stored in events) if made.approval else later:
        body = event.body
        if not isinstance(body, ApprovalRequested):
            continue
        if body.approval == made.approval or (not made.approval and (body.step, body.call) == (made.step, made.call)):
            return event, body
    return None


def _resolved(approval: ApprovalId, events: Sequence[Stored]) -> tuple[ApprovalResolved | None, str | None]:
    for stored in events:
        body = stored.event.body
        if isinstance(body, ApprovalResolved) and body.approval == approval:
            return body, stored.event.at
    return None, None


def _status(resolved: ApprovalResolved | None, events: Sequence[Stored]) -> ApprovalStatus:
    if resolved:
        return resolved.verdict
    return "superseded" if fold(events).ended else "pending"


async def text_of(ref: ContentRef, fetch: Fetch) -> str:
    try:
        return (await fetch(ref)).decode()
    except NotFound:
        return ERASED


def _outcome(made: DecisionMade, later: Sequence[Event]) -> Outcome:
    for event in later:
        match event.body:
            case ToolFinished(step=made.step, call=made.call, outcome=outcome) if made.kind is ActionKind.CALL_TOOL:
                return "done" if outcome == "ok" else "failed" if outcome == "failed" else "unknown"
            case PassagesRetrieved() if made.kind is ActionKind.RETRIEVE:
                return "done"
            case _:
                continue
    return "none"


def _shown_before(event: Event, events: Sequence[Stored]) -> list[str]:
    shown: list[str] = []
    for stored in events[: event.seq - 1]:
        if isinstance(stored.event.body, PassagesRetrieved):
            shown += [passage.passage for passage in stored.event.body.passages]
    return shown


def day_and_time(at: str) -> str:
    """Return a stored time for people: `23 November 2026, 14:05 UTC`."""
    moment = parse_timestamp(at)
    return f"{moment.day} {moment:%B %Y, %H:%M} UTC"
