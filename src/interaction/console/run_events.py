"""A run's events as the pages show them, from the log alone: each with who caused it, when, and what it used."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, cast, get_args

from core import Json, PrincipalKind, parse_timestamp
from core.bodies import ApprovalGiven, ApprovalResolved
from core.events import Stored
from core.parts import Usage
from interaction.people import NameOf
from orchestration import Fetch, present

Group = Literal["run", "decision", "knowledge", "model", "tool", "person", "record"]

GROUPS: Sequence[Group] = get_args(Group)
"""What one can look for in a timeline."""

_GROUP_OF: Mapping[str, Group] = {
    "decision_made": "decision",
    "proposal_rejected": "decision",
    "passages_retrieved": "knowledge",
    "document_received": "knowledge",
    "passages_indexed": "knowledge",
    "model_finished": "model",
    "answer_given": "model",
    "tool_finished": "tool",
    "approval_requested": "person",
    "approval_given": "person",
    "approval_escalated": "person",
    "approval_resolved": "person",
    "cancel_requested": "person",
    "answer_flagged": "person",
    "flag_resolved": "person",
    "access_refused": "record",
    "record_changed": "record",
}

_SHOWN_ELSEWHERE = frozenset({"seq", "at", "actor", "type", "phase", "says", "next", "waiting_for"})


@dataclass(frozen=True, slots=True)
class EventLine:
    """One event.

    Attributes:
        offset_ms: since the run was opened.
        duration_ms: of the call that it ends; None for what takes no time.
        actor: a name for a person, else what the log says.
        person: who decided an approval, by name; empty for other events, and where nobody knows.
        told: the event's fields, and its content by name.
        details: those of them that nothing else on the page shows.
    """

    seq: int
    at: str
    type: str
    group: Group
    offset_ms: int
    duration_ms: int | None
    usage: Usage | None
    actor_kind: PrincipalKind
    actor: str
    person: str
    told: Mapping[str, Json]
    details: Mapping[str, Json]
    hash: str
    prev: str


def group_of(stored: Stored) -> Group:
    return group_of_type(stored.event.body.type)


def group_of_type(name: str) -> Group:
    return _GROUP_OF.get(name, "run")


async def event_lines(
    events: Sequence[Stored], *, opened_at: str, agent: str, fetch: Fetch, name: NameOf
) -> Sequence[EventLine]:
    """Return the lines; `agent` is how people call the run's agent, which stands in the log by a pseudonym."""
    return [await _line(stored, opened_at, agent, fetch, name) for stored in events]


async def _line(stored: Stored, opened_at: str, agent: str, fetch: Fetch, name: NameOf) -> EventLine:
    event, told = stored.event, await present(stored, fetch)
    actor, body = event.actor, event.body
    names = {PrincipalKind.USER: await name(actor.id), PrincipalKind.AGENT: agent}
    approver = body.approver if isinstance(body, ApprovalGiven | ApprovalResolved) else None
    decider = await name(approver.id) if approver else None
    return EventLine(
        seq=event.seq,
        at=event.at,
        type=body.type,
        group=group_of(stored),
        offset_ms=round((parse_timestamp(event.at) - parse_timestamp(opened_at)).total_seconds() * 1000),
        duration_ms=cast("int | None", getattr(body, "duration_ms", None)),
        usage=cast("Usage | None", getattr(body, "usage", None)),
        actor_kind=actor.kind,
        actor=names.get(actor.kind) or actor.id,
        person=decider or "",
        told=told,
        details={key: value for key, value in told.items() if key not in _SHOWN_ELSEWHERE},
        hash=stored.hash,
        prev=event.prev,
    )
